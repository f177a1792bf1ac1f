"""Discrimination and overall accuracy of predicted probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure, or None with the reason why it could not be computed; None never passes a gate."""

    value: float | None
    reason: str | None = None


def _computed(y: Array, both: bool, compute: Callable[[], float]) -> Metric:
    if len(y) == 0:
        return Metric(None, "no patients")
    if both and len(np.unique(y)) < 2:
        return Metric(None, "the outcome has only one value")
    return Metric(float(compute()))


def log_loss(y: Array, p: Array) -> Metric:
    """Mean negative log-likelihood in nats; `y` of 0 and 1 and `p` in (0, 1), both of shape (n,)."""
    from sklearn.metrics import log_loss as loss

    return _computed(y, False, lambda: loss(y, np.clip(p, 1e-9, 1 - 1e-9), labels=[0, 1]))


def brier(y: Array, p: Array) -> Metric:
    """Mean squared error of the probabilities (Brier 1950)."""
    from sklearn.metrics import brier_score_loss

    return _computed(y, False, lambda: brier_score_loss(y, p, pos_label=1, labels=[0, 1]))


def auroc(y: Array, p: Array) -> Metric:
    """Area under the receiver operating characteristic curve."""
    from sklearn.metrics import roc_auc_score

    return _computed(y, True, lambda: roc_auc_score(y, p))

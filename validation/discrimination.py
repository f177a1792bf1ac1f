"""Discrimination and overall accuracy of predicted probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Nobody predicts these outcomes so well at baseline: above it, look for leakage (DOMAIN 5.2).
LEAKAGE_AUROC = 0.85


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


def losses(y: Array, p: Array) -> Array:
    """Negative log-likelihood of each patient in nats, shape (n,); `log_loss` is its mean."""
    kept = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray(-np.where(y == 1, np.log(kept), np.log1p(-kept)))


def log_loss(y: Array, p: Array) -> Metric:
    """Mean negative log-likelihood in nats; `y` of 0 and 1 and `p` in (0, 1), both of shape (n,)."""
    from sklearn.metrics import log_loss as loss

    return _computed(y, False, lambda: loss(y, np.clip(p, 1e-9, 1 - 1e-9), labels=[0, 1]))


def brier(y: Array, p: Array) -> Metric:
    """Mean squared error of the probabilities (Brier 1950)."""
    from sklearn.metrics import brier_score_loss

    return _computed(y, False, lambda: brier_score_loss(y, p, pos_label=1, labels=[0, 1]))


def scaled_brier(y: Array, p: Array) -> Metric:
    """Share by which the Brier score is below that of the observed rate given to everyone; 1 is ideal, 0 is useless.

    Also called the index of prediction accuracy (Kattan and Gerds 2018); below 0 the rate alone would do better.
    """
    from sklearn.metrics import d2_brier_score

    return _computed(y, True, lambda: d2_brier_score(y, p, pos_label=1))


def auroc(y: Array, p: Array) -> Metric:
    """Area under the receiver operating characteristic curve."""
    from sklearn.metrics import roc_auc_score

    return _computed(y, True, lambda: roc_auc_score(y, p))


def placements(y: Array, p: Array) -> Array:
    """Where each prediction lies among those of the other kind of patient, ties half (DeLong 1988).

    Returns
    -------
    (n,) array
        For a patient with the event the share of those without who were given less; for one without, the share of
        those with who were given more. The mean over either kind is the area under the curve.
    """
    order = np.argsort(p, kind="stable")
    ordered, event = p[order], y[order]
    tie = np.cumsum(np.concatenate([[0], ordered[1:] != ordered[:-1]]).astype(np.intp))[: len(y)]
    events, others = np.bincount(tie, event), np.bincount(tie, 1 - event)
    others_below = (np.cumsum(others) - others / 2) / max(others.sum(), 1)
    events_above = 1 - (np.cumsum(events) - events / 2) / max(events.sum(), 1)
    placed = np.empty(len(y))
    placed[order] = np.where(event == 1, others_below[tie], events_above[tie])
    return placed

"""A candidate and what it leaves behind when fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.bundle.manifest import Learner
from training.encoded import Encoded
from training.learners.update import Updated

Array = NDArray[np.float64]
Rows = NDArray[np.bool_] | NDArray[np.intp]


@dataclass(frozen=True)
class Fit:
    """One outcome, fitted.

    Attributes
    ----------
    log_odds
        From an encoded cohort to log-odds given the parent under the received regimen, shape (n,).
    file, write
        File name inside a bundle and the function that writes it; None when nothing but the prior is needed.
    updated
        The evidence's effects moved by the registry; None for candidates that do not start from it.
    lack_of_fit
        See `training.bundle.OutcomeModel`.
    notes
        Settings worth logging (penalty, number of trees).
    """

    log_odds: Callable[[Encoded], Array]
    file: str | None = None
    write: Callable[[Path], None] | None = None
    updated: Updated | None = None
    lack_of_fit: float = 0.0
    notes: tuple[tuple[str, float], ...] = ()


class Candidate(Protocol):
    """Learns one outcome given its parent from some rows of an encoded cohort."""

    def __call__(self, encoded: Encoded, outcome: str, rows: Rows) -> Fit:
        """Fit on the given rows."""
        ...


def _evidence(encoded: Encoded, outcome: str, rows: Rows) -> Fit:
    del rows
    return Fit(lambda data: data.prior[:, data.column(outcome)])


def _logistic(encoded: Encoded, outcome: str, rows: Rows) -> Fit:
    from training.learners.logistic import fit

    return fit(encoded, outcome, rows)


def _xgboost(encoded: Encoded, outcome: str, rows: Rows) -> Fit:
    from training.learners.boosted import fit_alone

    return fit_alone(encoded, outcome, rows)


def _xgboost_prior(encoded: Encoded, outcome: str, rows: Rows) -> Fit:
    from training.learners.boosted import fit_from_prior

    return fit_from_prior(encoded, outcome, rows)


CANDIDATES: dict[Learner, Candidate] = {
    "evidence": _evidence,
    "logistic": _logistic,
    "xgboost": _xgboost,
    "xgboost_prior": _xgboost_prior,
}


def fit_candidate(learner: Learner, encoded: Encoded, outcome: str, rows: Rows) -> Fit:
    """Fit one candidate for one outcome on some rows."""
    return CANDIDATES[learner](encoded, outcome, rows)

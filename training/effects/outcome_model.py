"""The outcome under each component of a regimen, predicted for patients that the model did not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from training.effects.covariates import Arms, Table
from training.effects.declared import RegimenPart, components
from training.effects.recorded import Recorded

Array = NDArray[np.float64]
PENALTY = 5.0  # ridge penalty on standardised columns; the intercept is free
_STEPS = 25
_TOLERANCE = 1e-3  # of a standardised coefficient; far below its own error
_EDGE = 1e-4  # predictions are kept off 0 and 1


@dataclass(frozen=True)
class Design:
    """Columns of the outcome model.

    Attributes
    ----------
    fixed
        Intercept and covariates, shape (n, 1 + p).
    received
        Terms of the received regimen, scaled, shape (n, t).
    under
        Terms had everyone received a component, by part and position, scaled, each of shape (n, t).
    """

    fixed: Array
    received: Array
    under: dict[RegimenPart, tuple[Array, ...]]

    @classmethod
    def of(cls, table: Table, arms: Arms) -> Design:
        """Build the columns of a cohort."""
        received = arms.received()
        scale = received.std(axis=0)
        # A term that no one received has nothing to say of those who might.
        used = np.flatnonzero(scale > 0)
        fixed = np.hstack([np.ones((len(received), 1)), table.matrix])
        under = {
            part: tuple(arms.under(part, name)[:, used] / scale[used] for name in components(table.spec, part))
            for part in RegimenPart
        }
        return cls(fixed, received[:, used] / scale[used], under)


@dataclass(frozen=True)
class Predicted:
    """Cross-fitted probabilities of one outcome, by part: shape (n, components)."""

    under: dict[RegimenPart, Array]


def cross_fitted(
    design: Design, outcome: Recorded, fold: NDArray[np.int64], score: Array | None = None, penalty: float = PENALTY
) -> Predicted:
    """Fit a ridge logistic regression on all folds but one, and predict that one under every component.

    Parameters
    ----------
    score
        A prognostic score on the log-odds scale under one and the same regimen for everyone, from a model that did
        not see the patient, shape (n,); it enters as one more covariate.
    """
    fixed = design.fixed
    if score is not None:
        spread = score.std()
        fixed = np.column_stack([fixed, (score - score.mean()) / (spread if spread > 0 else 1.0)])
    matrix = np.hstack([fixed, design.received])
    known = outcome.weight > 0
    y = np.nan_to_num(outcome.y)
    start = ridge_logistic(matrix[known], y[known], outcome.weight[known], penalty)
    under = {part: np.empty((len(y), len(columns))) for part, columns in design.under.items()}
    for k in np.unique(fold):
        held = np.flatnonzero(fold == k)
        rows = known & (fold != k)
        beta = ridge_logistic(matrix[rows], y[rows], outcome.weight[rows], penalty, start)
        base = fixed[held] @ beta[: fixed.shape[1]]
        for part, columns in design.under.items():
            for c, column in enumerate(columns):
                under[part][held, c] = expit(base + column[held] @ beta[fixed.shape[1] :])
    return Predicted({part: np.clip(p, _EDGE, 1 - _EDGE) for part, p in under.items()})


def ridge_logistic(x: Array, y: Array, weight: Array, penalty: float, start: Array | None = None) -> Array:
    """Coefficients that minimise the weighted log loss plus half the penalty times their squares, by Newton's method.

    Parameters
    ----------
    x
        Shape (n, p); the first column is the intercept and is not penalised.
    start
        Where to begin, shape (p,).
    """
    p = x.shape[1]
    ridge = np.full(p, penalty)
    ridge[0] = 1e-6
    if start is None:
        beta = np.zeros(p)
        beta[0] = logit(np.clip(weight @ y / weight.sum(), 0.01, 0.99))
    else:
        beta = start
    for _ in range(_STEPS):
        chance = expit(x @ beta)
        gradient = x.T @ (weight * (y - chance)) - ridge * beta
        curvature = (x * (weight * chance * (1 - chance))[:, None]).T @ x
        curvature[np.diag_indices(p)] += ridge
        step = np.linalg.solve(curvature, gradient)
        # A step this long leaves the region in which the quadratic holds.
        step *= min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        beta = beta + step
        if np.abs(step).max() < _TOLERANCE:
            break
    return beta

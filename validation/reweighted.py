"""What figures become when each patient counts as often as a resample drew them.

With every patient drawn once each form equals the figure of the module that it belongs to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from validation.calibration import log_odds
from validation.flexible_calibration import SUMMARIES, Smooth
from validation.resampling import ratio

Array = NDArray[np.float64]

_BINS = 300  # of predictions, in which resamples look for the distance to the curve; exact for fewer patients
_FEW_EVENTS = 500  # from here on one step from the maximum is as good as all: its error falls with the events


def auroc_columns(y: Array, placed: Array) -> Array:
    """What to sum for the area under the curve, shape (4, n); `placed` from `placements`, shape (n,)."""
    return np.stack([y * placed, y, (1 - y) * placed, 1 - y])


def resampled_auroc(sums: Array, area: float) -> Array:
    """Area under the curve in each resample, shape (R,), from the weighted sums of `auroc_columns`, shape (4, R).

    The first-order (Hájek) form of the area, the one that DeLong's variance rests on: the mean placement of the
    events plus that of the non-events minus the area. What it leaves out falls with the product of their numbers.
    """
    a, events, b, others = sums
    return np.clip(ratio(a, events) + ratio(b, others) - area, 0.0, 1.0)


def intercept_columns(y: Array, mean: Array) -> Array:
    """What to sum for the intercept, shape (4, n); `mean` is the probability at the intercept of all, shape (n,)."""
    spread = mean * (1 - mean)
    return np.stack([y - mean, spread, spread * (1 - 2 * mean), spread * (1 - 6 * spread)])


def resampled_intercept(sums: Array, intercept: float) -> Array:
    """Calibration intercept in each resample, shape (R,), from the weighted sums of `intercept_columns`, shape (4, R).

    The equation of the maximum, expanded to the third order about the intercept of all, so that no resample needs a
    pass over the patients.
    """
    score, first, second, third = sums
    # Nothing is left to weigh where a resample drew no event or no patient whose chance is open.
    shift = ratio(score, first)
    for _ in range(4):
        left = score - shift * (first + shift * (second / 2 + shift * third / 6))
        slope = first + shift * (second + shift * third / 2)
        shift = np.clip(shift + ratio(left, slope), -3.0, 3.0)
    return np.asarray(intercept + shift)


def resampled_coefficients(design: Array, y: Array, offset: Array, start: Array, weights: Array) -> Array:
    """Coefficients of a weighted logistic regression in each resample, shape (k, R).

    Newton's steps from the maximum of the whole, which lies near every resample's own: one with many events (no more
    than a matrix product), two with few.

    Parameters
    ----------
    design
        Shape (n, k).
    start
        Maximum-likelihood coefficients without weights, shape (k,).
    """
    n, k = design.shape
    first, second = np.triu_indices(k)
    # One scale for all columns: a cubic is otherwise a hundred times its straight line, and the equations lose digits.
    scale = np.maximum(np.abs(design).max(axis=0), 1e-12)
    x = design / scale
    products = x[:, first] * x[:, second]
    events, total = (np.stack([y, np.ones(n)])) @ weights
    found = np.repeat((start * scale)[:, None], weights.shape[1], axis=1)
    steps = 1 if min(y.sum(), n - y.sum()) >= _FEW_EVENTS else 2
    for step in range(steps):
        if step == 0:
            mean = expit(offset + design @ start)
            score = (x * (y - mean)[:, None]).T @ weights
            information = (products * (mean * (1 - mean))[:, None]).T @ weights
        else:
            means = expit(offset[:, None] + x @ found)
            score = x.T @ (weights * (y[:, None] - means))
            information = products.T @ (weights * means * (1 - means))
        matrix = np.empty((weights.shape[1], k, k))
        matrix[:, first, second] = matrix[:, second, first] = information.T
        size = np.maximum(np.trace(matrix, axis1=1, axis2=2), 1e-12)
        matrix += 1e-10 * size[:, None, None] * np.eye(k)
        found = found + np.linalg.solve(matrix, score.T[:, :, None])[:, :, 0].T
    found = found / scale[:, None]
    found[:, (events == 0) | (events == total)] = np.nan
    return np.asarray(found)


def resampled_distances(smooth: Smooth, p: Array, coefficients: Array, weights: Array) -> dict[str, Array]:
    """ICI, E50, E90 and Emax in each resample by name, each of shape (R,).

    Parameters
    ----------
    coefficients
        Of the curve in each resample, shape (k, R).
    """
    order = np.argsort(p, kind="stable")
    n = len(p)
    starts = np.unique(np.linspace(0, n, min(n, _BINS), endpoint=False).astype(np.intp))
    if n > _BINS:  # the outermost two stand alone, where the curve is furthest off
        starts = np.unique(np.concatenate([starts, [1, n - 1]]))
    sizes = np.diff(np.append(starts, n))
    middle = np.add.reduceat(p[order], starts) / sizes
    drawn = np.add.reduceat(weights[order], starts, axis=0)
    distance = np.abs(middle[:, None] - curves(smooth, middle, coefficients))
    ranks = np.argsort(distance, axis=0)
    ordered = np.take_along_axis(distance, ranks, 0)
    reached = np.cumsum(np.take_along_axis(drawn, ranks, 0), axis=0)
    found = {SUMMARIES[0]: (drawn * distance).sum(0) / drawn.sum(0)}
    for name, q in zip(SUMMARIES[1:], (0.5, 0.9, 1.0), strict=True):
        found[name] = _quantile(ordered, reached, q)
    return found


def curves(smooth: Smooth, p: Array, coefficients: Array) -> Array:
    """Curve in each resample at probabilities `p` of shape (n,): shape (n, R)."""
    x = log_odds(p)
    return np.asarray(expit(smooth.smoother.offset(x)[:, None] + smooth.smoother.design(x) @ coefficients))


def _quantile(ordered: Array, reached: Array, q: float) -> Array:
    # The quantile (linear between neighbours) of the list in which each value stands as often as it was drawn.
    at = q * (reached[-1] - 1)
    low = np.floor(at)

    def value(position: Array) -> Array:
        index = np.minimum((reached <= position[None, :]).sum(axis=0), len(ordered) - 1)
        return np.take_along_axis(ordered, index[None, :], 0)[0]

    below = value(low)
    return np.asarray(below + (at - low) * (value(np.minimum(low + 1, reached[-1] - 1)) - below))

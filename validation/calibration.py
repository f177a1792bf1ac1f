"""Calibration by its level and its slope: do predicted chances come true as often as they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from validation.discrimination import Metric

Array = NDArray[np.float64]
MIN_EVENTS = 10  # below this an intercept or slope is noise and is not reported
MIN_SPREAD = 0.05  # standard deviation in log-odds below which predictions are one number, and have no slope


def log_odds(p: Array) -> Array:
    """Log-odds of probabilities, kept finite."""
    return np.asarray(logit(np.clip(p, 1e-6, 1 - 1e-6)))


def too_few(y: Array, needed: int = MIN_EVENTS) -> str | None:
    """Why there are too few events or non-events among `y`, or None when there are as many as needed of each."""
    events = int(y.sum())
    fewest = min(events, len(y) - events)
    return f"only {fewest} events or non-events; {needed} are needed" if fewest < needed else None


def alike(x: Array) -> bool:
    """Whether predicted log-odds differ so little that only their level can be judged."""
    return float(np.std(x)) < MIN_SPREAD


def calibration_line(y: Array, p: Array) -> tuple[Metric, Metric]:
    """Intercept and slope of a logistic regression on the predicted log-odds (Cox 1958); 0 and 1 are ideal.

    The intercept belongs to this line; `calibration_intercept` is the one that is judged.
    """
    x = log_odds(p)
    reason = too_few(y)
    if reason is None and alike(x):
        reason = "predictions are all but equal"
    elif reason is None and x[y == 1].min() > x[y == 0].max():
        reason = "predictions tell the event from its absence without fail, so that no slope is steep enough"
    if reason:
        return Metric(None, reason), Metric(None, reason)
    intercept, slope = fit_line(y, x)
    return Metric(intercept), Metric(slope)


def calibration_slope(y: Array, p: Array) -> Metric:
    """Slope of a logistic regression of the outcome on the predicted log-odds (Cox 1958); 1 is ideal."""
    return calibration_line(y, p)[1]


def calibration_intercept(y: Array, p: Array) -> Metric:
    """Calibration-in-the-large: intercept with the predicted log-odds as offset; 0 is ideal."""
    reason = too_few(y)
    return Metric(None, reason) if reason else Metric(fit_intercept(y, log_odds(p)))


def observed_to_expected(y: Array, p: Array) -> Metric:
    """Ratio of observed to expected events; 1 is ideal."""
    return Metric(float(y.sum() / p.sum())) if len(y) and p.sum() > 0 else Metric(None, "nothing was expected")


def fit_intercept(y: Array, offset: Array) -> float:
    """Maximum-likelihood intercept of a logistic regression with an offset."""
    import statsmodels.api as sm

    fit = sm.GLM(y, np.ones((len(y), 1)), family=sm.families.Binomial(), offset=offset).fit()
    return float(fit.params[0])


def fit_line(y: Array, x: Array, offset: Array | None = None) -> tuple[float, float]:
    """Maximum-likelihood intercept and slope on `x` of a logistic regression, with an optional offset."""
    import statsmodels.api as sm

    design = np.column_stack([np.ones(len(y)), x])
    fit = sm.GLM(y, design, family=sm.families.Binomial(), offset=offset).fit()
    return float(fit.params[0]), float(fit.params[1])


def solve_intercept(y: Array, offset: Array) -> float:
    """The same as `fit_intercept` without a library's set-up, for the thousands of cells of one evaluation.

    Newton's steps on one equation: the expected events become the observed ones. Needs an event and a non-event.
    """
    rate = float(np.mean(y))
    found = float(logit(rate) - logit(np.clip(np.mean(expit(offset)), 1e-9, 1 - 1e-9)))
    for _ in range(50):
        p = expit(offset + found)
        step = float((y - p).sum() / max((p * (1 - p)).sum(), 1e-12))
        found += float(np.clip(step, -2.0, 2.0))
        if abs(step) < 1e-10:
            break
    return found

"""Calibration: do predicted chances come true as often as they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from validation.discrimination import Metric

Array = NDArray[np.float64]
MIN_EVENTS = 10  # below this an intercept or slope is noise and is not reported


def log_odds(p: Array) -> Array:
    """Log-odds of probabilities, kept finite."""
    return np.asarray(logit(np.clip(p, 1e-6, 1 - 1e-6)))


def _too_few(y: Array) -> str | None:
    events = int(y.sum())
    fewest = min(events, len(y) - events)
    return f"only {fewest} events or non-events; {MIN_EVENTS} are needed" if fewest < MIN_EVENTS else None


def calibration_slope(y: Array, p: Array) -> Metric:
    """Slope of a logistic regression of the outcome on the predicted log-odds (Cox 1958); 1 is ideal."""
    reason = _too_few(y) or ("all predictions are equal" if np.ptp(log_odds(p)) < 1e-9 else None)
    return Metric(None, reason) if reason else Metric(fit_line(y, log_odds(p))[1])


def calibration_intercept(y: Array, p: Array) -> Metric:
    """Calibration-in-the-large: intercept with the predicted log-odds as offset; 0 is ideal."""
    reason = _too_few(y)
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

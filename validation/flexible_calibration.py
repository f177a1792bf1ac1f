"""Flexible calibration: how far a smooth curve of observed frequency lies from the predicted chances.

The curve is a logistic regression of the outcome on a restricted cubic spline of the predicted log-odds, one of the
two smoothers in use (Austin and Steyerberg 2019 take loess; Austin, Harrell and van Klaveren 2020 a spline). The
spline is chosen because it stays within 0 and 1, has a likelihood, needs no bandwidth, can be reproduced to the last
digit elsewhere (``rms::rcs``), and can be refitted in every resample at the price of a matrix product.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from validation.calibration import alike, log_odds, too_few
from validation.discrimination import Metric

Array = NDArray[np.float64]

#: Fewer events or non-events give no usable curve: only O:E, intercept and slope are shown (DOMAIN 5.4).
MIN_CURVE_EVENTS = 100
#: Where four knots lie among the predictions (Harrell 2015, table 2.3).
QUANTILES = (0.05, 0.35, 0.65, 0.95)
_MIN_DISTINCT = 6  # a score of fewer values has no room between its knots


@dataclass(frozen=True)
class Smoother:
    """What the observed log-odds may be as a function of the predicted ones.

    Attributes
    ----------
    knots
        Of the restricted cubic spline, in log-odds; empty for a straight line.
    level_only
        Whether predictions are so alike that only a shift of all of them is looked for.
    """

    knots: tuple[float, ...]
    level_only: bool

    @classmethod
    def for_predictions(cls, x: Array) -> Smoother:
        """Choose by the predicted log-odds `x`, shape (n,), never by the outcome."""
        if alike(x):
            return cls((), True)
        knots = np.unique(np.quantile(x, QUANTILES).round(9))
        enough = len(knots) >= 3 and len(np.unique(x)) >= _MIN_DISTINCT
        return cls(tuple(float(k) for k in knots) if enough else (), False)

    def design(self, x: Array) -> Array:
        """Columns of the regression at log-odds `x` of shape (n,): shape (n, 1), (n, 2) or (n, knots).

        Beyond the outer knots the spline is a straight line (Stone and Koo 1985), scaled as in ``rms::rcs``.
        """
        if self.level_only:
            return np.ones((len(x), 1))
        columns = [np.ones(len(x)), x]
        if self.knots:
            *inner, before, last = self.knots

            def cubed(knot: float) -> Array:
                return np.clip(x - knot, 0, None) ** 3

            for knot in inner:
                to_last = cubed(before) * (last - knot) / (last - before)
                to_before = cubed(last) * (before - knot) / (last - before)
                columns.append((cubed(knot) - to_last + to_before) / (last - inner[0]) ** 2)
        return np.column_stack(columns)

    def offset(self, x: Array) -> Array:
        """What is added without a coefficient, shape (n,)."""
        return x if self.level_only else np.zeros(len(x))


@dataclass(frozen=True)
class Smooth:
    """A fitted curve.

    Attributes
    ----------
    coefficients
        Of the columns of ``smoother.design``, shape (k,).
    """

    smoother: Smoother
    coefficients: Array

    def observed(self, p: Array) -> Array:
        """Smoothed observed frequency at predicted probabilities, both of shape (n,)."""
        x = log_odds(p)
        return np.asarray(expit(self.smoother.offset(x) + self.smoother.design(x) @ self.coefficients))


def fit_smooth(y: Array, p: Array) -> Smooth:
    """Fit the curve by maximum likelihood; `y` of 0 and 1 and `p` in (0, 1), both of shape (n,)."""
    import statsmodels.api as sm

    x = log_odds(p)
    smoother = Smoother.for_predictions(x)
    with warnings.catch_warnings():
        # A tail without events separates perfectly; the curve then goes to 0 there, which is what was observed.
        warnings.simplefilter("ignore")
        fit = sm.GLM(y, smoother.design(x), family=sm.families.Binomial(), offset=smoother.offset(x)).fit()
    return Smooth(smoother, np.asarray(fit.params))


def summarize(distance: Array) -> dict[str, float]:
    """Summarize how far the curve lies from each prediction.

    Parameters
    ----------
    distance
        Absolute difference between predicted probability and smoothed observed frequency, shape (n,).

    Returns
    -------
    dict
        ``ici`` (mean), ``e50`` (median), ``e90`` (90th percentile) and ``emax``, on the scale of probabilities
        (Austin and Steyerberg 2019); 0 is ideal, and is never reached by chance.
    """
    e50, e90 = np.quantile(distance, (0.5, 0.9))
    return {"ici": float(distance.mean()), "e50": float(e50), "e90": float(e90), "emax": float(distance.max())}


SUMMARIES = ("ici", "e50", "e90", "emax")


def flexible_metrics(y: Array, p: Array, smooth: Smooth | None = None) -> dict[str, Metric]:
    """Judge calibration by the flexible curve: ICI, E50, E90 and Emax by name.

    Parameters
    ----------
    smooth
        The curve, when it is already fitted.
    """
    reason = too_few(y, MIN_CURVE_EVENTS)
    if reason:
        return {name: Metric(None, reason) for name in SUMMARIES}
    fitted = smooth or fit_smooth(y, p)
    return {name: Metric(value) for name, value in summarize(np.abs(p - fitted.observed(p))).items()}

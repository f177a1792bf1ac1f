"""Every figure of one model on one outcome, in the patients as they are and in each resample of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from validation.calibration import (
    calibration_intercept,
    calibration_line,
    log_odds,
    observed_to_expected,
    too_few,
)
from validation.decision import Decision
from validation.discrimination import Metric, auroc, brier, log_loss, losses, placements, scaled_brier
from validation.evaluation import CalibrationCurve, DecisionCurve, Figure
from validation.flexible_calibration import MIN_CURVE_EVENTS, SUMMARIES, Smooth, fit_smooth, flexible_metrics
from validation.net_benefit import contributions, treat_all
from validation.resampling import bounds, figure, ratio
from validation.reweighted import (
    auroc_columns,
    curves,
    intercept_columns,
    resampled_auroc,
    resampled_coefficients,
    resampled_distances,
    resampled_intercept,
)

Array = NDArray[np.float64]

#: What is compared between models.
COMPARED = ("log_loss", "brier", "auroc", "ici", "net_benefit")
_CURVE_POINTS = 41
_CURVE_RANGE = (0.01, 0.99)  # quantiles of the predictions between which the curve is drawn


@dataclass(frozen=True)
class Measured:
    """Figures of one model on one outcome.

    Attributes
    ----------
    points
        By metric.
    replicates
        In each resample, shape (R,), by metric; absent where there is no point.
    """

    points: Mapping[str, Metric]
    replicates: Mapping[str, Array]
    calibration: CalibrationCurve | None
    decision: DecisionCurve | None

    def figures(self) -> dict[str, Figure]:
        """Metrics with their intervals."""
        return {
            name: figure(m, self.replicates.get(name), smoothed=name in SUMMARIES, distance=name in SUMMARIES)
            for name, m in self.points.items()
        }


def measure(y: Array, p: Array, weights: Array, decision: Decision | None) -> Measured:
    """Judge one model on one outcome.

    Points come from scikit-learn and statsmodels where they have the metric; resamples from weighted forms that equal
    the points when every patient is drawn once.

    Parameters
    ----------
    y
        0 or 1, shape (n,).
    p
        Probabilities, shape (n,).
    weights
        How often each patient is drawn, shape (n, R).
    """
    points = {
        "log_loss": log_loss(y, p),
        "auroc": auroc(y, p),
        "brier": brier(y, p),
        "scaled_brier": scaled_brier(y, p),
        "observed_to_expected": observed_to_expected(y, p),
        "calibration_intercept": calibration_intercept(y, p),
    }
    line = calibration_line(y, p)
    points["calibration_slope"] = line[1]
    replicates: dict[str, Array] = {}
    total, events, expected, squared, loss = (
        np.stack([np.ones(len(y)), y, p, (p - y) ** 2, losses(y, p)]) @ weights if len(y) else np.zeros((5, 1))
    )
    rate = ratio(events, total)
    replicates["log_loss"] = ratio(loss, total)
    replicates["brier"] = ratio(squared, total)
    replicates["scaled_brier"] = 1 - ratio(replicates["brier"], rate * (1 - rate))
    replicates["observed_to_expected"] = ratio(events, expected)
    area = points["auroc"].value
    if area is not None:
        replicates["auroc"] = resampled_auroc(auroc_columns(y, placements(y, p)) @ weights, area)
    replicates |= _lines(y, p, points["calibration_intercept"], line, weights)
    smooth = fit_smooth(y, p) if too_few(y, MIN_CURVE_EVENTS) is None else None
    points |= flexible_metrics(y, p, smooth)
    calibration = None
    if smooth is not None:
        x = log_odds(p)
        design, offset = smooth.smoother.design(x), smooth.smoother.offset(x)
        coefficients = resampled_coefficients(design, y, offset, smooth.coefficients, weights)
        replicates |= resampled_distances(smooth, p, coefficients, weights)
        calibration = _curve(smooth, p, coefficients)
    drawn = None
    if decision is not None and len(y):
        worth = contributions(y, p, decision.thresholds)
        at_each = ratio(worth @ weights, total[None, :])
        points["net_benefit"] = Metric(float(worth[decision.middle].mean()))
        replicates["net_benefit"] = at_each[decision.middle]
        drawn = _decide(decision, worth.mean(axis=1), at_each, treat_all(y, decision.thresholds))
    return Measured(points, replicates, calibration, drawn)


def _lines(y: Array, p: Array, level: Metric, line: tuple[Metric, Metric], weights: Array) -> dict[str, Array]:
    found: dict[str, Array] = {}
    x = log_odds(p)
    if level.value is not None:
        columns = intercept_columns(y, expit(x + level.value))
        found["calibration_intercept"] = resampled_intercept(columns @ weights, level.value)
    intercept, slope = line[0].value, line[1].value
    if intercept is not None and slope is not None:
        start = np.array([intercept, slope])
        design = np.column_stack([np.ones(len(y)), x])
        found["calibration_slope"] = resampled_coefficients(design, y, np.zeros(len(y)), start, weights)[1]
    return found


def _curve(smooth: Smooth, p: Array, coefficients: Array) -> CalibrationCurve:
    low, high = np.quantile(p, _CURVE_RANGE)
    at = np.linspace(low, high, _CURVE_POINTS)
    least, most = bounds(curves(smooth, at, coefficients))
    return CalibrationCurve(
        predicted=tuple(at.tolist()),
        observed=tuple(smooth.observed(at).tolist()),
        low=tuple(least.tolist()),
        high=tuple(most.tolist()),
    )


def _decide(decision: Decision, points: Array, replicates: Array, everyone: Array) -> DecisionCurve:
    low, high = bounds(replicates)
    thresholds = decision.thresholds
    return DecisionCurve(
        decision=decision.decision,
        harm=tuple(decision.words(float(thresholds[i])) for i in (0, decision.middle, -1)),
        thresholds=tuple(thresholds.tolist()),
        net_benefit=tuple(points.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        treat_all=tuple(everyone.tolist()),
    )

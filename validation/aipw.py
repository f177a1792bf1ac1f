"""Adjusted contrasts between two arms: augmented inverse probability weighting, overlap weighting, and none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from validation.evaluation import Figure

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
NORMAL_95 = 1.959964


class Estimate(Figure):
    """A figure with the standard error behind its 95% interval."""

    se: float | None = None


@dataclass(frozen=True)
class Influence:
    """An estimate with the share of each patient in it.

    Attributes
    ----------
    value
        The estimate.
    parts
        Estimated influence values, shape (n,); they sum to about 0, and their spread is the estimate's.
    """

    value: float
    parts: Array

    def se(self, cluster: NDArray[np.str_] | None = None) -> float:
        """Standard error.

        Parameters
        ----------
        cluster
            Site of each patient, shape (n,): patients of one site then count as one observation, with the correction
            G / (G - 1). It needs many sites (some 20 or more) to be trusted.
        """
        n = len(self.parts)
        if n < 2:
            return float("nan")
        if cluster is None:
            return float(np.sqrt((self.parts**2).sum() / (n - 1) / n))
        names, at = np.unique(cluster, return_inverse=True)
        if len(names) < 2:
            return float("nan")
        sums = np.bincount(at, self.parts)
        return float(np.sqrt((sums**2).sum() * len(names) / (len(names) - 1)) / n)

    def estimate(self, cluster: NDArray[np.str_] | None = None) -> Estimate:
        """The estimate with its 95% interval."""
        se = self.se(cluster)
        if not np.isfinite(self.value) or not np.isfinite(se):
            return Estimate(value=None, reason="not estimable from these patients")
        return Estimate(value=self.value, low=self.value - NORMAL_95 * se, high=self.value + NORMAL_95 * se, se=se)


def weighted_mean(values: Array, weight: Array) -> Influence:
    """Mean of values of shape (n,) under weights that are normalised to sum to 1; NaN where nobody has any weight."""
    total = weight.sum()
    if not total > 0:
        return Influence(float("nan"), np.full(len(values), np.nan))
    share = weight * len(weight) / total
    value = float((share * values).mean())
    return Influence(value, share * (values - value))


def arm_contrast(y: Array, first: Mask, second: Mask, weight: Array) -> Influence:
    """Weighted mean of `y` in the first arm minus that in the second, weights normalised within each arm.

    Notes
    -----
    With weights of 1 it is the crude contrast, with inverse propensities the normalised (Hajek) inverse-probability
    contrast. The weights are taken as known.
    """
    a = weighted_mean(y, weight * first)
    b = weighted_mean(y, weight * second)
    return Influence(a.value - b.value, a.parts - b.parts)


def scores(y: Array, arm: Mask, propensity: Array, predicted: Array) -> Array:
    """Doubly robust scores of the outcome under one arm, shape (n,): their mean estimates the arm's mean outcome.

    The prediction, corrected by the residuals of those in the arm over their propensity (Robins, Rotnitzky and Zhao
    1994; with several arms Cattaneo 2010).

    Parameters
    ----------
    predicted
        Outcome predicted under the arm, whatever the patient received.
    """
    residual = np.where(arm, y - predicted, 0.0)
    return predicted + residual / propensity


def aipw(first: Array, second: Array, weight: Array) -> Influence:
    """Difference of the means of two arms' `scores`.

    Parameters
    ----------
    weight
        Weight of each patient, 1 but where patients stand for others whose outcome was not recorded.
    """
    return weighted_mean(first - second, weight)


def log_risk_ratio(first: Array, second: Array, weight: Array) -> Influence:
    """Log ratio of the means of two arms' `scores`, by the delta method; NaN where a mean is not positive."""
    a, b = weighted_mean(first, weight), weighted_mean(second, weight)
    if a.value <= 0 or b.value <= 0:
        return Influence(float("nan"), np.full(len(first), np.nan))
    return Influence(float(np.log(a.value / b.value)), a.parts / a.value - b.parts / b.value)


def overlap_weighted(
    y: Array, first: Mask, propensity: Array, predicted_first: Array, predicted_second: Array, weight: Array
) -> Influence:
    """Contrast in the population that overlap weights make, among patients in either arm.

    Each patient counts with propensity * (1 - propensity): most where either arm could have been chosen (Li, Morgan
    and Zaslavsky, JASA 2018). The weights are augmented by the predictions and by the score of the propensity, which
    turns the estimate into a regression of outcome residuals on treatment residuals (Robinson 1988); errors in either
    model then cancel to first order.

    Parameters
    ----------
    propensity
        Chance of the first arm among those in either.
    """
    surplus = first - propensity
    expected = propensity * predicted_first + (1 - propensity) * predicted_second
    denominator = float((weight * surplus**2).sum()) / max(len(y), 1)
    if not denominator > 0:
        return Influence(float("nan"), np.full(len(y), np.nan))
    value = float((weight * surplus * (y - expected)).mean() / denominator)
    # Where effects differ between patients, the estimate is of their overlap-weighted mean.
    parts = weight * (surplus * (y - expected) - surplus**2 * value) / denominator
    return Influence(value, parts)

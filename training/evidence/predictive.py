"""Predictive distributions of a percentage that a study would print, and how good an interval is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri
from scipy.stats import binom, t

Array = NDArray[np.float64]
LEVEL = 0.90
_NODES = ndtri((np.arange(200) + 0.5) / 200)


@dataclass(frozen=True)
class Interval:
    """A prediction with its 90% interval, shares of 1."""

    predicted: float
    low: float
    high: float

    def holds(self, observed: float) -> bool:
        """Whether the interval holds what was observed, a rounded percentage counting as its bound."""
        return self.low - 0.0051 <= observed <= self.high + 0.0051

    def score(self, observed: float) -> float:
        """Interval score (Gneiting and Raftery 2007, section 6.2): width plus a penalty for a miss; lower is better."""
        missed = max(self.low - observed, observed - self.high, 0.0)
        return self.high - self.low + 2 / (1 - LEVEL) * missed


def binomial_interval(mean: float, variance: float, size: float) -> Interval:
    """Percentage of `size` patients whose log-odds are normal: median, and 90% of what may be printed."""
    chance = expit(mean + np.sqrt(max(variance, 0.0)) * _NODES)
    events = np.arange(int(np.ceil(size)) + 1)
    cumulative = binom.cdf(events[:, None], max(round(size), 1), chance).mean(axis=1)
    tail = (1 - LEVEL) / 2
    low, high = (int(np.searchsorted(cumulative, q)) for q in (tail, 1 - tail))
    return Interval(float(expit(mean)), low / max(round(size), 1), min(high / max(round(size), 1), 1.0))


def naive_interval(observed: Array, size: float) -> Interval:
    """Mean of other arms, with the interval in which the next arm would fall if arms were exchangeable.

    A t interval for one further observation on the log-odds scale: what an honest reader of the mean would give.
    """
    mean = float(observed.mean())
    if len(observed) < 3:
        return Interval(mean, 0.0, 1.0)
    scale = logit(np.clip(observed, 0.5 / max(size, 1), 1 - 0.5 / max(size, 1)))
    n = len(scale)
    reach = float(t.ppf((1 + LEVEL) / 2, n - 1) * scale.std(ddof=1) * np.sqrt(1 + 1 / n))
    return Interval(mean, float(expit(scale.mean() - reach)), float(expit(scale.mean() + reach)))

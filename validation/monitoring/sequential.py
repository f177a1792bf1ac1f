"""Calibration over time in small numbers: rolling O:E with exact limits, and the risk-adjusted CUSUM."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

Array = NDArray[np.float64]
Months = NDArray[np.int64]
LIMITS = (0.95, 0.998)  # the funnel limits of DOMAIN 6.2
_EDGE = 1e-9


def event_counts(p: Array) -> Array:
    """Distribution of the number of events among patients with unequal chances (Poisson binomial), exactly.

    Parameters
    ----------
    p
        Chances, shape (n,) or (c, n) for c groups at once.

    Returns
    -------
    (n + 1,) or (c, n + 1) array
        Chance of 0, 1, ... n events.
    """
    if np.ndim(p) == 1:
        parts = [np.array([1 - chance, chance]) for chance in p] or [np.ones(1)]
        while len(parts) > 1:
            # Neighbours are joined in pairs, so that long distributions are multiplied rarely.
            joined = [np.convolve(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
            parts = joined + parts[len(joined) * 2 :]
        return np.asarray(parts[0])
    chances = np.ascontiguousarray(p.T)
    held = np.zeros((len(chances) + 1, len(p)))
    held[0] = 1.0
    for i, chance in enumerate(chances):
        held[1 : i + 2] = held[1 : i + 2] * (1 - chance) + held[: i + 1] * chance
        held[0] *= 1 - chance
    return held.T


def limits(p: Array, level: float) -> tuple[int, int]:
    """Fewest and most events that are within limits when the predictions are right.

    Fewer, and more, come with a chance of at most (1 - level) / 2 each; being counts, mostly with less.
    """
    return _between(np.cumsum(event_counts(p)), level)


def _between(below: Array, level: float) -> tuple[int, int]:
    tail = (1 - level) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left"))
    return low, min(high, len(below) - 1)


def shifted(p: Array, ratio: float, weight: Array | None = None) -> Array:
    """The same predictions with their log-odds moved together until `ratio` times the events are expected.

    Parameters
    ----------
    weight
        Shape (n,): how much each prediction counts; equally when omitted.

    Raises
    ------
    ValueError
        When that many events are more than the patients.
    """
    w = np.ones(len(p)) if weight is None else weight
    odds = logit(np.clip(p, _EDGE, 1 - _EDGE))
    wanted = ratio * float(w @ p)
    if not 0 < wanted < float(w.sum()):
        raise ValueError(f"no shift of these predictions gives {ratio:g} times their events")
    by = brentq(lambda d: float(w @ expit(odds + d)) - wanted, -30, 30)
    return np.asarray(expit(odds + by))


def beyond(p: Array, events: int, bounds: tuple[float, float], level: float = LIMITS[1]) -> bool:
    """Whether O:E lies outside `bounds` even by its exact limits.

    The lower bound is crossed when so few events would be unlikely, by (1 - level) / 2, even if the true O:E stood at
    that bound; the upper bound likewise.
    """
    tail = (1 - level) / 2
    expected = float(p.sum())
    if not 0 < expected < len(p):
        return False
    low, high = bounds
    if events < low * expected:
        return float(event_counts(shifted(p, low))[: events + 1].sum()) <= tail
    if events > high * expected and high * expected < len(p):
        return float(event_counts(shifted(p, high))[events:].sum()) <= tail
    return False


@dataclass(frozen=True)
class RollingPoint:
    """The window that ends with one month.

    Attributes
    ----------
    month
        Months since January 1970, as numpy counts them.
    inner, outer
        Fewest and most events within 95% and 99.8% limits.
    """

    month: int
    patients: int
    observed: int
    expected: float
    inner: tuple[int, int]
    outer: tuple[int, int]

    @property
    def ratio(self) -> float | None:
        """Observed to expected events; None when nothing was expected."""
        return self.observed / self.expected if self.expected > 0 else None

    def side(self, wide: bool = True) -> int:
        """1 above the (wide: 99.8%, else 95%) limits, -1 below, 0 within."""
        low, high = self.outer if wide else self.inner
        return (self.observed > high) - (self.observed < low)


def rolling(month: Months, p: Array, y: Array, window: int) -> tuple[RollingPoint, ...]:
    """O:E of the last `window` months at the end of each month, with exact limits.

    Parameters
    ----------
    month
        Month of each patient, shape (n,), in months since January 1970.
    p, y
        Predicted chance and what happened (0 or 1), shape (n,).

    Notes
    -----
    Until `window` months have passed the window holds what there is.
    """
    found = []
    for end in range(int(month.min()), int(month.max()) + 1) if len(month) else ():
        kept = (month > end - window) & (month <= end)
        chances, events = p[kept], int(y[kept].sum())
        if kept.any():
            below = np.cumsum(event_counts(chances))
            inner, outer = (_between(below, level) for level in LIMITS)
            found.append(RollingPoint(end, int(kept.sum()), events, float(chances.sum()), inner, outer))
    return tuple(found)


def crossed_twice(points: tuple[RollingPoint, ...]) -> RollingPoint | None:
    """The first point at which the 99.8% limit was crossed on one side at two month ends in a row."""
    for before, now in pairwise(points):
        if now.month == before.month + 1 and now.side() != 0 and now.side() == before.side():
            return now
    return None


def steps(p: Array, y: Array, factor: float) -> Array:
    """What each patient adds to a CUSUM: the log likelihood ratio of odds multiplied by `factor` against as predicted.

    Steiner, Cook, Farewell and Treasure, Biostatistics 2000;1:441-452, equation 2.2. NaN in `y` (not at risk, or not
    known) adds nothing.
    """
    spread = np.log1p((factor - 1) * p)
    return np.where(np.isnan(y), 0.0, np.where(y == 1, np.log(factor) - spread, -spread))


def cusum(p: Array, y: Array, factor: float) -> Array:
    """Risk-adjusted CUSUM after each patient, from 0; patients on the last axis."""
    path = np.ascontiguousarray(np.moveaxis(steps(p, y, factor), -1, 0))
    held = np.zeros(path.shape[1:])
    for i, step in enumerate(path):
        held = np.maximum(0.0, held + step)
        path[i] = held
    return np.moveaxis(path, 0, -1)

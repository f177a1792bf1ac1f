"""Net benefit: what acting on a prediction gains, in events per patient (Vickers and Elkin 2006)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def contributions(y: Array, p: Array, thresholds: Array) -> Array:
    """What each patient adds to the net benefit, shape (thresholds, n).

    One who is acted on (``p >= threshold``) adds 1 with the event and costs the odds of the threshold without.
    """
    worth = y[None, :] - (1 - y[None, :]) * odds(thresholds)[:, None]
    return np.where(p[None, :] >= thresholds[:, None], worth, 0.0)


def net_benefit(y: Array, p: Array, thresholds: Array) -> Array:
    """Net benefit at each threshold, shape (thresholds,); acting on no one has none."""
    return np.asarray(contributions(y, p, thresholds).mean(axis=1))


def treat_all(y: Array, thresholds: Array) -> Array:
    """Net benefit of acting on everyone, shape (thresholds,)."""
    rate = float(np.mean(y))
    return np.asarray(rate - (1 - rate) * odds(thresholds))


def odds(thresholds: Array) -> Array:
    """Harm of acting in vain relative to the gain of acting rightly that a threshold stands for."""
    return thresholds / (1 - thresholds)

"""Recalibration: as much as the number of events allows, and no more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.encoded import MIN_EVENTS
from validation.calibration import fit_intercept, fit_line

Array = NDArray[np.float64]
SLOPE_EVENTS = 100  # DOMAIN 5.4: intercept and slope from 100 events


def fewest(y: Array) -> int:
    """The smaller of events and non-events."""
    return int(min(y.sum(), len(y) - y.sum()))


def calibrate(y: Array, log_odds: Array) -> tuple[float, float]:
    """Intercept and slope that calibrate out-of-fold predictions.

    Nothing below 20 events, the intercept alone below 100, both from there (DOMAIN 5.4 and 6.4).
    """
    if fewest(y) < MIN_EVENTS:
        return (0.0, 1.0)
    if fewest(y) < SLOPE_EVENTS or np.ptp(log_odds) < 1e-6:
        return (fit_intercept(y, log_odds), 1.0)
    intercept, slope = fit_line(y, log_odds)
    return (intercept, slope) if slope > 0 else (fit_intercept(y, log_odds), 1.0)

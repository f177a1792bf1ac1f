"""Recalibration: as much as the number of events allows, and no more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.encoded import MIN_EVENTS
from validation.calibration import fit_intercept, fit_line

Array = NDArray[np.float64]
SLOPE_EVENTS = 100  # DOMAIN 5.4: intercept and slope from 100 events
_SLOPES = (0.3, 2.0)  # outside this the prior is not miscalibrated but wrong, and a line will not mend it


def fewest(y: Array) -> int:
    """The smaller of events and non-events."""
    return int(min(y.sum(), len(y) - y.sum()))


def recalibrate_prior(y: Array, prognostic: Array, contrast: Array) -> tuple[float, float]:
    """Intercept and slope for the prior's prognostic part, the regimen contrast kept as an offset.

    Nothing below 20 events, the intercept below 100, both from there (DOMAIN 5.4 and 6.4).
    """
    if fewest(y) < MIN_EVENTS:
        return (0.0, 1.0)
    if fewest(y) < SLOPE_EVENTS:
        return (fit_intercept(y, prognostic + contrast), 1.0)
    intercept, slope = fit_line(y, prognostic, offset=contrast)
    if not _SLOPES[0] <= slope <= _SLOPES[1]:
        slope = float(np.clip(slope, *_SLOPES))
        intercept = fit_intercept(y, slope * prognostic + contrast)
    return (intercept, slope)


def calibrate(y: Array, log_odds: Array, with_slope: bool) -> tuple[float, float]:
    """Intercept and slope that calibrate out-of-fold predictions.

    Parameters
    ----------
    with_slope
        False moves the intercept only, which leaves regimen contrasts as they are.
    """
    if fewest(y) < MIN_EVENTS:
        return (0.0, 1.0)
    if fewest(y) < SLOPE_EVENTS or not with_slope or np.ptp(log_odds) < 1e-6:
        return (fit_intercept(y, log_odds), 1.0)
    intercept, slope = fit_line(y, log_odds)
    return (intercept, slope) if slope > 0 else (fit_intercept(y, log_odds), 1.0)

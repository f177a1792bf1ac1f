"""Figures that MLflow shows beside the metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.crossfit import Assessed
from training.encoded import Encoded
from validation.calibration import too_few
from validation.flexible_calibration import MIN_CURVE_EVENTS, fit_smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_BINS = 8
_COLUMNS = 4


def reliability_figure(assessed: Assessed, encoded: Encoded) -> Figure:
    """Reliability of every outcome on held-out patients, one panel each, with the number of patients and events.

    Points are eighths of the patients by predicted probability, with Wilson's 95% intervals; the line is the flexible
    curve, where there are events enough for one.
    """
    from matplotlib.figure import Figure

    names = list(assessed.metrics)
    rows = math.ceil(len(names) / _COLUMNS)
    figure = Figure(figsize=(3.1 * _COLUMNS, 3.1 * rows), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        kept = encoded.reported(name)
        y, p = encoded.outcomes[name][kept], assessed.held_out[name][kept]
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        if len(y) >= _BINS:
            _draw(axis, y, p)
        axis.set_title(f"{encoded.spec.outcomes[name].label}\n{len(y)} patients, {int(y.sum())} events", fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    figure.supxlabel("predicted (held out)", fontsize=9)
    figure.supylabel("observed", fontsize=9)
    figure.suptitle(f"Reliability, {assessed.learner}: points with 95% intervals, flexible curve", fontsize=10)
    return figure


def _draw(axis: Axes, y: Array, p: Array) -> None:
    bins = np.array_split(np.argsort(p, kind="stable"), _BINS)
    predicted = np.array([p[rows].mean() for rows in bins])
    observed = np.array([y[rows].mean() for rows in bins])
    bounds = np.array([_wilson(int(y[rows].sum()), len(rows)) for rows in bins])
    off = np.abs(bounds.T - observed)
    axis.errorbar(predicted, observed, yerr=off, fmt="o", markersize=4, color="#1f5f8b", elinewidth=0.8)
    if too_few(y, MIN_CURVE_EVENTS) is None:
        low, high = np.quantile(p, (0.01, 0.99))
        at = np.linspace(low, high, 60)
        axis.plot(at, fit_smooth(y, p).observed(at), color="#d55e00", linewidth=1.2)
    top = min(1.0, 1.05 * max(float(bounds.max()), float(predicted.max()), 0.05))
    axis.set(xlim=(0, top), ylim=(0, top))


def _wilson(events: int, patients: int) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(events, patients, method="wilson")
    return float(low), float(high)

"""Figures that MLflow shows beside the metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from training.crossfit import Assessed
from training.encoded import Encoded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 8
_COLUMNS = 4


def reliability_figure(assessed: Assessed, encoded: Encoded) -> Figure:
    """Reliability curves of every outcome, one panel each, with the number of patients and events."""
    from matplotlib.figure import Figure
    from sklearn.calibration import calibration_curve

    names = list(assessed.metrics)
    rows = math.ceil(len(names) / _COLUMNS)
    figure = Figure(figsize=(3.1 * _COLUMNS, 3.1 * rows), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        kept = encoded.reported(name)
        y, p = encoded.outcomes[name][kept], assessed.held_out[name][kept]
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        if len(y) >= _BINS:
            observed, predicted = calibration_curve(y, p, n_bins=_BINS, strategy="quantile")
            axis.plot(predicted, observed, marker="o", markersize=4, color="#1f5f8b")
            top = min(1.0, 1.15 * max(observed.max(), predicted.max(), 0.05))
            axis.set(xlim=(0, top), ylim=(0, top))
        axis.set_title(f"{encoded.spec.outcomes[name].label}\n{len(y)} patients, {int(y.sum())} events", fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    figure.supxlabel("predicted (held out)", fontsize=9)
    figure.supylabel("observed", fontsize=9)
    figure.suptitle(f"Reliability, {assessed.learner}", fontsize=10)
    return figure

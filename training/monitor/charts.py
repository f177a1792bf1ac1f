"""Charts of the page, drawn as SVG that stands in the page itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from validation.monitoring.outcome import Chart, Watched, month_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _MORE, _FEWER, _LIMIT = "#1b1b1b", "#8b1f2f", "#1f5f8b", "#6b6b6b"
_WIDTH, _HEIGHT = 3.6, 2.3  # inches a panel, so that two stand side by side on a printed page


def cusum_chart(watched: Sequence[Watched]) -> str:
    """CUSUM for more (up) and fewer (down) events than predicted, one panel an outcome, with control limits."""
    figure, axes = _panels(len(watched))
    for axis, one in zip(axes, watched, strict=True):
        axis.set_title(one.closed.label, fontsize=9, loc="left")
        for chart in one.charts:
            _draw(axis, chart)
        axis.axhline(0, color=_INK, linewidth=0.6)
        _months(axis, one)
        axis.set_ylabel("fewer    CUSUM    more", fontsize=8)
    return _svg(figure)


def rolling_chart(watched: Sequence[Watched]) -> str:
    """Rolling O:E with its exact 95% and 99.8% limits, one panel an outcome."""
    figure, axes = _panels(len(watched))
    for axis, one in zip(axes, watched, strict=True):
        axis.set_title(one.closed.label, fontsize=9, loc="left")
        points = [p for p in one.points if p.expected > 0]
        if points:
            months = np.array([p.month for p in points])
            expected = np.array([p.expected for p in points])
            for style, limit in (("-", [p.outer for p in points]), ("--", [p.inner for p in points])):
                for side in (0, 1):
                    line = np.array([bounds[side] for bounds in limit]) / expected
                    axis.plot(months, line, color=_LIMIT, linestyle=style, linewidth=0.8)
            axis.plot(months, [p.observed / p.expected for p in points], color=_INK, marker="o", markersize=2)
            axis.set_ylim(0, max(2.5, min(4.0, 1.1 * max(p.observed / p.expected for p in points))))
        axis.axhline(1, color=_INK, linewidth=0.6)
        _months(axis, one)
        axis.set_ylabel("observed / expected", fontsize=8)
    return _svg(figure)


def _draw(axis: Axes, chart: Chart) -> None:
    up = chart.direction == "more"
    sign, colour = (1, _MORE) if up else (-1, _FEWER)
    # A patient stands within the month by order, so that the path is drawn as it was walked.
    first = np.searchsorted(chart.month, chart.month, side="left")
    size = np.searchsorted(chart.month, chart.month, side="right") - first
    at = chart.month + (np.arange(len(chart.month)) - first + 1) / np.maximum(size, 1)
    axis.step(at, sign * chart.path, where="post", color=colour, linewidth=1.2)
    axis.axhline(sign * chart.limit, color=colour, linestyle="--", linewidth=0.9)
    axis.annotate("limit", (at[0], sign * chart.limit), fontsize=7, color=colour, va="bottom" if up else "top")
    if chart.crossed is not None:
        axis.axvline(chart.crossed + 1, color=colour, linewidth=0.8, linestyle=":")
        place = axis.get_xaxis_transform()
        axis.text(
            chart.crossed + 1.3,
            0.98 if up else 0.02,
            f"crossed {month_name(chart.crossed)}",
            transform=place,
            fontsize=7,
            color=colour,
            va="top" if up else "bottom",
        )


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH * max(count, 1), _HEIGHT), layout="constrained")
    axes = figure.subplots(1, max(count, 1), squeeze=False).ravel()
    return figure, list(axes)[:count]


def _months(axis: Axes, one: Watched) -> None:
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    if not one.points:
        axis.text(0.5, 0.5, "not yet evaluable", ha="center", va="center", transform=axis.transAxes, fontsize=9)
        axis.set_xticks([])
        return
    first, last = one.points[0].month, one.points[-1].month + 1
    apart = 12 * max(1, (last - first) // 60)
    ticks = [m for m in range(first, last + 1) if m % apart == 0]
    axis.set_xticks(ticks, [month_name(m)[:4] for m in ticks])
    axis.set_xlim(first - 0.5, last + 0.5)


def _svg(figure: Figure) -> str:
    import matplotlib

    held = io.StringIO()
    # Text stays text: it can be read aloud, searched, and is a tenth of the size of outlines.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "resecta", "font.family": "sans-serif"}):
        figure.savefig(held, format="svg", metadata={"Date": None, "Creator": None})
    text = held.getvalue()
    return text[text.index("<svg") :].replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)

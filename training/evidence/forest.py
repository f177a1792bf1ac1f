"""Forest plot: predicted with its 90% interval against observed, one line per arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.evidence.held_out import PredictedRate

LINE = 0.19  # inches per arm


def draw_forest(rates: Sequence[PredictedRate], path: Path) -> None:
    """Draw a panel per outcome and save it; the ending of the path says PNG or SVG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = list(dict.fromkeys(r.column for r in rates))
    longest = max((sum(r.column == c for r in rates) for c in columns), default=1)
    figure = Figure(figsize=(6.5 * max(len(columns), 1), 1.4 + LINE * longest), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, max(len(columns), 1), squeeze=False)[0]
    for panel, column in zip(panels, columns, strict=False):
        own = sorted((r for r in rates if r.column == column), key=lambda r: r.model.predicted)
        for place, rate in enumerate(own):
            model = rate.model
            held = model.holds(rate.observed)
            panel.plot([100 * model.low, 100 * model.high], [place, place], color="#8aa0b8", lw=2.5, zorder=1)
            panel.plot(100 * model.predicted, place, "|", color="#1f3b5c", ms=7, mew=1.8, zorder=2)
            # A miss differs in shape as well as in colour.
            panel.plot(
                100 * rate.observed, place, "o" if held else "X", color="#000" if held else "#b3261e", ms=4, zorder=3
            )
        panel.set_yticks(range(len(own)), [f"{r.arm.study} {r.arm.arm}" for r in own], fontsize=6)
        panel.set_ylim(-1, len(own))
        panel.set_xlim(-2, 102)
        panel.set_xlabel("Percent of patients")
        panel.set_title(column.replace("_", " ").capitalize() if len(column) > 2 else column.upper(), fontsize=10)
        panel.grid(axis="x", color="#ddd", lw=0.6)
    figure.suptitle(
        "Arms predicted from other studies: bar 90% prediction interval, tick predicted, dot observed, cross missed",
        fontsize=9,
    )
    figure.savefig(path, dpi=110)

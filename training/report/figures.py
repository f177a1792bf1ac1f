"""Figures of the page: drawn by matplotlib, kept as SVG inside the page, equal for equal input."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec

from training.report.metric import ShownMetric
from training.report.wording import model_words, verdict
from validation.evaluation import CalibrationCurve, DecisionCurve, Difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
#: Text stays text, so that it can be searched and read aloud; a fixed salt makes identifiers repeat.
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "resecta",
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#555",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "path.simplify_threshold": 0.5,
}
_BAD = "#b3261e"
_PLAIN = "#555555"


@dataclass(frozen=True)
class Line:
    """How one model is drawn, in every figure and in the legend."""

    name: str
    label: str
    colour: str
    dash: str
    width: float

    @property
    def pattern(self) -> str:
        """The dash as SVG writes it, for the legend."""
        return {"-": "", "--": "6 3", ":": "2 2", "-.": "7 3 2 3"}[self.dash]


# Okabe and Ito's palette, told apart by dash as well.
_COLOURS = (("#0072b2", "-"), ("#d55e00", "--"), ("#009e73", ":"), ("#cc79a7", "-."), ("#7a6a00", "--"))


def lines(names: Sequence[str], mine: str) -> tuple[Line, ...]:
    """Give each model a line; the one the page is about comes first and is the widest."""
    ordered = [mine, *(n for n in names if n != mine)] if mine in names else list(names)
    drawn = []
    for place, name in enumerate(ordered):
        colour, dash = _COLOURS[place % len(_COLOURS)]
        drawn.append(Line(name, model_words(name).label, colour, dash, 1.8 if name == mine else 1.1))
    return tuple(drawn)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw with the page's own style, whatever else draws in this process."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def svg(figure: Figure, prefix: str, alt: str) -> str:
    """A figure as an SVG element whose identifiers are its own on a page with others.

    Parameters
    ----------
    prefix
        Put before every identifier.
    alt
        What the figure shows, for readers who do not see it.
    """
    import matplotlib

    written = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"\n\s*", "\n", text)
    head = f'<svg role="img" aria-label="{escape(alt)}" '
    width = re.search(r'width="([\d.]+)pt"', text)
    size = f'style="max-width:{float(width.group(1)) * 1.5:.0f}px" ' if width else ""
    text = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", text, count=2)
    return text.replace("<svg ", head + size, 1).strip()


@styled
def calibration_figure(curves: Sequence[tuple[Line, CalibrationCurve]], mine: str) -> Figure:
    """Observed frequency over predicted probability, with the band of the model the page is about."""
    figure, axes = _small()
    top = max((max(*c.predicted, *c.observed) for _, c in curves), default=1.0)
    top = min(1.0, 1.1 * max(top, 0.05))
    axes.plot([0, top], [0, top], color="#999", linewidth=0.8)
    for line, curve in reversed(curves):
        if line.name == mine:
            axes.fill_between(curve.predicted, curve.low, curve.high, color=line.colour, alpha=0.18, linewidth=0)
        axes.plot(curve.predicted, curve.observed, color=line.colour, linestyle=line.dash, linewidth=line.width)
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="predicted probability", ylabel="observed frequency")
    return figure


@styled
def decision_figure(curves: Sequence[tuple[Line, DecisionCurve]], mine: str) -> Figure:
    """Net benefit over the thresholds of one decision, beside acting on everyone and on no one."""
    figure, axes = _small()
    first = curves[0][1]
    axes.axhline(0, color="#999", linewidth=0.8)
    axes.plot(first.thresholds, first.treat_all, color="#999", linewidth=0.8, linestyle=(0, (1, 1)))
    for line, curve in reversed(curves):
        if line.name == mine:
            axes.fill_between(curve.thresholds, curve.low, curve.high, color=line.colour, alpha=0.18, linewidth=0)
        axes.plot(curve.thresholds, curve.net_benefit, color=line.colour, linestyle=line.dash, linewidth=line.width)
    # Acting on everyone falls without end where nobody should be; the axis follows the models.
    values = [v for _, c in curves for v in (*c.net_benefit, 0.0)]
    spread = max(values) - min(values) or 0.01
    axes.set_ylim(min(values) - 0.25 * spread, max(*values, first.treat_all[0]) + 0.15 * spread)
    axes.set(xlim=(first.thresholds[0], first.thresholds[-1]), xlabel="threshold probability", ylabel="net benefit")
    return figure


@styled
def differences_figure(found: Sequence[tuple[str, Difference]], metric: ShownMetric, against: str) -> Figure:
    """Differences from another model with intervals, one line an outcome or subgroup."""
    from matplotlib.figure import Figure

    drawn = [(label, d) for label, d in found if d.figure.value is not None]
    figure = Figure(figsize=(6.4, 0.75 + 0.2 * max(len(drawn), 1)), layout="constrained")
    axes = figure.subplots()
    for place, (_, difference) in enumerate(reversed(drawn)):
        f = difference.figure
        assert f.value is not None
        said = verdict(f, metric)
        colour, mark = {"better": ("#0072b2", "D"), "worse": (_BAD, "X")}.get(said, (_PLAIN, "o"))
        if f.low is not None and f.high is not None:
            axes.plot([f.low, f.high], [place, place], color=colour, linewidth=1.4)
        axes.plot(f.value, place, mark, color=colour, markersize=4.5)
    axes.axvline(0, color="#999", linewidth=0.8)
    axes.set_yticks(range(len(drawn)), [label for label, _ in reversed(drawn)])
    axes.set_ylim(-0.7, len(drawn) - 0.3)
    axes.tick_params(axis="y", length=0)
    way = {"lower": "left of 0 is better", "higher": "right of 0 is better"}.get(metric.better or "", "")
    axes.set_xlabel(f"{metric.label}, difference from {against}" + (f" ({way})" if way else ""))
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def _small() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.9, 2.5), layout="constrained")
    axes: Any = figure.subplots()
    axes.tick_params(labelsize=7, length=2.5, width=0.6)
    return figure, axes

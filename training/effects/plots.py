"""Figures of an audit of regimen effects."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from training.effects.result import ContrastFigures, OutcomeContrast, SelectionCurve
from validation.aipw import Estimate
from validation.overlap import OVERLAP

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colour, marker and name of each estimate; a marker tells them apart without colour.
_DRAWN = (
    ("crude", "#9aa0a6", "x", "crude"),
    ("aipw", "#1f5f8b", "o", "adjusted (AIPW)"),
    ("overlap_weighted", "#2a9d8f", "s", "overlap-weighted"),
    ("g_computation", "#b5651d", "D", "served model (g-computation)"),
    ("evidence", "#5a3d8a", "^", "published evidence"),
)
_LINE = 0.19  # inches an estimate
_FIRST, _SECOND = "#1f5f8b", "#b5651d"


def forest(contrast: ContrastFigures) -> Figure:
    """Forest plot of one contrast: every outcome by every estimate, in points, with 95% intervals."""
    from matplotlib.figure import Figure

    step = len(_DRAWN) + 1
    height = 1.6 + _LINE * step * max(len(contrast.outcomes), 1)
    figure = Figure(figsize=(8.2, height), layout="constrained")
    axis = figure.subplots()
    axis.axvline(0, color="0.6", linewidth=1)
    ticks = []
    for i, outcome in enumerate(contrast.outcomes):
        top = -i * step
        ticks.append(top - (len(_DRAWN) - 1) / 2)
        for j, (name, colour, marker, label) in enumerate(_DRAWN):
            _line(axis, getattr(outcome, name), top - j, colour, marker, label if i == 0 else None)
    axis.set_yticks(ticks, [_tick(o) for o in contrast.outcomes], fontsize=8)
    axis.set_ylim(-step * max(len(contrast.outcomes), 1) + 0.5, 1)
    axis.set_xlabel(f"difference in the chance, {contrast.first} minus {contrast.second}, in points", fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axis.set_title(f"{contrast.label}\n{contrast.among}, {contrast.overlap.kept:,} with overlap", fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def propensities(contrast: ContrastFigures) -> Figure:
    """Propensity of the first arm by arm received, mirrored, and the balance of what differed most."""
    from matplotlib.figure import Figure

    overlap = contrast.overlap
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    counts = [np.array(side, dtype=np.float64) for side in (overlap.propensity.first, overlap.propensity.second)]
    width = 1 / len(counts[0])
    middles = (np.arange(len(counts[0])) + 0.5) * width
    # The smaller arm would be invisible beside the larger one in numbers.
    shares = [100 * c / max(c.sum(), 1) for c in counts]
    left.bar(middles, shares[0], width, color=_FIRST, label=f"{contrast.first} ({overlap.first:,})")
    left.bar(middles, -shares[1], width, color=_SECOND, label=f"{contrast.second} ({overlap.second:,})")
    for bound in OVERLAP:
        left.axvline(bound, color="0.4", linestyle=":", linewidth=1)
    left.axhline(0, color="0.3", linewidth=0.8)
    left.set(xlim=(0, 1))
    left.set_xlabel(f"chance of {contrast.first}", fontsize=8)
    left.set_ylabel("% of the arm", fontsize=8)
    left.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    left.legend(fontsize=7, frameon=False)
    places = -np.arange(len(overlap.balance))
    for name, colour, marker in (
        ("before", "#9aa0a6", "x"),
        ("weighted", "#1f5f8b", "o"),
        ("overlap_weighted", "#2a9d8f", "s"),
    ):
        values = [abs(getattr(b, name)) for b in overlap.balance]
        right.plot(values, places, marker, color=colour, markersize=4, label=name.replace("_", "-"))
    right.axvline(0.1, color="0.4", linestyle=":", linewidth=1)
    right.set_yticks(
        places, [textwrap.shorten(b.covariate, 44, placeholder=" ...") for b in overlap.balance], fontsize=7
    )
    right.set_xlabel("standardised difference", fontsize=8)
    right.set_xlim(left=0)
    right.legend(fontsize=7, frameon=False)
    for axis in (left, right):
        axis.tick_params(axis="x", labelsize=7)
    figure.suptitle(contrast.label, fontsize=10)
    return figure


def selection(curve: SelectionCurve) -> Figure:
    """Net benefit of choosing by predicted gain, beside giving everyone and no one the first arm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axis = figure.subplots()
    points = [100 * t for t in curve.thresholds]
    axis.fill_between(
        points, [100 * v for v in curve.low], [100 * v for v in curve.high], color="#1f5f8b", alpha=0.15, linewidth=0
    )
    axis.plot(points, [100 * v for v in curve.net_benefit], color="#1f5f8b", marker="o", markersize=3, label="chosen")
    axis.plot(points, [100 * v for v in curve.treat_all], color="#b5651d", linestyle="--", label="everyone")
    axis.axhline(0, color="0.4", linewidth=1, label="no one")
    axis.set_xlabel("threshold: gain that outweighs the burden, in points", fontsize=8)
    axis.set_ylabel("net benefit, events per 100 patients", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7, frameon=False)
    axis.set_title(curve.decision, fontsize=8, wrap=True)
    return figure


def _tick(outcome: OutcomeContrast) -> str:
    few = "" if outcome.aipw.value is not None else "\n(adjusted: not estimable)"
    return f"{outcome.label}{few}"


def _line(axis: Any, estimate: Estimate, place: float, colour: str, marker: str, label: str | None) -> None:
    if estimate.value is None:
        # An empty artist keeps the legend complete.
        axis.plot([], [], marker, color=colour, markersize=4, label=label)
        return
    if estimate.low is not None and estimate.high is not None:
        axis.plot([100 * estimate.low, 100 * estimate.high], [place, place], color=colour, linewidth=1.6)
    axis.plot(100 * estimate.value, place, marker, color=colour, markersize=4.5, label=label)

"""The check as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as Grid

from training.evidence.check import CheckReport
from training.evidence.held_out import PredictedContrast, PredictedRate
from training.evidence.published_range import RangeCheck


def print_check(
    report: CheckReport, console: Console, other: CheckReport | None = None, ranges: Sequence[RangeCheck] = ()
) -> None:
    """Print predictions, figures with and without recalled rows, contrasts and what was left out."""
    if report.checked.rates:
        console.print(_rates(report.checked.rates))
    if report.checked.contrasts:
        console.print(_contrasts(report.checked.contrasts))
    console.print(_figures(report, "All rows"))
    _print_signs(report, console)
    if other is not None:
        console.print(_figures(other, "Without recalled rows (in the fit and among the predicted)"))
        _print_signs(other, console)
    if ranges:
        console.print(_ranges(ranges))
    if report.checked.skipped:
        console.print(f"Left out, {len(report.checked.skipped)}:", style="bold")
        for place, reason in report.checked.skipped:
            console.print(f"  {place}: {reason}", markup=False)


def _rates(rates: Sequence[PredictedRate]) -> Grid:
    grid = Grid(title="Arms predicted from other studies, percent", title_justify="left")
    for heading in ("Study", "Arm", "Outcome"):
        grid.add_column(heading, overflow="fold")
    for heading in ("n", "Observed", "Predicted", "90% interval", "Mean of population", "of class"):
        grid.add_column(heading, justify="right")
    grid.add_column("")
    for rate in rates:
        model = rate.model
        marks = [] if model.holds(rate.observed) else ["missed"]
        marks += ["recalled"] if rate.arm.recalled else []
        grid.add_row(
            rate.arm.study,
            rate.arm.arm,
            rate.column,
            "?" if rate.size is None else str(rate.size),
            f"{100 * rate.observed:.0f}",
            f"{100 * model.predicted:.0f}",
            f"{100 * model.low:.0f}-{100 * model.high:.0f}",
            f"{100 * rate.by_population.predicted:.0f}",
            f"{100 * rate.by_class.predicted:.0f}",
            ", ".join(marks),
        )
    return grid


def _contrasts(contrasts: Sequence[PredictedContrast]) -> Grid:
    grid = Grid(title="Randomised differences, percentage points", title_justify="left")
    for heading in ("Study", "Outcome", "Arms"):
        grid.add_column(heading, overflow="fold")
    for heading in ("Observed", "p", "Predicted", "90% interval"):
        grid.add_column(heading, justify="right")
    grid.add_column("")
    for c in contrasts:
        mark = "same sign" if c.same_sign else "OTHER SIGN"
        grid.add_row(
            c.study,
            c.column,
            f"{c.exposed.arm} - {c.control.arm}",
            f"{100 * c.observed:+.1f}",
            "?" if c.p_value is None else f"{c.p_value:.3f}",
            f"{100 * c.difference:+.1f}",
            f"{100 * c.low:+.0f} to {100 * c.high:+.0f}",
            mark if c.significant else "",
        )
    return grid


def _figures(report: CheckReport, title: str) -> Grid:
    grid = Grid(title=title, title_justify="left")
    grid.add_column("Outcome")
    grid.add_column("Predictor")
    for heading in ("Arms", "Mean absolute error", "Mean interval score", "Coverage of 90%"):
        grid.add_column(heading, justify="right")
    for outcome in report.summary.outcomes:
        for name, quality in (
            ("meta-regression", outcome.model),
            ("mean of the population", outcome.by_population),
            ("mean of population and class", outcome.by_class),
        ):
            grid.add_row(
                outcome.outcome,
                name,
                str(outcome.arms),
                f"{quality.mean_absolute_error:.1f} points",
                f"{quality.interval_score:.1f}",
                f"{quality.coverage:.0f}%",
            )
        change = 100 * (outcome.error_ratio - 1)
        grid.add_row("", f"error {change:+.0f}% against the better mean", "", "", "", "", end_section=True)
    return grid


def _print_signs(report: CheckReport, console: Console) -> None:
    summary = report.summary
    if summary.coverage is not None:
        console.print(f"90% intervals hold {summary.coverage:.0f}% of all rates.")
    if summary.significant:
        console.print(
            f"Of {summary.contrasts} randomised contrasts {summary.significant} are significant on their own counts; "
            f"{summary.same_sign} of these have the predicted sign."
        )
    for named in summary.exceptions:
        console.print(f"  exception: {named}", markup=False)


def _ranges(ranges: Sequence[RangeCheck]) -> Grid:
    grid = Grid(title="Conversion under doublets beside a review's ranges (not fitted), percent", title_justify="left")
    for heading in (
        "Population",
        "Stated",
        "Prior over matching case mix (90%)",
        "Resection without ablation, arm of a new study (90%)",
        "",
    ):
        grid.add_column(heading)
    for r in ranges:
        texts = [f"{middle:.0f} ({low:.0f}-{high:.0f})" for middle, low, high in (r.patients, r.arms)]
        stated = f"{r.stated.low:.0f}-{r.stated.high:.0f} ({r.stated.source})"
        grid.add_row(r.stated.name, stated, *texts, "overlaps" if r.overlaps else "NO OVERLAP")
    return grid

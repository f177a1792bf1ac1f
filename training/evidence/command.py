"""What ``resecta evidence check`` and ``resecta evidence show`` do."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from features import load_specification
from training.bundle.effect import NORMAL_90, EffectRow, effect_rows
from training.bundle.evidence_page import effects_page
from training.evidence.arm_effects import ArmEffects, load_arm_effects
from training.evidence.arms import ArmReader
from training.evidence.check import check, write_json
from training.evidence.check_table import print_check
from training.evidence.committed import load_parameters, load_prior
from training.evidence.forest import draw_forest
from training.evidence.held_out import Evidence
from training.evidence.published_range import check_ranges

CLEAN, REJECTED, USAGE = 0, 1, 2


def run_check(arms: Path | None, json: Path | None, plot: Path | None, console: Console) -> int:
    """Check the meta-regression against a file of arms (None: the evidence itself), with and without recalled rows.

    Returns
    -------
    int
        0, 1 when no arm of the file could be predicted, 2 when a file cannot be read or written.
    """
    spec = load_specification()
    try:
        report = check(arms, spec=spec)
        other = check(arms, without_recalled=True, spec=spec)
        if json is not None:
            write_json(report.as_json(other), json)
            plot = plot or json.with_suffix(".png")
        if plot is not None and report.checked.rates:
            draw_forest(report.checked.rates, plot)
    except (OSError, ValueError) as error:
        console.print(str(error), style="red", markup=False)
        return USAGE
    ranges = check_ranges(spec, load_prior(spec), Evidence(spec, ArmReader(spec)))
    print_check(report, console, other, ranges)
    return CLEAN if report.checked.rates else REJECTED


def run_show(csv_path: Path | None, html: Path | None, console: Console) -> int:
    """Show every effect of the prior as an odds ratio, and write it as CSV and as a page where asked.

    Returns
    -------
    int
        0, or 2 when a file cannot be written.
    """
    spec = load_specification()
    parameters = load_parameters()
    rows = effect_rows(parameters, spec)
    try:
        if csv_path is not None:
            _write_csv(rows, csv_path)
        if html is not None:
            html.write_text(effects_page(parameters, spec), "utf-8")
    except OSError as error:
        console.print(str(error), style="red", markup=False)
        return USAGE
    console.print(_arm_effects(load_arm_effects()))
    for label in dict.fromkeys(r.label for r in rows):
        console.print(_grid(label, [r for r in rows if r.label == label]))
    return CLEAN


def _arm_effects(effects: ArmEffects) -> Grid:
    grid = Grid(title=f"Between trial arms: {effects.counts} published rates", title_justify="left")
    grid.add_column("Covariate or effect, and what it adds to", overflow="fold")
    grid.add_column("Odds ratio", justify="right")
    grid.add_column("90% interval", justify="right")
    for name, mean, variance in zip(effects.names, effects.mean, np.diag(effects.covariance), strict=True):
        middle, low, high = (float(np.exp(mean + z * np.sqrt(variance))) for z in (0.0, -NORMAL_90, NORMAL_90))
        grid.add_row(name, f"{middle:.2f}", f"{low:.2f}-{high:.2f}")
    return grid


def _write_csv(rows: list[EffectRow], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(EffectRow.model_fields))
        writer.writeheader()
        for row in rows:
            writer.writerow({**row.model_dump(), "studies": ";".join(row.studies), "within": row.within or ""})


def _grid(label: str, rows: list[EffectRow]) -> Grid:
    within = f", among: {rows[0].within}" if rows[0].within else ""
    grid = Grid(title=f"{label}{within}", title_justify="left")
    grid.add_column("Comparison", overflow="fold", ratio=3)
    grid.add_column("Odds ratio", justify="right")
    grid.add_column("90% interval", justify="right")
    grid.add_column("Basis", overflow="fold", ratio=1)
    grid.add_column("Studies", overflow="fold", ratio=2)
    for row in rows:
        grid.add_row(
            row.text,
            f"{row.odds_ratio:.2f}",
            f"{row.low:.2f}-{row.high:.2f}",
            row.basis_in_words,
            ", ".join(row.studies),
        )
    return grid

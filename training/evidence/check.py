"""Check: how well the meta-regression foretells arms that it has not seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features import Specification, load_specification
from features.field import Frozen
from training.evidence.arms import ArmFile, ArmReader, read_arm_file
from training.evidence.forest import draw_forest
from training.evidence.held_out import Checked, Evidence, PredictedContrast, PredictedRate, predict_held_out
from training.evidence.predictive import Interval

PREDICTORS = ("model", "by_population", "by_class")


class Quality(Frozen):
    """How one predictor does: mean absolute error and interval score in points, coverage in percent."""

    mean_absolute_error: float
    interval_score: float
    coverage: float


class OutcomeSummary(Frozen):
    """One column of the table: the model beside the means of the population and of its class of regimens."""

    outcome: str
    arms: int
    model: Quality
    by_population: Quality
    by_class: Quality

    @property
    def error_ratio(self) -> float:
        """Error of the model over that of the better naive predictor."""
        naive = min(self.by_population.mean_absolute_error, self.by_class.mean_absolute_error)
        return self.model.mean_absolute_error / naive if naive else float("inf")


class Summary(Frozen):
    """The figures of a check.

    Attributes
    ----------
    coverage
        Of the 90% intervals over all rates, percent; None without any.
    significant, same_sign
        Randomised contrasts that differ on their own counts, and how many of them were predicted in that direction.
    exceptions
        Those that were not.
    """

    outcomes: tuple[OutcomeSummary, ...]
    coverage: float | None
    contrasts: int
    significant: int
    same_sign: int
    exceptions: tuple[str, ...]


@dataclass(frozen=True)
class CheckReport:
    """Predictions of a file with their summary."""

    checked: Checked
    summary: Summary
    recalled: bool

    def as_json(self, other: CheckReport | None = None) -> dict[str, Any]:
        """Predictions and figures, in percent; `other` is the same check without recalled rows."""
        return {
            "predictions": [_rate(r) for r in self.checked.rates],
            "contrasts": [_contrast(c) for c in self.checked.contrasts],
            "skipped": [{"place": place, "reason": reason} for place, reason in self.checked.skipped],
            "summary": _summary(self.summary),
            "summary_without_recalled": None if other is None else _summary(other.summary),
        }


def check(
    arms_path: Path | None = None,
    json_path: Path | None = None,
    without_recalled: bool = False,
    plot_path: Path | None = None,
    spec: Specification | None = None,
) -> CheckReport:
    """Predict every arm of a file, leaving out of the fit its own study and those that share its patients.

    Parameters
    ----------
    arms_path
        CSV in the format of conversion_arms.csv; None means the arms of the evidence itself.
    json_path, plot_path
        Where to write the figures and the forest plot (PNG or SVG by its ending); without `plot_path` the plot goes
        beside the JSON.
    without_recalled
        Whether rows that were not re-read at their source are left out, of the fit and of what is predicted.

    Raises
    ------
    OSError
        When a file cannot be read or written.
    """
    spec = spec or load_specification()
    reader = ArmReader(spec)
    evidence = Evidence(spec, reader, recalled=not without_recalled)
    if arms_path is None:
        file = ArmFile(tuple(evidence.arms), ())
    else:
        file = read_arm_file(arms_path.read_bytes().decode("utf-8-sig", errors="replace"), reader)
        if without_recalled:
            file = ArmFile(tuple(a for a in file.arms if not a.recalled), file.skipped)
    checked = predict_held_out(file, evidence)
    report = CheckReport(checked, summarise(checked.rates, checked.contrasts), not without_recalled)
    if json_path is not None:
        write_json(report.as_json(), json_path)
        plot_path = plot_path or json_path.with_suffix(".png")
    if plot_path is not None:
        draw_forest(checked.rates, plot_path)
    return report


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write the figures."""
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")


def summarise(rates: Sequence[PredictedRate], contrasts: Sequence[PredictedContrast]) -> Summary:
    """Figures over rates and contrasts."""
    outcomes = []
    for column in dict.fromkeys(r.column for r in rates):
        own = [r for r in rates if r.column == column]
        quality = {name: _quality([getattr(r, name) for r in own], own) for name in PREDICTORS}
        outcomes.append(OutcomeSummary(outcome=column, arms=len(own), **quality))
    significant = [c for c in contrasts if c.significant]
    return Summary(
        outcomes=tuple(outcomes),
        coverage=round(100 * float(np.mean([r.model.holds(r.observed) for r in rates])), 1) if rates else None,
        contrasts=len(contrasts),
        significant=len(significant),
        same_sign=sum(c.same_sign for c in significant),
        exceptions=tuple(_named(c) for c in significant if not c.same_sign),
    )


def _quality(intervals: Sequence[Interval], rates: Sequence[PredictedRate]) -> Quality:
    pairs = [(i, r.observed) for i, r in zip(intervals, rates, strict=True)]
    return Quality(
        mean_absolute_error=round(100 * float(np.mean([abs(i.predicted - x) for i, x in pairs])), 2),
        interval_score=round(100 * float(np.mean([i.score(x) for i, x in pairs])), 2),
        coverage=round(100 * float(np.mean([i.holds(x) for i, x in pairs])), 1),
    )


def _named(contrast: PredictedContrast) -> str:
    return f"{contrast.study}, {contrast.column}: {contrast.exposed.arm} against {contrast.control.arm}"


def _percent(share: float) -> float:
    return round(100 * share, 2)


def _rate(rate: PredictedRate) -> dict[str, Any]:
    model = rate.model
    return {
        "study_id": rate.arm.study,
        "arm_id": rate.arm.arm,
        "outcome": rate.column,
        "predicted": _percent(model.predicted),
        "low": _percent(model.low),
        "high": _percent(model.high),
        "observed": _percent(rate.observed),
        "n": rate.size,
        "counted_as": rate.kind,
        "mean_of_population": _percent(rate.by_population.predicted),
        "mean_of_class": _percent(rate.by_class.predicted),
        "recalled": rate.arm.recalled,
    }


def _contrast(contrast: PredictedContrast) -> dict[str, Any]:
    return {
        "study_id": contrast.study,
        "outcome": contrast.column,
        "exposed": contrast.exposed.arm,
        "control": contrast.control.arm,
        "predicted": _percent(contrast.difference),
        "low": _percent(contrast.low),
        "high": _percent(contrast.high),
        "observed": _percent(contrast.observed),
        "p_value": None if contrast.p_value is None else round(contrast.p_value, 4),
        "significant": contrast.significant,
        "same_sign": contrast.same_sign,
    }


def _summary(summary: Summary) -> dict[str, Any]:
    found = summary.model_dump(mode="json")
    for entry, outcome in zip(found["outcomes"], summary.outcomes, strict=True):
        entry["error_over_better_naive"] = round(outcome.error_ratio, 3)
    return found

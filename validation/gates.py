"""Gates: what a model must pass before it may be served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from features.field import Frozen, Limits
from validation.discrimination import Metric


class HeadlineGates(Frozen):
    """Bounds for every headline outcome."""

    log_loss_not_above_champion_by: float
    calibration_slope: Limits
    calibration_intercept: Limits


class Gates(Frozen):
    """All bounds, with a version that is written on each decision."""

    version: int
    headline: HeadlineGates
    auroc_leakage_above: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer with the figure it rests on."""

    gate: str
    passed: bool
    text: str


@cache
def load_gates() -> Gates:
    """Load the gates that ship with the project."""
    return Gates.model_validate(yaml.safe_load((files("validation") / "gates.yaml").read_text("utf-8")))


def judge(
    gates: Gates,
    candidate: Mapping[str, Mapping[str, Metric]],
    champion: Mapping[str, Mapping[str, Metric]],
) -> tuple[Verdict, ...]:
    """Judge a candidate against the bounds and against the champion on the same held-out patients.

    Parameters
    ----------
    candidate, champion
        Metrics of the headline outcomes by outcome and metric.
    """
    verdicts: list[Verdict] = []
    for outcome, metrics in candidate.items():
        bounds = {
            "calibration_slope": gates.headline.calibration_slope,
            "calibration_intercept": gates.headline.calibration_intercept,
        }
        for name, (low, high) in bounds.items():
            verdicts.append(_within(f"{outcome}/{name}", metrics[name], low, high))
        mine, theirs = metrics["log_loss"], champion[outcome]["log_loss"]
        verdicts.append(_no_worse(f"{outcome}/log_loss", mine, theirs, gates.headline.log_loss_not_above_champion_by))
        verdicts.append(_within(f"{outcome}/auroc_leakage", metrics["auroc"], 0.0, gates.auroc_leakage_above))
    return tuple(verdicts)


def _within(gate: str, metric: Metric, low: float, high: float) -> Verdict:
    if metric.value is None:
        return Verdict(gate, False, f"not computed: {metric.reason}")
    return Verdict(gate, low <= metric.value <= high, f"{metric.value:.3f}, allowed {low:g} to {high:g}")


def _no_worse(gate: str, mine: Metric, theirs: Metric, margin: float) -> Verdict:
    if mine.value is None or theirs.value is None:
        return Verdict(gate, False, f"not computed: {mine.reason or theirs.reason}")
    text = f"{mine.value:.4f} against the champion's {theirs.value:.4f}, allowed to be worse by {margin:g}"
    return Verdict(gate, mine.value <= theirs.value + margin, text)

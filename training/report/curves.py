"""Curves of an evaluation as parts of the page: drawn, and told in words for readers who do not see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from features import Specification
from training.report.figures import Line, calibration_figure, decision_figure, differences_figure, svg
from training.report.glance import in_a_sentence
from training.report.metric import HEADLINE, shown
from training.report.tables import ordered_outcomes, outcome_label
from training.report.wording import counted, difference_words, differences, verdict
from validation.evaluation import CalibrationCurve, DecisionCurve, Evaluation

POINTS = 4  # of a curve that are told in words


@dataclass(frozen=True)
class Part:
    """One figure: what it is of, what it rests on, the drawing, its twin in words, and what is decided."""

    title: str
    counted: str
    drawing: Markup
    words: tuple[str, ...]
    note: str = ""


def calibration_parts(
    evaluation: Evaluation, drawn: Sequence[Line], mine: str, spec: Specification
) -> tuple[Part, ...]:
    """Calibration curves, one part an outcome."""
    parts = []
    for name in ordered_outcomes(evaluation, spec):
        curves = [
            (line, judged.calibration)
            for line in drawn
            if (judged := evaluation.model(line.name).outcomes.get(name)) is not None
            and judged.calibration is not None
            and judged.calibration.predicted
        ]
        if not curves:
            continue
        label = outcome_label(spec, name)
        told = next((_calibration_words(c) for line, c in curves if line.name == mine), ())
        alt = f"Calibration curves for {label.lower()}. " + " ".join(told)
        drawing = Markup(svg(calibration_figure(curves, mine), f"calibration-{name}", alt))
        parts.append(Part(label, _counted(evaluation, name), drawing, told))
    return tuple(parts)


def decision_parts(evaluation: Evaluation, drawn: Sequence[Line], mine: str, spec: Specification) -> tuple[Part, ...]:
    """Decision curves, one part an outcome that a decision hangs on."""
    parts = []
    for name in ordered_outcomes(evaluation, spec):
        curves = [
            (line, judged.decision)
            for line in drawn
            if (judged := evaluation.model(line.name).outcomes.get(name)) is not None
            and judged.decision is not None
            and judged.decision.thresholds
        ]
        if not curves:
            continue
        decision = curves[0][1].decision
        told = (*next((_decision_words(c) for line, c in curves if line.name == mine), ()), *_harm(curves[0][1]))
        alt = f"Decision curves for {outcome_label(spec, name).lower()}. " + " ".join(told)
        drawing = Markup(svg(decision_figure(curves, mine), f"decision-{name}", alt))
        parts.append(Part(outcome_label(spec, name), _counted(evaluation, name), drawing, told, decision))
    return tuple(parts)


def difference_part(evaluation: Evaluation, mine: str, against: str, spec: Specification) -> Part | None:
    """Differences from another model in the metric that candidates are ranked by, all outcomes in one figure."""
    metric = shown(HEADLINE)
    found = {d.outcome: d for d in differences(evaluation, mine, against, HEADLINE)}
    ordered = [(outcome_label(spec, n), found[n]) for n in ordered_outcomes(evaluation, spec) if n in found]
    if all(verdict(d.figure, metric) in ("unknown", "same") for _, d in ordered):
        return None
    who = in_a_sentence(against)
    words = tuple(f"{label}: {difference_words(d.figure, metric, who)}." for label, d in ordered)
    drawing = svg(differences_figure(ordered, metric, who), "differences", " ".join(words))
    return Part(f"{metric.label}: difference from {who}, with 95% intervals", "", Markup(drawing), words)


def _counted(evaluation: Evaluation, outcome: str) -> str:
    return counted(next(m.outcomes[outcome] for m in evaluation.models if outcome in m.outcomes))


def _calibration_words(curve: CalibrationCurve) -> tuple[str, ...]:
    return tuple(
        f"Where {curve.predicted[i]:.0%} is predicted, {curve.observed[i]:.0%} is observed "
        f"({curve.low[i]:.0%} to {curve.high[i]:.0%})."
        for i in _spread(len(curve.predicted))
    )


def _decision_words(curve: DecisionCurve) -> tuple[str, ...]:
    return tuple(
        f"At a threshold of {curve.thresholds[i]:.0%} net benefit is {1000 * curve.net_benefit[i]:.0f} per 1,000 "
        f"({1000 * curve.low[i]:.0f} to {1000 * curve.high[i]:.0f}); acting on everyone has "
        f"{1000 * curve.treat_all[i]:.0f}."
        for i in _spread(len(curve.thresholds))
    )


def _harm(curve: DecisionCurve) -> tuple[str, ...]:
    return tuple(f"{text[:1].upper()}{text[1:]}." for text in curve.harm)


def _spread(length: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, length - 1, min(POINTS, length)).round()})

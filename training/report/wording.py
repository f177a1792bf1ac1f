"""Figures in sentences: who is compared with whom, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import TypeAdapter

from features.field import Frozen
from training.report.metric import ShownMetric
from validation.evaluation import Cell, Difference, Evaluation, Figure, Judged

#: What a difference says: a reliable one lies to one side of nothing with its whole 95% interval; ``same`` when two
#: models gave the same answers.
Verdict = Literal["better", "worse", "differs", "same", "unclear", "unknown"]


class ModelWords(Frozen):
    """What a model is called (models.yaml)."""

    label: str
    means: str = ""


@cache
def _models() -> dict[str, ModelWords]:
    text = (files("training.report") / "models.yaml").read_text("utf-8")
    return TypeAdapter(dict[str, ModelWords]).validate_python(yaml.safe_load(text))


def model_words(name: str) -> ModelWords:
    """What a model is called; one that is not listed keeps its name."""
    return _models().get(name) or ModelWords(label=name.replace("_", " ")[:1].upper() + name.replace("_", " ")[1:])


def differences(
    evaluation: Evaluation, model: str, against: str, metric: str | None = None, subgroups: bool = False
) -> Iterator[Difference]:
    """Differences of one model from another, among all patients or in subgroups, on one metric or on all."""
    for found in evaluation.differences:
        wanted = (found.model, found.against) == (model, against) and metric in (None, found.metric)
        if wanted and (found.group is not None) == subgroups:
            yield found


def verdict(figure: Figure, metric: ShownMetric) -> Verdict:
    """What a difference says by its interval and by which way is better."""
    if figure.value is None:
        return "unknown"
    if figure.value == figure.low == figure.high == 0:
        return "same"
    if figure.low is None or figure.high is None or figure.low <= 0 <= figure.high:
        return "unclear"
    if metric.better in (None, "near"):
        return "differs"
    return "better" if (figure.high < 0) == (metric.better == "lower") else "worse"


def difference_words(figure: Figure, metric: ShownMetric, against: str) -> str:
    """A difference as a clause, such as "lower log loss than the champion by 0.0040 (0.0010 to 0.0070)".

    Parameters
    ----------
    against
        What the model is compared with, as it stands in a sentence.
    """
    said = verdict(figure, metric)
    name = metric.in_a_sentence
    if figure.value is None:
        return f"{name} was not compared with {against}: {figure.reason or 'no reason was recorded'}"
    if said == "same":
        return f"the same {name} as {against}, on every resample"
    if said == "unclear":
        bounded = metric.bounds(figure) is not None
        held = metric.with_interval(figure, difference=True) if bounded else "no interval could be given"
        return f"no reliable difference in {name} from {against}: {held}"
    assert figure.low is not None and figure.high is not None
    low, high = sorted((abs(figure.low), abs(figure.high)))
    way = "lower" if figure.high < 0 else "higher"
    by, low_text, high_text = (metric.change(v, sign=False) for v in (abs(figure.value), low, high))
    amount = f"{by} ({low_text} to {high_text})"
    return f"{way} {name} than {against} by {amount}"


def tally_words(found: list[Difference], against: str, metric: ShownMetric) -> str:
    """On how many outcomes a model does better, worse and neither than another, in one sentence."""
    said = [verdict(d.figure, metric) for d in found]
    counts = [
        (said.count("better"), "better"),
        (said.count("worse"), "worse"),
        (said.count("unclear"), "no reliable difference"),
        (said.count("same"), "the same answers"),
        (said.count("unknown"), "not comparable"),
    ]
    parts = ", ".join(f"{words} on {count}" for count, words in counts if count)
    outcomes = f"{len(found)} outcome{'' if len(found) == 1 else 's'}"
    return f"Against {against}, by {metric.in_a_sentence} on {outcomes}: {parts}."


def cell_name(cell: Cell | Difference) -> str:
    """A subgroup in words."""
    return f"{cell.group}: {cell.level}"


def ratio_words(figure: Figure | None) -> str | None:
    """Observed over expected in whole events, or None where it was not computed."""
    if figure is None or figure.value is None:
        return None
    if figure.low is None or figure.high is None:
        return f"for every 100 events predicted, {100 * figure.value:.0f} happened"
    return (
        f"for every 100 events predicted, {100 * figure.value:.0f} happened "
        f"({100 * figure.low:.0f} to {100 * figure.high:.0f})"
    )


def off_ratio(figure: Figure | None) -> str | None:
    """``more`` or ``fewer`` events than predicted where the whole interval says so, else None."""
    if figure is None or figure.low is None or figure.high is None:
        return None
    return "more" if figure.low > 1 else "fewer" if figure.high < 1 else None


def counted(judged: Judged) -> str:
    """How many patients and events a figure rests on."""
    return f"{judged.events:,} of {judged.patients:,} patients"

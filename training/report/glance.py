"""What a reader must know first: whose predictions are better, for whom and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from features import Outcome, Specification
from training.report.metric import HEADLINE, RATIO, ShownMetric, shown
from training.report.wording import (
    Verdict,
    cell_name,
    counted,
    difference_words,
    differences,
    model_words,
    off_ratio,
    ratio_words,
    tally_words,
    verdict,
)
from validation.evaluation import Cell, Difference, Evaluation

#: Differences that a sentence about an outcome names, in this order, where they were found.
NAMED = (HEADLINE, "auroc", "net_benefit")
#: Subgroups that are named, the largest differences first; the others stand in the tables.
MOST = 5
#: One in twenty 95% intervals misses by chance.
BY_CHANCE = 0.05


@dataclass(frozen=True)
class OutcomeGlance:
    """One outcome in a few clauses.

    Attributes
    ----------
    verdict
        By the metric that candidates are ranked by, against the model compared with.
    """

    label: str
    counted: str
    verdict: Verdict
    clauses: tuple[str, ...]


@dataclass(frozen=True)
class Glance:
    """The top of the page.

    Attributes
    ----------
    tallies
        One sentence for each model compared with.
    for_whom
        Subgroups in which the two models differ, or in which events do not match predictions.
    """

    mine: str
    against: str | None
    tallies: tuple[str, ...]
    outcomes: tuple[OutcomeGlance, ...]
    for_whom: tuple[str, ...]


def compared_with(evaluation: Evaluation, mine: str) -> str | None:
    """The model to compare with first: the champion, else the evidence, else whoever there is a difference from."""
    others = dict.fromkeys(d.against for d in evaluation.differences if d.model == mine)
    champions = [m.name for m in evaluation.models if m.kind == "champion"]
    for name in (*champions, "evidence", *others):
        if name in others:
            return name
    return None


def in_a_sentence(name: str) -> str:
    """A model's name as it stands in a sentence."""
    label = model_words(name).label
    return f"the {label[0].lower()}{label[1:]}" if name == "champion" else label[0].lower() + label[1:]


def glance(evaluation: Evaluation, mine: str, spec: Specification) -> Glance:
    """Read an evaluation for its first lines.

    Parameters
    ----------
    mine
        Name of the model that the page is about.
    """
    against = compared_with(evaluation, mine)
    rank = shown(HEADLINE)
    others = dict.fromkeys(d.against for d in evaluation.differences if d.model == mine)
    tallies = []
    for other in sorted(others, key=lambda name: name != against):
        found = list(differences(evaluation, mine, other, HEADLINE))
        if found:
            tallies.append(tally_words(found, in_a_sentence(other), rank))
    headline = [o for o in spec.outcomes.outcomes if o.headline]
    return Glance(
        mine=mine,
        against=against,
        tallies=tuple(tallies),
        outcomes=tuple(one for o in headline if (one := _outcome(evaluation, mine, against, o)) is not None),
        for_whom=(
            *_subgroup_differences(evaluation, mine, against, headline, rank),
            *_subgroup_ratios(evaluation, mine, headline),
        ),
    )


def _outcome(evaluation: Evaluation, mine: str, against: str | None, outcome: Outcome) -> OutcomeGlance | None:
    judged = evaluation.model(mine).outcomes.get(outcome.name)
    if judged is None:
        return None
    clauses: list[str] = []
    said: Verdict = "unknown"
    if against is not None:
        found = {d.metric: d for d in differences(evaluation, mine, against) if d.outcome == outcome.name}
        if HEADLINE in found:
            said = verdict(found[HEADLINE].figure, shown(HEADLINE))
        # Of two models that answer alike one sentence is enough.
        named = NAMED[:1] if said == "same" else NAMED
        clauses += [
            difference_words(found[name].figure, shown(name), in_a_sentence(against)) for name in named if name in found
        ]
    auroc = judged.metrics.get("auroc")
    if auroc is not None and auroc.value is not None:
        clauses.append(f"AUROC {shown('auroc').with_interval(auroc)}")
    ratio = ratio_words(judged.metrics.get(RATIO))
    if ratio is not None:
        clauses.append(ratio)
    label = f"{outcome.label}, {outcome.if_given}" if outcome.if_given else outcome.label
    return OutcomeGlance(label, counted(judged), said, tuple(clauses))


def _subgroup_differences(
    evaluation: Evaluation, mine: str, against: str | None, headline: Sequence[Outcome], metric: ShownMetric
) -> tuple[str, ...]:
    if against is None:
        return ()
    labels = {o.name: o.label for o in headline}
    found = [d for d in differences(evaluation, mine, against, metric.name, subgroups=True) if d.outcome in labels]
    if not found:
        return ()
    who = in_a_sentence(against)
    sentences: list[str] = []
    reliable = 0
    for wanted in ("worse", "better"):
        said = sorted((d for d in found if verdict(d.figure, metric) == wanted), key=_size, reverse=True)
        reliable += len(said)
        sentences += [
            f"{labels[d.outcome]} ({cell_name(d)}): {difference_words(d.figure, metric, who)}." for d in said[:MOST]
        ]
        if len(said) > MOST:
            sentences.append(f"{wanted.capitalize()} in {len(said) - MOST} more, which stand in the tables.")
    chance = round(BY_CHANCE * len(found))
    sentences.append(
        f"Differences in subgroups of the headline outcomes: {len(found)}, of which {reliable} are reliable one by one"
        + (f"; about {chance} would be by chance alone." if chance else ".")
    )
    return tuple(sentences)


def _size(difference: Difference) -> float:
    return abs(difference.figure.value or 0.0)


def _subgroup_ratios(evaluation: Evaluation, mine: str, headline: Sequence[Outcome]) -> tuple[str, ...]:
    judged = evaluation.model(mine).outcomes
    cells = [
        (outcome, cell)
        for outcome in headline
        if outcome.name in judged
        for cell in judged[outcome.name].cells
        if cell.suppressed is None and RATIO in cell.metrics
    ]
    if not cells:
        return ()
    off = [(o, c, way) for o, c in cells if (way := off_ratio(c.metrics[RATIO])) is not None]
    off.sort(key=lambda entry: -_distance(entry[1]))
    sentences = [
        f"{_cell(o, c)}: {way} events than predicted; {ratio_words(c.metrics[RATIO])}." for o, c, way in off[:MOST]
    ]
    chance = round(BY_CHANCE * len(cells))
    sentences.append(
        f"Events were held against predictions in {len(cells)} subgroups of the headline outcomes; in {len(off)} the "
        "interval leaves out 100 for every 100" + (f", about {chance} would by chance alone." if chance else ".")
    )
    return tuple(sentences)


def _distance(cell: Cell) -> float:
    value = cell.metrics[RATIO].value
    return abs(math.log(value)) if value else math.inf


def _cell(outcome: Outcome, cell: Cell) -> str:
    return f"{outcome.label} ({cell_name(cell)})"

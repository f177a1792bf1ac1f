"""Verdicts: each gate's answer about a model, with the figure that it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from validation.evaluation import Cell, Difference, Evaluation, Figure, Judged
from validation.gates import DifferenceGate, FactGate, FigureGate, GateFacts, Gates, SubgroupGate


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer.

    Attributes
    ----------
    gate
        The gate's name, after the outcome that it judges where it judges one (``outcome/gate``).
    text
        The figure, or why there is none.
    value
        The figure that was judged; None never passes.
    bound
        What is allowed, in words.
    """

    gate: str
    passed: bool
    text: str
    value: float | None
    bound: str


def judge(
    gates: Gates, evaluation: Evaluation, challenger: str, champion: str, facts: GateFacts, headline: Sequence[str]
) -> tuple[Verdict, ...]:
    """Judge a challenger by every gate.

    Parameters
    ----------
    challenger, champion
        Names of the two models in the evaluation.
    headline
        Outcomes that must be judged; one without a figure does not pass.

    Returns
    -------
    tuple of Verdict
        One for each gate and outcome, or gate and fact, in the order of ``Gates.every``.
    """
    judged = _outcomes(evaluation, challenger)
    theirs = _outcomes(evaluation, champion)
    verdicts = [v for gate in gates.facts for v in _facts(gate, facts, headline)]
    for outcome in headline:
        mine = judged.get(outcome)
        verdicts += [_figure(gate, outcome, mine) for gate in gates.figures]
        for gate in gates.differences:
            verdicts.append(_difference(gate, outcome, evaluation, challenger, champion, mine, theirs.get(outcome)))
        for floor in gates.subgroups:
            if floor.reliably is not None:
                verdicts.append(_subgroup_loss(floor, outcome, evaluation, challenger, champion, mine))
            else:
                verdicts.append(_subgroup_ratio(floor, outcome, mine, theirs.get(outcome)))
    return tuple(verdicts)


def _outcomes(evaluation: Evaluation, name: str) -> dict[str, Judged]:
    return next((m.outcomes for m in evaluation.models if m.name == name), {})


def _absent(gate: str, why: str | None, bound: str) -> Verdict:
    return Verdict(gate, False, f"not computed: {why or 'no reason given'}", None, bound)


def _facts(gate: FactGate, facts: GateFacts, headline: Sequence[str]) -> Iterator[Verdict]:
    found = getattr(facts, gate.fact)
    bound = f"at least {gate.at_least:g}"
    if isinstance(found, Figure):
        yield _fact(gate.name, found, gate.at_least, bound)
        return
    wanted = headline if gate.headline else tuple(found)
    if not wanted:
        yield _absent(gate.name, "nothing was looked at", bound)
    for name in wanted:
        figure = found.get(name, Figure(value=None, reason="not looked at"))
        yield _fact(f"{name}/{gate.name}", figure, gate.at_least, bound)


def _fact(gate: str, figure: Figure, least: float, bound: str) -> Verdict:
    if figure.value is None:
        return _absent(gate, figure.reason, bound)
    text = f"{figure.value:.3g}" + (f": {figure.reason}" if figure.reason else "")
    return Verdict(gate, figure.value >= least, text, figure.value, bound)


def _figure(gate: FigureGate, outcome: str, judged: Judged | None) -> Verdict:
    name = f"{outcome}/{gate.name}"
    low, high = gate.estimate
    bound = f"{low:g} to {high:g}"
    if gate.interval is not None:
        bound += f", 95% interval touching {gate.interval[0]:g} to {gate.interval[1]:g}"
    figure = None if judged is None else judged.metrics.get(gate.metric)
    if figure is None or figure.value is None:
        return _absent(name, "not judged" if figure is None else figure.reason, bound)
    passed = low <= figure.value <= high
    if gate.interval is not None:
        if figure.low is None or figure.high is None:
            return _absent(name, figure.reason or "it has no interval", bound)
        passed = passed and _touches(figure.low, figure.high, gate.interval)
    return Verdict(name, passed, _shown(figure), figure.value, bound)


def _difference(
    gate: DifferenceGate,
    outcome: str,
    evaluation: Evaluation,
    challenger: str,
    champion: str,
    mine: Judged | None,
    theirs: Judged | None,
) -> Verdict:
    name = f"{outcome}/{gate.name}"
    sign = 1.0 if gate.better == "lower" else -1.0
    bound = f"worse than the champion by at most {gate.margin:g}, and not reliably by more than {gate.reliably:g}"
    found = next(_between(evaluation, challenger, champion, outcome, gate.metric, group=False), None)
    if found is None or found.figure.value is None:
        return _absent(name, "not compared" if found is None else found.figure.reason, bound)
    figure = found.figure
    if figure.value is None or figure.low is None or figure.high is None:
        return _absent(name, figure.reason or "it has no interval", bound)
    least_worse = min(sign * figure.low, sign * figure.high)
    value, text = figure.value, f"{_shown(figure)} against the champion"
    if gate.over_thresholds:
        curves = [None if judged is None else judged.decision for judged in (mine, theirs)]
        if curves[0] is None or curves[1] is None or curves[0].thresholds != curves[1].thresholds:
            return _absent(name, "no decision curves of both to compare", bound)
        lost = [a - b for a, b in zip(curves[0].net_benefit, curves[1].net_benefit, strict=True)]
        value = sum(lost) / len(lost)
        text = f"{value:.4g} on average over thresholds, {_shown(figure)} at the middle one, against the champion"
    return Verdict(name, sign * value <= gate.margin and least_worse <= gate.reliably, text, value, bound)


def _between(
    evaluation: Evaluation, challenger: str, champion: str, outcome: str, metric: str, group: bool
) -> Iterator[Difference]:
    wanted = (challenger, champion, outcome, metric)
    for d in evaluation.differences:
        if (d.model, d.against, d.outcome, d.metric) == wanted and (d.group is not None) == group:
            yield d


def _subgroup_loss(
    gate: SubgroupGate, outcome: str, evaluation: Evaluation, challenger: str, champion: str, mine: Judged | None
) -> Verdict:
    name, reliably = f"{outcome}/{gate.name}", gate.reliably or 0.0
    bound = f"no subgroup reliably worse than the champion by more than {reliably:g}"
    found = list(_between(evaluation, challenger, champion, outcome, gate.metric, group=True))
    cells = () if mine is None else mine.cells
    judged: list[tuple[float, str, Figure]] = []
    for cell in cells:
        if _left_out(cell, gate.least_patients) is not None:
            continue
        one = next((d.figure for d in found if (d.group, d.level) == (cell.group, cell.level)), None)
        if one is None or one.value is None or one.low is None:
            why = "not compared" if one is None else one.reason
            return _absent(name, f"{_called(cell)}: {why or 'no interval'}", bound)
        judged.append((one.low, _called(cell), one))
    if not judged:
        return _absent(name, "no subgroup could be judged" + _not_judged(cells, gate.least_patients), bound)
    least, where, figure = max(judged, key=lambda entry: entry[0])
    among = f"of {len(judged)} subgroups{_not_judged(cells, gate.least_patients)}"
    text = f"worst in {where}: {_shown(figure)} against the champion, {among}"
    return Verdict(name, least <= reliably, text, figure.value, bound)


def _subgroup_ratio(gate: SubgroupGate, outcome: str, mine: Judged | None, theirs: Judged | None) -> Verdict:
    name, factor = f"{outcome}/{gate.name}", gate.factor or 1.0
    allowed = gate.interval or (1.0, 1.0)
    bound = f"95% interval touching {allowed[0]:g} to {allowed[1]:g}, or within {factor:g} times the champion's"
    cells = () if mine is None else mine.cells
    champions = {} if theirs is None else {(c.group, c.level): c.metrics.get(gate.metric) for c in theirs.cells}
    judged: list[tuple[bool, float, str, Figure]] = []
    for cell in cells:
        if _left_out(cell, gate.least_patients) is not None:
            continue
        figure, other = cell.metrics.get(gate.metric), champions.get((cell.group, cell.level))
        for one, whose in ((figure, "the challenger"), (other, "the champion")):
            if one is None or one.value is None:
                why = "not judged" if one is None else one.reason
                return _absent(name, f"{_called(cell)}, {whose}: {why}", bound)
        assert figure is not None and figure.value is not None and other is not None and other.value is not None
        if figure.low is None or figure.high is None:
            return _absent(name, f"{_called(cell)}: {figure.reason or 'no interval'}", bound)
        off, theirs_off = _distance(figure.value), _distance(other.value)
        failed = not _touches(figure.low, figure.high, allowed) and off > theirs_off + math.log(factor)
        judged.append((failed, off, _called(cell), figure))
    if not judged:
        return _absent(name, "no subgroup could be judged" + _not_judged(cells, gate.least_patients), bound)
    failed, _, where, figure = max(judged, key=lambda entry: (entry[0], entry[1]))
    among = f"of {len(judged)} subgroups{_not_judged(cells, gate.least_patients)}"
    text = f"furthest from 1 in {where}: {_shown(figure)}, {among}"
    return Verdict(name, not failed, text, figure.value, bound)


def _distance(ratio: float) -> float:
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def _touches(low: float, high: float, allowed: tuple[float, float]) -> bool:
    return high >= allowed[0] and low <= allowed[1]


def _called(cell: Cell) -> str:
    return f"{cell.group} {cell.level}"


def _left_out(cell: Cell, least: int) -> str | None:
    """Why a subgroup is not judged, or None when it is."""
    if cell.suppressed is None and cell.patients is not None and cell.patients < least:
        return f"fewer than {least} patients"
    return cell.suppressed


def _not_judged(cells: Sequence[Cell], least: int) -> str:
    named = [(_called(c), _left_out(c, least)) for c in cells]
    text = ", ".join(f"{name} ({why})" for name, why in named if why is not None)
    return f"; not judged: {text}" if text else ""


def _shown(figure: Figure) -> str:
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:.4g} to {figure.high:.4g})"
    return f"{figure.value:.4g}{interval}"

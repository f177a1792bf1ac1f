"""`resecta compare`: the comparison of a job's report, in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from features import Specification
from training.comparison import (
    Beside,
    JudgedVersion,
    NothingToCompare,
    beside,
    judged_version,
    version_named,
)
from training.report.glance import Glance, glance, in_a_sentence
from training.report.metric import HEADLINE, ShownMetric, metrics_of, shown
from training.report.tables import ordered_outcomes, outcome_label
from training.report.wording import difference_words, differences, model_words, verdict
from training.store import Store
from validation.evaluation import Evaluation, Figure, ModelFigures

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SHOWN, NOTHING, USAGE = 0, 1, 2
_OUTCOME, _MODEL = 30, 18  # columns a table needs for an outcome and for a model, with their padding
_MARK = {"same": "the same answers", "unclear": "no reliable difference"}


def run_compare(
    store: Store,
    spec: Specification,
    version: str | None = None,
    against: str | None = None,
    metric: str = HEADLINE,
    console: Console | None = None,
) -> int:
    """Print how a version did beside the other models of its job, or beside another version.

    Parameters
    ----------
    version
        Number or alias; the challenger when omitted, the champion where there is none.
    against
        Number or alias of another version; its job's champion, candidates and baselines when omitted.
    metric
        Which figure to tabulate.

    Returns
    -------
    int
        0 shown, 1 when there is nothing to compare (it says what would help), 2 when the metric is unknown.
    """
    out = console or _console()
    try:
        first = judged_version(store, version_named(store, version))
        second = None if against is None else judged_version(store, version_named(store, against))
    except NothingToCompare as nothing:
        out.print(str(nothing), soft_wrap=True, markup=False)
        return NOTHING
    known = [m.name for m in metrics_of(first.evaluation)]
    if metric not in known:
        out.print(f"--metric {metric} was not computed; there are {', '.join(known)}.", soft_wrap=True, markup=False)
        return USAGE
    if second is not None and second.version == first.version:
        out.print(f"--against {against} is the same version; name another one.", soft_wrap=True, markup=False)
        return USAGE
    about = shown(metric)
    _head(first, out)
    if second is None:
        _models(first, spec, about, out)
        _glance(first, spec, about, out)
    else:
        _two(beside(first, second), spec, about, out)
    _say("Warnings", first.evaluation.warnings, out)
    _gates(first, out)
    return SHOWN


def _head(judged: JudgedVersion, out: Console) -> None:
    data = judged.manifest.trained_on
    name = model_words(judged.manifest.learner).label
    _line(
        f"{judged.title[:1].upper()}{judged.title[1:]}: {name}, {data.patients:,} patients of {data.sites} sites.", out
    )
    if judged.manifest.simulated:
        out.print(
            "Simulated patients are no evidence: nothing below says anything about real ones.", style="bold yellow"
        )
    _line(f"Judged on {judged.evaluation.rows.rstrip('.')}.", out)


def _models(judged: JudgedVersion, spec: Specification, metric: ShownMetric, out: Console) -> None:
    room = max(1, (out.width - _OUTCOME) // _MODEL)
    for models in _chunks(judged.evaluation.models, room):
        out.print(_table(judged.evaluation, judged.name, models, spec, metric))
    _line(f"{metric.label}: {metric.means}" if metric.means else metric.label, out)


def _chunks(models: Sequence[ModelFigures], room: int) -> Iterator[Sequence[ModelFigures]]:
    for start in range(0, len(models), room):
        yield models[start : start + room]


def _table(
    evaluation: Evaluation, mine: str, models: Sequence[ModelFigures], spec: Specification, metric: ShownMetric
) -> Table:
    table = _empty(f"{metric.label}, with 95% intervals")
    table.add_column("Outcome", overflow="fold")
    for model in models:
        label = model_words(model.name).label
        table.add_column(f"{label}\nthis model" if model.name == mine else label, justify="right")
    for name in ordered_outcomes(evaluation, spec):
        judged = next(m.outcomes[name] for m in evaluation.models if name in m.outcomes)
        cells = [
            _cell(m.outcomes[name].metrics.get(metric.name) if name in m.outcomes else None, metric) for m in models
        ]
        table.add_row(f"{outcome_label(spec, name)}\n[dim]{judged.events:,} of {judged.patients:,}[/dim]", *cells)
    return table


def _cell(figure: Figure | None, metric: ShownMetric) -> str:
    if figure is None:
        return "\N{EN DASH}"
    if figure.value is None:
        return "[dim]not computed[/dim]"
    return f"{metric.written(figure.value)}\n[dim]{metric.bounds(figure) or 'no interval'}[/dim]"


def _glance(judged: JudgedVersion, spec: Specification, metric: ShownMetric, out: Console) -> None:
    read = glance(judged.evaluation, judged.name, spec)
    _differences(judged.evaluation, judged.name, read, spec, metric, out)
    for sentence in read.tallies:
        _line(sentence, out)
    if judged.deciding is not None and read.against is not None:
        newest = glance(judged.deciding, judged.name, spec)
        if newest.tallies:
            _say("On the newest patients alone, which gates read", (newest.tallies[0], judged.deciding.rows), out)
    _say("For whom", read.for_whom, out)


def _differences(
    evaluation: Evaluation, mine: str, read: Glance, spec: Specification, metric: ShownMetric, out: Console
) -> None:
    if read.against is None:
        _line("No model was compared with this one on the same patients, so none is said to predict better.", out)
        return
    found = {d.outcome: d.figure for d in differences(evaluation, mine, read.against, metric.name)}
    if not found:
        _line(f"{metric.label} was not compared with that of {in_a_sentence(read.against)}.", out)
        return
    _show(found, f"{metric.label}: this model minus {in_a_sentence(read.against)}", evaluation, spec, metric, out)


def _show(
    found: dict[str, Figure], title: str, evaluation: Evaluation, spec: Specification, metric: ShownMetric, out: Console
) -> None:
    table = _empty(title)
    table.add_column("Outcome")
    table.add_column("Difference", justify="right")
    table.add_column("95% interval", justify="right")
    table.add_column("Reading", overflow="fold")
    for name in ordered_outcomes(evaluation, spec):
        if name not in found:
            continue
        figure, said = found[name], verdict(found[name], metric)
        if figure.value is None:
            table.add_row(outcome_label(spec, name), "\N{EN DASH}", "", f"not compared: {figure.reason or 'no reason'}")
            continue
        style = {"better": "bold green", "worse": "bold red"}.get(said, "")
        reading = f"[{style}]{said}[/{style}]" if style else _MARK.get(said, said)
        bounds = metric.bounds(figure, difference=True) or "no interval"
        table.add_row(outcome_label(spec, name), metric.change(figure.value), bounds, reading)
    out.print(table)


def _two(pair: Beside, spec: Specification, metric: ShownMetric, out: Console) -> None:
    if pair.second.manifest.simulated != pair.first.manifest.simulated:
        _line("One of the two was trained on simulated patients, which are no evidence.", out)
    if pair.why_not is None:
        found = {d.outcome: d.figure for d in pair.paired if d.metric == metric.name}
        title = f"{metric.label}: version {pair.first.version} minus version {pair.second.version}, the same patients"
        if not found:
            _line(
                f"{metric.label} was not compared between versions {pair.first.version} and {pair.second.version}.", out
            )
            return
        _show(found, title, pair.first.evaluation, spec, metric, out)
        for name, figure in found.items():
            against = f"version {pair.second.version}"
            _line(f"{outcome_label(spec, name)}: {difference_words(figure, metric, against)}.", out)
        return
    table = _empty(f"{metric.label}, each version on its own patients")
    table.add_column("Outcome", overflow="fold")
    for judged in (pair.first, pair.second):
        table.add_column(f"version {judged.version}\n{model_words(judged.manifest.learner).label}", justify="right")
    for name in dict.fromkeys(n for j in (pair.first, pair.second) for n in ordered_outcomes(j.evaluation, spec)):
        table.add_row(outcome_label(spec, name), *(_own(j, name, metric) for j in (pair.first, pair.second)))
    out.print(table)
    _line(pair.why_not, out)


def _own(judged: JudgedVersion, outcome: str, metric: ShownMetric) -> str:
    own = next((m.outcomes.get(outcome) for m in judged.evaluation.models if m.name == judged.name), None)
    if own is None:
        return "\N{EN DASH}"
    return f"{_cell(own.metrics.get(metric.name), metric)}\n[dim]{own.events:,} of {own.patients:,}[/dim]"


def _gates(judged: JudgedVersion, out: Console) -> None:
    if not judged.gates:
        asked = (
            "evidence needs none" if judged.manifest.trained_on.kind == "evidence" else "`resecta promote` asks them"
        )
        _line(f"Gates: not asked yet; {asked}.", out)
        return
    table = _empty(f"Gates: {sum(g.passed for g in judged.gates)} of {len(judged.gates)} passed")
    table.add_column("Gate", overflow="fold")
    table.add_column("Verdict")
    table.add_column("Figure and bound", overflow="fold")
    for gate in sorted(judged.gates, key=lambda g: (g.passed, g.gate)):
        table.add_row(gate.gate, "passed" if gate.passed else "[bold red]not passed[/bold red]", _plain(gate.text))
    out.print(table)
    if judged.decision is not None:
        _line(f"Decision: {judged.decision}", out)


def _say(title: str, sentences: Sequence[str], out: Console) -> None:
    if sentences:
        out.print(title, style="bold")
    for sentence in sentences:
        _line(f"- {sentence}", out)


def _line(text: str, out: Console) -> None:
    out.print(text, soft_wrap=True, markup=False, highlight=False)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _empty(title: str) -> Table:
    from rich.table import Table

    return Table(title=title, title_justify="left", show_lines=False)


def _console() -> Console:
    from rich.console import Console

    # A pipe has no width of its own.
    return Console(width=None if sys.stdout.isatty() else 140)

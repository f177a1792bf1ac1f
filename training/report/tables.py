"""Tables of the page, as plain data for the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features import Specification
from training.bundle import Manifest
from training.report.metric import HEADLINE, ShownMetric, in_order, metrics_of, shown
from training.report.wording import Verdict, cell_name, differences, model_words, verdict
from validation.evaluation import Cell, Evaluation, Figure


@dataclass(frozen=True)
class Entry:
    """One cell: a figure, its interval, or why there is none."""

    value: str
    bounds: str = ""
    note: str = ""
    mine: bool = False
    said: Verdict | None = None


@dataclass(frozen=True)
class Row:
    """One row: what it is about, events of patients, and its cells; or why there are no cells."""

    label: str
    events: str
    entries: tuple[Entry, ...] = ()
    suppressed: str | None = None


@dataclass(frozen=True)
class Table:
    """A table with its reading."""

    key: str
    title: str
    means: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def outcome_label(spec: Specification, name: str) -> str:
    """An outcome's label with what it is given."""
    outcome = spec.outcomes[name]
    return f"{outcome.label}, {outcome.if_given}" if outcome.if_given else outcome.label


def model_tables(evaluation: Evaluation, mine: str, spec: Specification) -> tuple[Table, ...]:
    """Outcomes by models, one table a metric."""
    return tuple(_model_table(evaluation, mine, spec, metric) for metric in metrics_of(evaluation))


def ordered_outcomes(evaluation: Evaluation, spec: Specification) -> tuple[str, ...]:
    """Outcomes that any model was judged on: headline ones first, then as declared."""
    judged = {name for model in evaluation.models for name in model.outcomes}
    names = [o.name for o in sorted(spec.outcomes.outcomes, key=lambda o: not o.headline) if o.name in judged]
    return tuple(names)


def _model_table(evaluation: Evaluation, mine: str, spec: Specification, metric: ShownMetric) -> Table:
    rows: list[Row] = []
    missing: dict[str, list[str]] = {}
    others: dict[str, None] = {}
    for name in ordered_outcomes(evaluation, spec):
        own = next(m.outcomes[name] for m in evaluation.models if name in m.outcomes)
        entries = []
        for model in evaluation.models:
            judged = model.outcomes.get(name)
            figure = None if judged is None else judged.metrics.get(metric.name)
            if figure is None:
                entries.append(Entry("\N{EN DASH}", mine=model.name == mine))
                continue
            if figure.value is None:
                place = f"{model_words(model.name).label} on {outcome_label(spec, name).lower()}"
                missing.setdefault(figure.reason or "no reason was recorded", []).append(place)
            fewer = judged is not None and judged.patients != own.patients
            others |= {model.name: None} if fewer else {}
            on = f"on {judged.patients:,}" if judged is not None and fewer else ""
            entries.append(entry(figure, metric, model.name == mine, on=on))
        rows.append(Row(outcome_label(spec, name), f"{own.events:,} of {own.patients:,}", tuple(entries)))
    return Table(
        key=metric.name,
        title=metric.label,
        means=metric.means,
        head=tuple(model_words(m.name).label for m in evaluation.models),
        rows=tuple(rows),
        notes=(
            *(_not_computed(reason, places) for reason, places in missing.items()),
            *(
                f"{model_words(n).label}: judged on other patients where it says so; not comparable there."
                for n in others
            ),
        ),
    )


def _not_computed(reason: str, places: Sequence[str], named: int = 4) -> str:
    more = f" and {len(places) - named} more" if len(places) > named else ""
    return f"Not computed ({reason}): {'; '.join(places[:named])}{more}."


def entry(figure: Figure, metric: ShownMetric, mine: bool = False, difference: bool = False, on: str = "") -> Entry:
    """One figure as a cell; `on` says which patients it rests on where they are not the row's."""
    if figure.value is None:
        return Entry("not computed", note=figure.reason or "", mine=mine)
    said = verdict(figure, metric) if difference else None
    bounds = metric.bounds(figure, difference) or "no interval"
    value = (metric.change if difference else metric.written)(figure.value)
    return Entry(value, bounds, on, mine, said)


def subgroup_tables(evaluation: Evaluation, mine: str, against: str | None, spec: Specification) -> tuple[Table, ...]:
    """Subgroups of each outcome under one model, with the difference from another where it was found."""
    tables = []
    for name in ordered_outcomes(evaluation, spec):
        judged = evaluation.model(mine).outcomes.get(name)
        if judged is None or not judged.cells:
            continue
        metrics = in_order(m for cell in judged.cells for m in cell.metrics)
        compared = {} if against is None else {
            (d.group, d.level): d.figure
            for d in differences(evaluation, mine, against, HEADLINE, subgroups=True)
            if d.outcome == name
        }  # fmt: skip
        head = tuple(m.label for m in metrics)
        if compared and against is not None:
            head += (f"{shown(HEADLINE).label}, difference from {model_words(against).label.lower()}",)
        rows = []
        for cell in judged.cells:
            events = _events(cell)
            if cell.suppressed is not None:
                rows.append(Row(cell_name(cell), events, suppressed=cell.suppressed))
                continue
            entries = [entry(cell.metrics[m.name], m) if m.name in cell.metrics else Entry("–") for m in metrics]
            if compared:
                found = compared.get((cell.group, cell.level))
                entries.append(Entry("–") if found is None else entry(found, shown(HEADLINE), difference=True))
            rows.append(Row(cell_name(cell), events, tuple(entries)))
        tables.append(Table(name, outcome_label(spec, name), "", head, tuple(rows)))
    return tuple(tables)


def _events(cell: Cell) -> str:
    if cell.patients is None:
        return "\N{EN DASH}"
    return f"{cell.events:,} of {cell.patients:,}" if cell.events is not None else f"of {cell.patients:,}"


def difference_tables(evaluation: Evaluation, mine: str, against: str, spec: Specification) -> tuple[Table, ...]:
    """Differences of one model from another on every outcome, one table of all metrics whose sign says something."""
    found = [d for d in differences(evaluation, mine, against) if shown(d.metric).better != "near"]
    if not found:
        return ()
    metrics = in_order(d.metric for d in found)
    by_place = {(d.outcome, d.metric): d.figure for d in found}
    rows = []
    for name in ordered_outcomes(evaluation, spec):
        judged = evaluation.model(mine).outcomes.get(name)
        if judged is None or not any((name, m.name) in by_place for m in metrics):
            continue
        entries = tuple(
            entry(by_place[name, m.name], m, difference=True) if (name, m.name) in by_place else Entry("–")
            for m in metrics
        )
        rows.append(Row(outcome_label(spec, name), f"{judged.events:,} of {judged.patients:,}", entries))
    title = f"{model_words(mine).label} minus {model_words(against).label.lower()}"
    return (Table(f"minus-{against}", title, "", tuple(m.label for m in metrics), tuple(rows)),)


def provenance(manifest: Manifest, champion: Manifest | None) -> tuple[tuple[str, str, str, bool], ...]:
    """What a model is made of, beside what the champion is made of; the last entry says whether they differ."""

    def facts(one: Manifest) -> list[tuple[str, str]]:
        data = one.trained_on
        dates = f"{data.first_date} to {data.last_date}" if data.first_date else "\N{EN DASH}"
        learned = sum(o.learner != "evidence" for o in one.outcomes)
        return [
            ("Version", one.version if one.version.isdigit() else "not registered when this was written"),
            ("Learner", model_words(one.learner).label),
            ("Outcomes with something learned", f"{learned} of {len(one.outcomes)}"),
            ("Trained on", data.text),
            ("Patients", f"{data.patients:,}"),
            ("Sites", f"{data.sites:,}"),
            ("Start of treatment", dates),
            ("Data digest", data.data_digest[:12]),
            ("Specification digest", one.spec_digest[:12]),
            ("Code", one.code_version),
            ("Made", one.created),
        ]

    mine = facts(manifest)
    theirs = facts(champion) if champion is not None else [(label, "") for label, _ in mine]
    return tuple(
        (label, a, b, champion is not None and a != b) for (label, a), (_, b) in zip(mine, theirs, strict=True)
    )

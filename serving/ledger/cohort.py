"""Predictions and what became of the patients, as the files that training and the monitor read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features import Kind, Role, Specification
from serving.ledger.entry import Kind as Entry
from serving.ledger.errors import LedgerError
from serving.ledger.ledger import Ledger
from serving.ledger.names import Names, load_names
from serving.ledger.outcome import happened
from serving.ledger.rows import Column, write_rows
from serving.ledger.stored import Stored

Row = dict[str, Any]


@dataclass(frozen=True)
class Followed:
    """A prediction with the latest report of its patient.

    Attributes
    ----------
    entered
        What was entered for the prediction.
    values
        The report, with the site filled in where it names none.
    chances
        P(outcome | given) as answered for the regimen that was started; None when it was not among those answered.
    """

    id: str
    at: str
    version: str
    entered: Mapping[str, Any]
    values: Mapping[str, Any]
    chances: Mapping[str, float] | None


@dataclass(frozen=True)
class CohortFiles:
    """What was written, and what was left out and why."""

    rows: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)


def cohort(
    ledger: Ledger,
    spec: Specification,
    out: Path,
    *,
    site: str | None = None,
    predictions: Path | None = None,
    outcomes: Path | None = None,
) -> CohortFiles:
    """Write the registry of all patients with a report, and the two files of the monitor.

    Parameters
    ----------
    out
        The registry, .csv or .parquet: one row a patient, as `resecta validate` and `resecta retrain` read it.
    site
        Stands where a report names no site.
    predictions, outcomes
        The monitor's two files; None writes none.

    Raises
    ------
    LedgerError
        When there is no patient to write, a site is missing, or a file is of another kind.
    OSError
        When a file cannot be written.
    """
    names, left_out = load_names(spec), Counter[str]()
    followed = _followed(ledger, spec, names, site, left_out)
    if not followed:
        raise LedgerError("No prediction has an outcome yet; nothing was written.")
    rows = {out.name: write_rows(out, _registry_columns(spec, names), _registry(followed, spec, names))}
    if predictions is not None or outcomes is not None:
        monitored = [one for one in followed if _monitored(one, names, left_out)]
        if predictions is not None:
            made = (_prediction(one, spec, names) for one in monitored)
            rows[predictions.name] = write_rows(predictions, _prediction_columns(spec, names), made)
        if outcomes is not None:
            happenings = (_outcome(one, spec, names) for one in monitored)
            rows[outcomes.name] = write_rows(outcomes, _outcome_columns(spec, names), happenings)
    return CohortFiles(rows, dict(left_out))


def _followed(
    ledger: Ledger, spec: Specification, names: Names, site: str | None, left_out: Counter[str]
) -> list[Followed]:
    """Patients with a report: of one with several predictions, the last before cycle 1."""
    reports: dict[str, Stored] = {}
    for report in ledger.stored(Entry.OUTCOME):
        reports[report.record["prediction_id"]] = report
    found: dict[str, Followed] = {}
    nowhere = 0
    for predicted in ledger.stored(Entry.PREDICTION):
        if predicted.id not in reports:
            left_out["predictions without an outcome"] += 1
            continue
        values = dict(reports[predicted.id].record["values"])
        if values.get(names.keys.site) is None:
            nowhere += site is None
            values[names.keys.site] = site
        patient = predicted.record["patient"] or predicted.id
        record = predicted.record
        one = Followed(
            predicted.id,
            predicted.at,
            str(record["model"]["version"]),
            record["inputs"]["entered"],
            values,
            _chances(predicted, values, spec, names),
        )
        if patient in found:
            left_out["earlier predictions of the same patient"] += 1
            if not _in_time(one, names) and _in_time(found[patient], names):
                continue
        found[patient] = one
    if nowhere:
        raise LedgerError(f"{nowhere} reports name no site; say with --site which one stands for them.")
    return list(found.values())


def _in_time(one: Followed, names: Names) -> bool:
    return one.at[:10] <= str(one.values[names.keys.start])


def _recorded(spec: Specification) -> list[str]:
    later = [f.name for f in spec.registry_fields if Role.RECORD in f.roles]
    return [name for name in later if name not in {f.name for f in spec.asked}]


def _started(values: Mapping[str, Any], spec: Specification, names: Names) -> Row:
    plan = names.plan
    regimen = spec.regimens.regimen(values[plan.backbone], values[plan.biologic], values.get(plan.cycles))
    return {
        plan.backbone: regimen.backbone,
        plan.biologic: regimen.biologic,
        plan.cycles: regimen.planned_cycles,
    }


def _column(spec: Specification, name: str) -> Column:
    return Column(name, spec.fields[name].kind if name in spec.fields else Kind.BOOLEAN)


def _registry_columns(spec: Specification, names: Names) -> list[Column]:
    wanted = [*names.keys.model_dump().values(), *(f.name for f in spec.asked), *names.plan.model_dump().values()]
    wanted += [*_recorded(spec), *spec.outcomes.names]
    return [_column(spec, name) for name in dict.fromkeys(wanted)]


def _registry(followed: Iterable[Followed], spec: Specification, names: Names) -> Iterable[Row]:
    followed = list(followed)
    # A column of an outcome's own stands for all rows, also those that tell the outcome by other fields.
    own = {name for one in followed for name in one.values if name in spec.outcomes.names}
    for one in followed:
        told = happened(spec, {**one.entered, **one.values}) if own else {}
        yield {
            **one.entered,
            **one.values,
            **_started(one.values, spec, names),
            **{name: told[name] for name in own},
            names.keys.record: one.id,
        }


def _prediction_columns(spec: Specification, names: Names) -> list[Column]:
    head = [Column(name, Kind.TEXT) for name in names.predictions.model_dump().values()]
    fields = [*(f.name for f in spec.asked), *names.plan.model_dump().values(), names.keys.site]
    chances = [Column(name, Kind.NUMBER) for name in spec.outcomes.names]
    return [*head, *(_column(spec, name) for name in dict.fromkeys(fields)), *chances]


def _prediction(one: Followed, spec: Specification, names: Names) -> Row:
    columns = names.predictions
    return {
        **one.entered,
        **_started(one.values, spec, names),
        names.keys.site: one.values[names.keys.site],
        columns.key: one.id,
        columns.when: one.at,
        columns.version: one.version,
        **(one.chances or {}),
    }


def _monitored(one: Followed, names: Names, left_out: Counter[str]) -> bool:
    if not _in_time(one, names):
        left_out["predictions made after cycle 1, from the monitor's files"] += 1
    elif one.chances is None:
        left_out["patients who started a regimen that was not among those answered, from the monitor's files"] += 1
    else:
        return True
    return False


def _chances(
    predicted: Stored, values: Mapping[str, Any], spec: Specification, names: Names
) -> dict[str, float] | None:
    started = tuple(_started(values, spec, names).values())
    for regimen in json.loads(predicted.answer)["regimens"]:
        if (regimen["backbone"], regimen["biologic"], regimen["planned_cycles"]) == started:
            parts = regimen["outcomes"]
            if set(spec.outcomes.names) <= set(parts):
                return {name: parts[name]["probability"] for name in spec.outcomes.names}
    return None


def _outcome_columns(spec: Specification, names: Names) -> list[Column]:
    dates = [f.name for f in spec.field_with(Role.RECORD) if f.kind is Kind.DATE and not f.identifying]
    fields = [names.keys.start, names.keys.site, *dates, *spec.outcomes.names]
    return [Column(names.outcomes.key, Kind.TEXT), *(_column(spec, name) for name in dict.fromkeys(fields))]


def _outcome(one: Followed, spec: Specification, names: Names) -> Row:
    # Every outcome by its own name: the monitor then reads none from other fields.
    told = happened(spec, {**one.entered, **one.values})
    return {**one.values, **told, names.outcomes.key: one.id}

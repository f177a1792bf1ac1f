"""The two files joined: who was asked about, what was started, and what became of those who are closed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import Kind, Patients, Problem, Regimen, Specification, UnknownRegimen
from training.closed_cohort import closed
from training.monitor.reading import FilesUnreadable, Outcomes, Predictions
from training.registry import Cohort, build_cohort
from training.registry.layout import load_layout
from validation.monitoring.outcome import Closed


@dataclass(frozen=True)
class Material:
    """Everything that is judged.

    Attributes
    ----------
    patients, regimens
        One a prediction, in the order of the file.
    cohort
        Those with a row of outcomes, as a registry of them would give it.
    position
        Row in the predictions of each of the cohort, shape (len(cohort),).
    as_of
        The date as of which closed patients are told from others.
    """

    spec: Specification
    predictions: Predictions
    patients: Patients
    regimens: tuple[Regimen, ...]
    cohort: Cohort | None
    position: NDArray[np.intp]
    as_of: dt.date
    notes: tuple[str, ...]

    @property
    def served(self) -> str:
        """The version of the latest prediction."""
        return str(self.predictions.version[np.argsort(self.predictions.when, kind="stable")[-1]])

    def recent(self, months: int) -> NDArray[np.bool_]:
        """Predictions of the last so many months, the month of `as_of` included."""
        month, now = _months(self.predictions.when), _month(self.as_of)
        return np.asarray((month > now - months) & (month <= now))


def join(predictions: Predictions, outcomes: Outcomes, spec: Specification, as_of: dt.date | None = None) -> Material:
    """Join the files.

    Parameters
    ----------
    as_of
        The newest date in the files when omitted, but no later than today: what happened after they were written is
        not in them.

    Raises
    ------
    FilesUnreadable
        When a regimen is not in the catalogue.
    """
    regimens = _regimens(predictions, spec)
    row_of = {key: row for row, key in enumerate(predictions.key.tolist())}
    rows = [row_of.get(key, -1) for key in outcomes.key.tolist()]
    stray = rows.count(-1)
    notes = [*predictions.notes, *outcomes.notes]
    if stray:
        notes.append(f"{stray} rows of outcomes belong to no prediction and do not count")
    keys = load_layout(spec).keys
    held: dict[str, list[Any]] = {
        keys.record: outcomes.key.tolist(),
        keys.site: [None] * len(rows),
        **{name: [cells[r] for r in rows] for name, cells in predictions.fields.items()},
    }
    for name, cells in outcomes.columns.items():
        before = held.get(name, [None] * len(rows))
        held[name] = [b if c is None else c for b, c in zip(before, cells, strict=True)]
    # Neither file need name the hospital.
    held[keys.site] = [keys.site if site is None else site for site in held[keys.site]]
    known = [i for i, row in enumerate(rows) if row >= 0]
    frame = pd.DataFrame({n: pd.Series([c[i] for i in known], dtype=object) for n, c in held.items()})
    cohort = build_cohort(frame, spec) if known else None
    return Material(
        spec=spec,
        predictions=predictions,
        patients=Patients.from_raw(
            spec, len(predictions), {f.name: predictions.fields[f.name] for f in _asked(predictions, spec)}
        ),
        regimens=regimens,
        cohort=cohort,
        position=np.array([row_of[key] for key in cohort.record.tolist()] if cohort else [], dtype=np.intp),
        as_of=as_of or _newest(predictions, held, spec),
        notes=(*notes, *(cohort.notes if cohort else ())),
    )


def closed_patients(material: Material, outcome: str, since: dt.date | None = None) -> Closed:
    """Closed patients of one outcome whom the latest version with any of them predicted, in order.

    Parameters
    ----------
    since
        Charts start with patients who started on this day or later.
    """
    spec, cohort = material.spec, material.cohort
    declared = spec.outcomes[outcome]
    empty = np.empty(0)
    if cohort is None:
        nobody = np.empty(0, dtype=bool)
        return Closed(
            outcome, _label(declared), empty.astype(np.int64), empty, empty, nobody, nobody, material.served, True
        )
    kept = closed(cohort, material.as_of, spec)[outcome]
    if since is not None:
        kept &= cohort.index_date >= np.datetime64(since, "D")
    version = material.predictions.version[material.position]
    chosen = material.served
    if kept.any() and not (kept & (version == chosen)).any():
        newest = np.flatnonzero(kept)[np.argmax(cohort.index_date[kept])]
        chosen = str(version[newest])
    kept &= version == chosen
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(cohort.index_date[rows], kind="stable")]
    happened = cohort.outcomes[outcome][rows]
    # Of whom it is not known whether they were resected, it is not known what followed either.
    asked = np.ones(len(rows), dtype=bool)
    if declared.given is not None:
        asked = cohort.outcomes[declared.given][rows] != 0
    return Closed(
        outcome=outcome,
        label=_label(declared),
        month=_months(cohort.index_date[rows]),
        chance=material.predictions.chance[outcome][material.position[rows]],
        happened=happened,
        asked=asked,
        undecided=asked if declared.within is None else asked & (cohort.outcomes[declared.within][rows] == 1),
        version=chosen,
        served=chosen == material.served,
    )


def _label(outcome: Any) -> str:
    return f"{outcome.label} ({outcome.if_given})" if outcome.if_given else str(outcome.label)


def _asked(predictions: Predictions, spec: Specification) -> list[Any]:
    return [f for f in spec.asked if f.name in predictions.fields and f.kind is not Kind.TEXT]


def _regimens(predictions: Predictions, spec: Specification) -> tuple[Regimen, ...]:
    plan = load_layout(spec).plan
    n = len(predictions)
    cycles = predictions.fields.get(plan.cycles, [None] * n)
    made: dict[Any, Regimen] = {}
    problems: dict[str, Problem] = {}
    for key in zip(predictions.fields[plan.backbone], predictions.fields[plan.biologic], cycles, strict=True):
        if key in made:
            continue
        try:
            made[key] = spec.regimens.regimen(*key)
        except UnknownRegimen as error:
            problems[str(error)] = Problem("predictions, the regimen started", "unknown_regimen", f"{error}.")
    if problems:
        raise FilesUnreadable(list(problems.values()))
    keys = zip(predictions.fields[plan.backbone], predictions.fields[plan.biologic], cycles, strict=True)
    return tuple(made[key] for key in keys)


def _newest(predictions: Predictions, held: dict[str, list[Any]], spec: Specification) -> dt.date:
    dates = [d for f in spec.fields.values() for d in held.get(f.name, ()) if isinstance(d, dt.date)]
    newest = max([*dates, predictions.when.max().astype(object)])
    return min(newest, dt.datetime.now(dt.UTC).date())


def _months(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return dates.astype("datetime64[M]").astype(np.int64)


def _month(date: dt.date) -> int:
    return int(_months(np.array([date], dtype="datetime64[D]"))[0])

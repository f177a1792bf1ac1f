"""The two files as columns of checked values; every column at fault is named, and no patient's value is."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import Problem, Role, Specification
from training.monitor.layout import load_file_layout
from training.registry import ColumnMap, RegistryUnreadable
from training.registry.cell import outcome_reader, reader, written
from training.registry.layout import load_layout
from training.registry.registry import habits_for
from training.registry.source import Source, read_source

Array = NDArray[np.float64]
Cells = list[Any]
_ROWS_NAMED = 3


class FilesUnreadable(ValueError):
    """A file cannot be used; carries every problem, one line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{p.field}: {p.message}" for p in problems))


@dataclass(frozen=True)
class Predictions:
    """One row a prediction.

    Attributes
    ----------
    key, version
        Shape (n,), texts.
    when
        Shape (n,), ``datetime64[D]``.
    fields
        Valid raw values by field: what was asked, the regimen started, and the keys there are.
    chance
        P(outcome | given) as predicted, by outcome, shape (n,).
    """

    key: NDArray[np.str_]
    when: NDArray[np.datetime64]
    version: NDArray[np.str_]
    fields: Mapping[str, Cells]
    chance: Mapping[str, Array]
    digest: str
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class Outcomes:
    """One row a prediction whose patient started: day 1, and what is known of the outcomes or of the facts they need.

    Attributes
    ----------
    columns
        Valid raw values by field or outcome.
    """

    key: NDArray[np.str_]
    columns: Mapping[str, Cells]
    digest: str
    notes: tuple[str, ...]


def read_predictions(path: Path, spec: Specification) -> Predictions:
    """Read the predictions.

    Raises
    ------
    FilesUnreadable
        Naming every column at fault.
    """
    layout, plan = load_file_layout(spec).predictions, load_layout(spec).plan
    keys = load_layout(spec).keys
    source = _source(path)
    problems = _repeated(source)
    watched = spec.outcomes.names
    fields = {f.name for f in (*spec.asked, *spec.field_with(Role.PLAN))} | {keys.site}
    needed = [layout.key, layout.when, layout.version, plan.backbone, plan.biologic, *watched]
    needed += [f.name for f in spec.asked if f.required]
    problems += _absent(source, dict.fromkeys(needed))
    held = {name: _field(source, name, spec, problems) for name in source.frame.columns if name in fields}
    chance = {n: _column(source, n, _chance, "is not a number from 0 to 1", problems) for n in watched}
    when = _column(source, layout.when, _day, "is not a date or time as YYYY-MM-DD", problems)
    version = _column(source, layout.version, written, "is empty", problems)
    key = _unique(source, layout.key, problems)
    if problems:
        raise FilesUnreadable(problems)
    known = {layout.key, layout.when, layout.version, *watched, *held}
    return Predictions(
        key=np.array(key, dtype=str),
        when=np.array(when, dtype="datetime64[D]"),
        version=np.array(version, dtype=str),
        fields=held,
        chance={name: np.array(cells, dtype=np.float64) for name, cells in chance.items()},
        digest=source.digest,
        notes=_ignored(source, known),
    )


def read_outcomes(path: Path, spec: Specification) -> Outcomes:
    """Read the outcomes.

    Raises
    ------
    FilesUnreadable
        Naming every column at fault.
    """
    layout, keys = load_file_layout(spec).outcomes, load_layout(spec).keys
    source = _source(path)
    problems = _repeated(source)
    problems += _absent(source, dict.fromkeys([layout.key, keys.start]))
    recorded = {fact for o in spec.outcomes.outcomes if o.recorded is not None for fact in o.recorded.facts()}
    # Day 1 lies behind an outcome that is counted from it, and tells none.
    behind = {name for fact in recorded for name in _behind(fact, spec)} - {keys.start}
    fields = {n for n in behind | {keys.site, keys.start} | _dates(spec) if not spec.fields[n].identifying}
    held = {name: _field(source, name, spec, problems) for name in source.frame.columns if name in fields}
    told = [name for name in spec.outcomes.names if name in source.frame.columns]
    truth = outcome_reader(habits_for(layout.key, ColumnMap(), spec, load_layout(spec)))
    for name in told:
        cells = [truth(cell) for cell in source.frame[name].tolist()]
        _judge(source, name, [not isinstance(c, bool | None) for c in cells], "is not yes, no or empty", problems)
        held[name] = cells
    if not told and not behind & set(held):
        what = "has neither an outcome (yes, no or empty) nor a field that tells one"
        problems.append(Problem(source.name, "no_outcomes", f"{what}; add a column such as {spec.outcomes.names[0]}"))
    key = _unique(source, layout.key, problems)
    if problems:
        raise FilesUnreadable(problems)
    return Outcomes(np.array(key, dtype=str), held, source.digest, _ignored(source, {layout.key, *held}))


def _behind(fact: str, spec: Specification) -> set[str]:
    if fact in spec.fields:
        return {fact}
    derived = spec.derived.get(fact)
    return set() if derived is None else {name for part in derived.inputs for name in _behind(part, spec)}


def _dates(spec: Specification) -> set[str]:
    """Dates of what happened later: they tell how far follow-up reaches."""
    return {f.name for f in spec.field_with(Role.RECORD) if f.kind == "date"}


def _source(path: Path) -> Source:
    try:
        return read_source(path)
    except RegistryUnreadable as error:
        raise FilesUnreadable([Problem(path.name, "unreadable", str(error).partition(": ")[2])]) from None


def _repeated(source: Source) -> list[Problem]:
    return [
        Problem(f"{source.name}, column {n}", "duplicate_column", "stands twice; leave one out.")
        for n in source.repeated
    ]


def _absent(source: Source, needed: Mapping[str, None]) -> list[Problem]:
    return [
        Problem(f"{source.name}, column {name}", "missing_column", "is not there; add it.")
        for name in needed
        if name not in source.frame.columns
    ]


def _ignored(source: Source, known: set[str]) -> tuple[str, ...]:
    others = [str(c) for c in source.frame.columns if c not in known]
    return (f"{source.name}: not read: {', '.join(others)}",) if others else ()


def _field(source: Source, name: str, spec: Specification, problems: list[Problem]) -> Cells:
    field = spec.fields[name]
    read = reader(field, habits_for(name, ColumnMap(), spec, load_layout(spec)))
    values = [read(cell) for cell in source.frame[name].tolist()]
    found: Counter[tuple[str, str]] = Counter()
    rows: dict[tuple[str, str], list[int]] = {}
    for row, value in enumerate(values):
        problem = field.problem(value)
        if problem is not None:
            found[problem.code, problem.message] += 1
            rows.setdefault((problem.code, problem.message), []).append(row)
    problems += [
        Problem(f"{source.name}, column {name}", code, f"{_where(rows[code, message])}: {message}")
        for code, message in found
    ]
    return values


def _column(source: Source, name: str, read: Callable[[Any], Any], wrong: str, problems: list[Problem]) -> Cells:
    if name not in source.frame.columns:
        return []
    values = [read(cell) for cell in source.frame[name].tolist()]
    _judge(source, name, [value is None or value == "" for value in values], wrong, problems)
    return values


def _judge(source: Source, name: str, bad: Sequence[bool], wrong: str, problems: list[Problem]) -> None:
    rows = [row for row, is_bad in enumerate(bad) if is_bad]
    if rows:
        problems.append(Problem(f"{source.name}, column {name}", "wrong_value", f"{_where(rows)}: {wrong}."))


def _where(rows: Sequence[int]) -> str:
    # The header is line 1 of the file.
    named = ", ".join(str(row + 2) for row in rows[:_ROWS_NAMED])
    return f"{len(rows)} rows (line {named}{', ...' if len(rows) > _ROWS_NAMED else ''})"


def _unique(source: Source, name: str, problems: list[Problem]) -> Cells:
    cells = _column(source, name, written, "is empty", problems)
    first: set[Any] = set()
    again = []
    for cell in cells:
        again.append(cell in first and bool(cell))
        first.add(cell)
    _judge(source, name, again, "repeats an earlier row; give one row a prediction", problems)
    return cells


def _chance(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value <= 1 else None


def _day(cell: Any) -> dt.date | None:
    text = written(cell)
    try:
        return None if text is None else dt.datetime.fromisoformat(text).date()
    except ValueError:
        return None

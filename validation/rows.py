"""The registry as a table that expectations can read: one row a patient, with a few columns computed from others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import Field, Kind, Part, Specification, Time
from validation.cell import ACCEPTED, each, plain, written
from validation.facts import Answers, RowFacts, row_facts
from validation.keys import Keys

#: Suffixes of the computed columns.
WRITTEN, UNIT, DUE, ORPHAN = ".written", ".unit", ".due", ".without_parent"
RULE = "rule."
SAME = "same_values_as"
#: Entries of a `DUE` column; empty where nothing was due.
RECORDED, LACKING = "recorded", "lacking"
#: Between the codes of a multiple choice.
SEPARATOR = "|"
#: Fewest recorded values with which two rows that agree in all of them are taken for one patient (a judgement).
ENOUGH_TO_TELL = 12


Cells = list[Any] | NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """The table, and the facts behind it.

    Attributes
    ----------
    table
        Indexed by the row's position in the registry. A field's own column holds what could be read as its kind;
        ``field.written`` says how each cell is written, ``field.unit`` the unit suspected of an impossible value,
        ``field.due`` whether a value that was due is there, ``rule.code`` whether a consistency rule is broken.
    facts
        What each row says.
    happened
        Outcomes, see `RowFacts.happened`.
    """

    table: pd.DataFrame
    facts: RowFacts
    happened: dict[str, Answers]
    sites: list[str | None]
    patients: list[str | None]

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.table)


def read_rows(frame: pd.DataFrame, spec: Specification) -> Rows:
    """Make the table of a registry whose columns carry the names of the specification.

    Raises
    ------
    ValueError
        When a column is given twice.
    """
    twice = sorted({str(c) for c in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise ValueError(f"columns given more than once: {', '.join(twice)}; keep one of each")
    n = len(frame)
    columns: dict[str, Cells] = {}
    valid: dict[str, list[Any]] = {}
    for field in spec.registry_fields:
        if field.name in frame.columns:
            cells = each(plain, frame[field.name].tolist())
            columns.update(_columns(field, cells))
            valid[field.name] = each(partial(_standing, field), cells)
    outcomes: dict[str, Answers] = {}
    for name in spec.outcomes.names:
        if name in frame.columns:
            cells = each(plain, frame[name].tolist())
            columns[f"{name}{WRITTEN}"] = each(written, cells)
            outcomes[name] = [v if isinstance(v, bool) else None for v in cells]
    facts = row_facts(spec, n, valid, outcomes)
    for rule in spec.consistency:
        columns[f"{RULE}{rule.code}"] = [rule.code if broken else None for broken in facts.answers(rule.when)]
    columns.update(_orphans(spec, outcomes))
    happened = facts.happened()
    resected = happened[spec.outcomes.part(Part.RESECTION).name]
    for field in spec.registry_fields:
        if field.name in frame.columns and due_with_surgery(field):
            cells = list(columns[f"{field.name}{WRITTEN}"])
            columns[f"{field.name}{DUE}"] = [
                (RECORDED if c else LACKING) if r else None for c, r in zip(cells, resected, strict=True)
            ]
    columns[SAME] = _profiles(spec, valid, n)
    # Plain objects: Great Expectations filters the whole table often, and Arrow's texts are slow to take from.
    index = pd.RangeIndex(n)
    made = {name: pd.Series(cells, index, dtype=_dtype(cells)) for name, cells in columns.items()}
    table = pd.DataFrame(made, index)
    keys = Keys.of(spec)
    return Rows(
        table,
        facts,
        happened,
        sites=valid.get(keys.site.name) or [None] * n,
        patients=valid.get(keys.patient.name) or [None] * n,
    )


def due_with_surgery(field: Field) -> bool:
    """Whether a field is recorded only of those who were operated on."""
    return Time.SURGERY.by(field.known_at)


def _standing(field: Field, value: Any) -> Any:
    return None if field.problem(value) else value


def _columns(field: Field, cells: list[Any]) -> dict[str, Cells]:
    ways = each(written, cells)
    accepted = ACCEPTED[field.kind]
    read = [v if w in accepted else None for v, w in zip(cells, ways, strict=True)]
    columns: dict[str, Cells] = {f"{field.name}{WRITTEN}": ways}
    if field.numeric:
        numbers = np.array([np.nan if v is None else float(v) for v in read], dtype=np.float64)
        columns[field.name] = numbers
        if field.unit_slips:
            columns[f"{field.name}{UNIT}"] = _suspected(field, numbers)
    elif field.kind is Kind.CODES:
        # A separator inside a code would make two codes of it.
        columns[field.name] = [v if v is None else SEPARATOR.join(c.replace(SEPARATOR, "/") for c in v) for v in read]
    elif field.kind is Kind.DATE:
        columns[field.name] = [v if v is None or isinstance(v, str) else v.isoformat() for v in read]
    else:
        columns[field.name] = read
    return columns


def _dtype(cells: Cells) -> Any:
    return cells.dtype if isinstance(cells, np.ndarray) else object


def _suspected(field: Field, numbers: np.ndarray) -> list[str | None]:
    """Unit in which an impossible value would make sense."""
    low, high = field.hard or (-np.inf, np.inf)
    units: list[str | None] = [None] * len(numbers)
    for i in np.flatnonzero((numbers < low) | (numbers > high)):
        if numbers[i] in field.special:
            continue
        units[i] = next((s.unit for s in field.unit_slips if s.suspect[0] <= numbers[i] <= s.suspect[1]), None)
    return units


def _orphans(spec: Specification, outcomes: dict[str, Answers]) -> dict[str, list[str | None]]:
    """Outcomes that are recorded as having happened without their parent event."""
    found: dict[str, list[str | None]] = {}
    for outcome in spec.outcomes.outcomes:
        if outcome.name in outcomes and outcome.within in outcomes:
            pairs = zip(outcomes[outcome.name], outcomes[outcome.within], strict=True)
            found[f"{outcome.name}{ORPHAN}"] = [outcome.within if c and p is False else None for c, p in pairs]
    return found


def _profiles(spec: Specification, valid: dict[str, list[Any]], n: int) -> list[str | None]:
    """A digest of everything recorded before cycle 1, for rows with enough to tell patients apart."""
    names = [f.name for f in spec.asked if f.name in valid]
    profiles: list[str | None] = [None] * n
    for i, row in enumerate(zip(*(valid[name] for name in names), strict=True)):
        if sum(v is not None for v in row) >= ENOUGH_TO_TELL:
            profiles[i] = hashlib.sha256(repr(row).encode()).hexdigest()[:16]
    return profiles

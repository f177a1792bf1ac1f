"""Patients as a coded column store: one float array per column, NaN where not known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.derived import FORMULAS, Derived
from features.field import Field, Kind
from features.problem import InvalidValues, Problem

if TYPE_CHECKING:
    from features.specification import Specification

Column = NDArray[np.float64]
_NOBODY = np.full(1, np.nan)  # what is not known of one patient
_NOBODY.flags.writeable = False


def coder(field: Field) -> Callable[[Any], float]:
    """Return the function that turns one raw, valid value into its code.

    Numbers stay numbers, booleans become 0 and 1, categories the position of their code, dates ordinal days.
    """
    if field.kind is Kind.CATEGORY:
        positions = {code: float(i) for i, code in enumerate(field.codes)}
        return lambda v: positions[v] if v in positions else _refuse(field, v)
    if field.kind is Kind.DATE:
        return lambda v: float(_date(v).toordinal())
    if field.kind is Kind.BOOLEAN:
        return lambda v: float(bool(v))
    return float


def _refuse(field: Field, value: object) -> float:
    problem = field.problem(value)
    raise ValueError(problem.message if problem else f"{field.label} cannot be coded")


def _date(value: Any) -> dt.date:
    return dt.date.fromisoformat(value) if isinstance(value, str) else value


def _problems(spec: Specification, records: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Every problem of every record; its path begins with the position of the record when there are several."""
    found: list[Problem] = []
    for i, record in enumerate(records):
        path = f"{i}." if len(records) > 1 else ""
        for name in dict.fromkeys([*(f.name for f in spec.asked), *record]):
            field = spec.fields.get(name)
            if field is None:
                problem: Problem | None = Problem(name, "unknown_field", f"{name} is not in the specification.")
            else:
                problem = field.problem(record.get(name))
            if problem is not None:
                found.append(replace(problem, field=f"{path}{name}"))
    return found


class Patients:
    """A table of patients in coded form.

    Parameters
    ----------
    spec
        The specification whose fields the columns follow.
    n
        Number of patients.
    columns
        Arrays of shape (n,) by column name (a field's name, or ``field=code`` for a multiple choice).

    Notes
    -----
    Columns that are not given read as NaN. Derived fields are computed on first use.
    """

    def __init__(self, spec: Specification, n: int, columns: Mapping[str, Column]) -> None:
        unknown = set(columns) - set(spec.columns)
        if unknown:
            raise ValueError(f"unknown columns: {', '.join(sorted(unknown))}")
        self.spec = spec
        self.n = n
        self._columns: dict[str, Column] = dict(columns)
        self._known: dict[str, NDArray[np.bool_]] = {}
        #: Of a single patient, what `Encoding.patient_matrix` made before, by the factors.
        self.matrices: dict[tuple[str, ...], NDArray[np.float64]] = {}

    @classmethod
    def from_records(cls, spec: Specification, records: Sequence[Mapping[str, Any]], check: bool = False) -> Patients:
        """Code a list of raw records (values as JSON gives them; absent or None is unknown).

        Parameters
        ----------
        check
            Judge every value first, and the asked fields that are required. Leave it out only where that has been
            done: by the request model, or by validation.

        Raises
        ------
        InvalidValues
            With every problem, when `check` is true and there is any.
        """
        if check:
            problems = _problems(spec, records)
            if problems:
                raise InvalidValues(problems)
        names = {name for record in records for name in record}
        raw = {name: [record.get(name) for record in records] for name in names}
        return cls.from_raw(spec, len(records), raw)

    @classmethod
    def from_raw(cls, spec: Specification, n: int, raw: Mapping[str, Sequence[Any]]) -> Patients:
        """Code raw values given by field.

        Raises
        ------
        ValueError
            At the first value that has no code. Limits are not checked here; see `from_records`.
        """
        columns: dict[str, Column] = {}
        for name, values in raw.items():
            field = spec.fields[name]
            if field.kind is Kind.TEXT:
                continue
            if field.kind is Kind.CODES:
                absent = np.array([field.is_missing(v) for v in values])
                for code, column in zip(field.codes, field.columns, strict=True):
                    held = [not a and code in v for a, v in zip(absent, values, strict=True)]
                    columns[column] = np.where(absent, np.nan, np.array(held, dtype=np.float64))
            else:
                code_of = coder(field)
                columns[name] = np.fromiter(
                    (np.nan if field.is_missing(v) else code_of(v) for v in values), np.float64, count=n
                )
        return cls(spec, n, columns)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, name: str) -> Column:
        """Column of a field or derived field, shape (n,)."""
        found = self._columns.get(name)
        if found is not None:
            return found
        derived = self.spec.derived.get(name)
        if derived is None:
            if name not in self.spec.columns:
                raise KeyError(f"unknown column {name}")
            return _NOBODY if self.n == 1 else np.full(self.n, np.nan)
        if self.n == 1:
            return self._remembered(derived)
        column = self._columns[name] = self._derive(derived)
        return column

    def _remembered(self, derived: Derived) -> Column:
        """A derived field of one patient; it depends on a few numbers, and the common ones are remembered."""
        key = (derived.name, *(None if x != x else x for x in (float(self[i][0]) for i in derived.inputs)))
        memory = self.spec.derived_memory
        found = memory.get(key)
        if found is None:
            found = self._derive(derived)
            found.flags.writeable = False
            memory.keep(key, found)
        self._columns[derived.name] = found
        return found

    def _derive(self, derived: Derived) -> Column:
        inputs = [self[i] for i in derived.inputs]
        if derived.formula is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
                column = FORMULAS[derived.formula](*inputs)
        else:
            source, target = self.spec.codes(derived.inputs[0]), list(derived.codes)
            positions = np.array([target.index(derived.lookup[c]) if c in derived.lookup else np.nan for c in source])
            known = ~np.isnan(inputs[0])
            column = np.full(self.n, np.nan)
            column[known] = positions[inputs[0][known].astype(int)]
        return column

    def known(self, name: str) -> NDArray[np.bool_]:
        """Where a field is known: recorded, and not by a code that means "not known"."""
        found = self._known.get(name)
        if found is None:
            field = self.spec.fields.get(name)
            column = self[field.columns[0]] if field is not None else self[name]
            found = ~np.isnan(column)
            if field is not None:
                for code in field.unknown_codes:
                    found &= column != list(field.codes).index(code)
            found.flags.writeable = False
            self._known[name] = found
        return found

    @cached_property
    def single(self) -> Mapping[str, float]:
        """Of the first patient, what is known, by column: neither missing nor a code that means "not known"."""
        unknown = self.spec.unknown_positions
        numbers = {name: float(column[0]) for name, column in self._columns.items() if name in self.spec.columns}
        return {name: x for name, x in numbers.items() if x == x and x not in unknown.get(name, ())}

    @property
    def recorded(self) -> frozenset[str]:
        """Fields of which anything was recorded, be it that it is not known."""
        return frozenset(name.partition("=")[0] for name in self._columns if name in self.spec.columns)

    def take(self, rows: NDArray[Any]) -> Patients:
        """Patients at the given positions or mask, in that order (repeats allowed)."""
        columns = {k: v[rows] for k, v in self._columns.items() if k in self.spec.columns}
        size = int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows)
        return Patients(self.spec, size, columns)

    def replace(self, columns: Mapping[str, Column]) -> Patients:
        """The same patients with some recorded columns replaced; derived fields are computed anew."""
        kept = {k: v for k, v in self._columns.items() if k in self.spec.columns}
        return Patients(self.spec, self.n, {**kept, **columns})

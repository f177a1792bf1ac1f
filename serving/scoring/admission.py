"""From the columns of a chunk to patients: every value is judged as in a request, once for values that are alike."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features import Field, Kind, Patients, Problem, Regimen, Specification, UnknownRegimen
from features.patients import coder
from serving.scoring.plan import PlanFields

Column = NDArray[np.float64]

_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_BETWEEN_CODES = re.compile(r"[;|]")


@dataclass(frozen=True)
class Rejected:
    """What is wrong with a row; no value is repeated."""

    row: int
    problem: Problem


@dataclass(frozen=True)
class Admitted:
    """The patients of a chunk that can be scored.

    Attributes
    ----------
    rows
        Their positions in the chunk.
    regimens
        Each patient's planned regimen; None when all patients are scored under the same ones.
    rejected
        Problems of the others, by position in the chunk.
    """

    patients: Patients
    rows: NDArray[np.intp]
    regimens: tuple[Regimen, ...] | None
    rejected: tuple[Rejected, ...]


def admit(data: pa.Table, spec: Specification, plan: PlanFields | None = None) -> Admitted:
    """Judge the rows of a table whose columns are named as in the specification; other columns are not read.

    Parameters
    ----------
    plan
        Fields of the regimen planned for each patient, where those are to be scored.
    """
    n = data.num_rows
    rejected: list[Rejected] = []
    faulty = np.zeros(n, dtype=bool)
    columns: dict[str, Column] = {}
    for field in spec.asked:
        if field.name in data.column_names:
            cells = _Cells.of(data.column(field.name), field)
            columns |= cells.coded()
            for position, problem in cells.problems():
                faulty[position] = True
                rejected += [Rejected(int(i), problem) for i in position]
        elif field.required:
            raise ValueError(f"the column {field.name} is required")
    regimens: list[Regimen | None] | None = None
    if plan is not None:
        regimens, unknown = _planned(data, spec, plan)
        rejected += unknown
        faulty[[r.row for r in unknown]] = True
    rows = np.flatnonzero(~faulty)
    chosen = None if regimens is None else tuple(r for i in rows if (r := regimens[i]) is not None)
    patients = Patients(spec, len(rows), {name: column[rows] for name, column in columns.items()})
    return Admitted(patients, rows, chosen, tuple(sorted(rejected, key=lambda r: r.row)))


@dataclass(frozen=True)
class _Cells:
    """One column: its different values as the specification would read them, and which of them each row has."""

    field: Field
    values: list[Any]
    found: list[Problem | None]
    which: NDArray[np.int64]

    @classmethod
    def of(cls, column: pa.ChunkedArray, field: Field) -> _Cells:
        lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        if lists:
            written = [None if v is None else tuple(v) for v in column.to_pylist()]
            places = {v: i for i, v in enumerate(dict.fromkeys(written))}
            different: list[Any] = [None if v is None else list(v) for v in places]
            which = np.fromiter((places[v] for v in written), dtype=np.int64, count=len(written))
        else:
            encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
            different = encoded.dictionary.to_pylist()
            which = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        values = [_as_given(field, v) for v in different]
        return cls(field, values, [field.problem(v) for v in values], which)

    def coded(self) -> dict[str, Column]:
        """Columns of the field; what is at fault is as if not known, and its row is not scored."""
        sound = [None if p else v for v, p in zip(self.values, self.found, strict=True)]
        field = self.field
        if field.kind is Kind.CODES:
            return {
                name: self._spread([math.nan if field.is_missing(v) else float(code in (v or ())) for v in sound])
                for code, name in zip(field.codes, field.columns, strict=True)
            }
        code_of = coder(field)
        return {field.name: self._spread([math.nan if field.is_missing(v) else code_of(v) for v in sound])}

    def problems(self) -> list[tuple[NDArray[np.intp], Problem]]:
        """Rows of each value that is at fault."""
        return [(np.flatnonzero(self.which == j), p) for j, p in enumerate(self.found) if p is not None]

    def _spread(self, codes: Sequence[float]) -> Column:
        return np.array(codes, dtype=np.float64)[self.which]


def _as_given(field: Field, value: Any) -> Any:
    """Read a cell as a request would have given it; what cannot be read stays as it is, and is refused for that."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if field.numeric:
            return _number(text)
        if field.kind is Kind.BOOLEAN:
            return True if text.lower() in _TRUE else False if text.lower() in _FALSE else text
        if field.kind is Kind.CODES:
            return [part.strip() for part in _BETWEEN_CODES.split(text)]
        return text
    if field.kind is Kind.BOOLEAN and not isinstance(value, bool) and value in (0, 1):
        return bool(value)  # Parquet made by pandas has numbers where some are missing
    if field.numeric and value is not None and not isinstance(value, bool | int | float) and hasattr(value, "as_tuple"):
        return float(value)  # a decimal
    return value


def _number(text: str) -> Any:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    # What a CSV calls missing has been read as such; "nan" and "inf" written otherwise are no numbers.
    return number if math.isfinite(number) and "_" not in text else text


def _planned(data: pa.Table, spec: Specification, plan: PlanFields) -> tuple[list[Regimen | None], list[Rejected]]:
    fields = (plan.backbone, plan.biologic, plan.cycles)
    read: dict[str, list[Any]] = {}
    rejected: list[Rejected] = []
    for field in fields:
        if field.name not in data.column_names:
            read[field.name] = [None] * data.num_rows
            continue
        cells = _Cells.of(data.column(field.name), field)
        for position, problem in cells.problems():
            rejected += [Rejected(int(i), problem) for i in position]
        sound = [None if p else v for v, p in zip(cells.values, cells.found, strict=True)]
        read[field.name] = [sound[j] for j in cells.which]
    at_fault = {r.row for r in rejected}
    known: dict[tuple[Any, Any, Any], Regimen | Problem] = {}
    regimens: list[Regimen | None] = []
    for i, key in enumerate(zip(*(read[f.name] for f in fields), strict=True)):
        if key not in known:
            known[key] = _regimen(spec, plan, key)
        found = known[key]
        if isinstance(found, Problem):
            regimens.append(None)
            if i not in at_fault:
                rejected.append(Rejected(i, found))
        else:
            regimens.append(found)
    return regimens, rejected


def _regimen(spec: Specification, plan: PlanFields, key: tuple[Any, Any, Any]) -> Regimen | Problem:
    backbone, biologic, cycles = key
    for field, value in ((plan.backbone, backbone), (plan.biologic, biologic)):
        if value is None:
            return Problem(field.name, "missing_required", f"{field.label} is required where it is to be scored.")
    try:
        return spec.regimens.regimen(backbone, biologic, None if cycles is None else int(cycles))
    except UnknownRegimen as unknown:
        return Problem(plan.cycles.name, "unknown_regimen", f"{plan.cycles.label}: {unknown}.")

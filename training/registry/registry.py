"""A registry under the specification's own names, its values still unjudged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from features import Kind, Problem, Specification
from training.registry.cell import Habits, outcome_reader, reader, written
from training.registry.column_map import ColumnMap, load_column_map
from training.registry.columns import Matched, match_columns
from training.registry.layout import Layout, load_layout
from training.registry.regimen_cell import backbone_name, biologic_name, both_names, refusal
from training.registry.source import Source, read_source
from training.registry.sql import Database


@dataclass(frozen=True)
class Registry:
    """A registry as read.

    Attributes
    ----------
    frame
        One row per record, in the order of the file; columns by field (or outcome) name, in the specification's
        order; cells are int, float, bool, str, ``datetime.date``, list of codes, or None. A cell that could not be
        read is still the text it was, so that validation can name it. Columns that no field claims, or that identify
        patients, follow by header with their values left out.
    description
        File name, or database and table, with its numbers of rows and columns.
    digest
        SHA-256 of the file, or of the rows of a database.
    simulated
        Whether any row is marked as invented.
    columns
        Our name -> the header it was read from.
    unmapped
        Headers that no field claims.
    problems
        What was wrong with the file's columns; cells are judged by validation.
    notes
        What was translated (aliases, synonyms, units), in words without any patient's value.
    """

    frame: pd.DataFrame
    description: str
    digest: str
    simulated: bool
    columns: Mapping[str, str]
    unmapped: tuple[str, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def read_registry(
    path: Path | str | Database, spec: Specification, column_map: ColumnMap | Path | str | None = None
) -> Registry:
    """Read a registry.

    Parameters
    ----------
    path
        A .csv or .parquet file, a database, or the address of one with its table.
    column_map
        How it differs from the specification, or the YAML file that says so; None when it does not differ.

    Raises
    ------
    RegistryUnreadable
        When the file or database as a whole cannot be read.
    AddressRefused
        When an address, table or query is not one that can be read.
    ColumnMapError
        Naming every entry of the column map at fault.
    """
    layout = load_layout(spec)
    if column_map is None:
        mapping = ColumnMap()
    elif isinstance(column_map, ColumnMap):
        mapping = column_map
    else:
        mapping = load_column_map(column_map, spec, layout)
    source = read_source(path, mapping.separator, mapping.encoding)
    matched = match_columns([str(c) for c in source.frame.columns], mapping, spec, layout)
    _report_file(source, matched, mapping)
    values = _values(source.frame, matched, mapping, spec, layout)
    _regimens(values, matched, spec, layout)
    _fill_defaults(values, len(source.frame), matched, mapping, spec, layout)
    order = [*spec.fields, *spec.outcomes.names]
    nothing: list[Any] = [None] * len(source.frame)
    held = {name: values[name] for name in order if name in values}
    held |= {header: nothing for header in matched.unmapped if header not in held}
    frame = pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in held.items()}, index=source.frame.index)
    simulated = _simulated(source.frame, matched, layout)
    return Registry(
        frame=frame,
        description=f"{source.name} ({len(source.frame):,} rows, {len(source.frame.columns)} columns)",
        digest=source.digest,
        simulated=simulated,
        columns=MappingProxyType(dict(matched.columns)),
        unmapped=tuple(matched.unmapped),
        problems=tuple(matched.problems),
        notes=tuple(matched.notes),
    )


def habits_for(name: str, mapping: ColumnMap, spec: Specification, layout: Layout) -> Habits:
    """How the cells of one field are written."""
    return Habits(
        missing=frozenset(word.lower() for word in (*layout.missing, *mapping.missing)),
        true_words=frozenset(layout.true_words),
        false_words=frozenset(layout.false_words),
        decimal=mapping.decimal,
        dates=mapping.dates,
        factor=mapping.factor(name, spec),
        codes={k.strip().lower(): v for k, v in mapping.codes.get(name, {}).items()},
    )


def _values(
    raw: pd.DataFrame, matched: Matched, mapping: ColumnMap, spec: Specification, layout: Layout
) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for name, header in matched.columns.items():
        cells = raw[header].tolist()
        field, habits = spec.fields.get(name), habits_for(name, mapping, spec, layout)
        if field is not None and field.identifying:
            values[name] = [None] * len(cells)
            matched.notes.append(f"the column {header} identifies patients ({name}); its values were not kept")
            continue
        if name == layout.regimen_column:
            values[name] = [written(cell) or None for cell in cells]
            continue
        read = outcome_reader(habits) if field is None else reader(field, habits)
        values[name] = _each(cells, read)
        changed = sum(1 for a, b in zip(cells, values[name], strict=True) if isinstance(b, str) and written(a) != b)
        if field is not None and field.kind is Kind.CATEGORY and changed:
            matched.notes.append(f"{name}: synonyms are read as codes in {changed:,} rows")
        if habits.factor != 1.0:
            matched.notes.append(f"{name}: multiplied by {habits.factor:g}")
    for name, boxes in matched.checkboxes.items():
        if name in values:
            continue
        # Codes name the boxes, by their headers; within a box 1 is a tick, even where a code is called 1.
        box = outcome_reader(replace(habits_for(name, mapping, spec, layout), codes={}))
        ticked = {c: _each(raw[h].tolist(), box) for c, h in boxes.items()}
        rows = zip(*ticked.values(), strict=True)
        # An unticked box may also mean "not asked", so a row without any tick is not recorded.
        values[name] = [[c for c, t in zip(ticked, row, strict=True) if t is True] or None for row in rows]
        matched.columns[name] = f"{next(iter(boxes.values())).rpartition('___')[0]}___*"
        matched.notes.append(f"{name}: read from {len(boxes)} checkboxes; a row without a tick counts as not recorded")
    return values


def _each(cells: list[Any], read: Callable[[Any], Any]) -> list[Any]:
    known: dict[Any, Any] = {}
    values = []
    for cell in cells:
        if isinstance(cell, str):
            if cell not in known:
                known[cell] = read(cell)
            values.append(known[cell])
        else:
            values.append(read(cell))
    return values


def _regimens(values: dict[str, list[Any]], matched: Matched, spec: Specification, layout: Layout) -> None:
    plan = layout.plan
    combined = values.pop(layout.regimen_column, None)
    if combined is not None:
        known = {cell: both_names(cell, spec) for cell in set(combined)}
        header = matched.columns.pop(layout.regimen_column)
        for name, place in ((plan.backbone, 0), (plan.biologic, 1)):
            if name not in values:
                values[name] = [known[cell][place] for cell in combined]
                matched.columns[name] = header
                matched.notes.append(f"{name} is read from the column {header}")
    for name, meant in ((plan.backbone, backbone_name), (plan.biologic, biologic_name)):
        if name in values:
            before = values[name]
            values[name] = _each(before, lambda cell, meant=meant: meant(cell, spec))  # type: ignore[misc]
            changed = sum(1 for a, b in zip(before, values[name], strict=True) if a != b)
            if changed:
                matched.notes.append(f"{name}: synonyms are read as codes in {changed:,} rows")
    reasons: dict[str, int] = {}
    for cell in values.get(plan.backbone, []):
        reason = None if cell is None or cell in spec.codes(plan.backbone) else refusal(cell, spec)
        if reason is not None:
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in reasons.items():
        # Validation names the rows; only here is the reason known.
        matched.notes.append(f"{plan.backbone}: {count:,} rows: {reason}")


def _fill_defaults(
    values: dict[str, list[Any]], n: int, matched: Matched, mapping: ColumnMap, spec: Specification, layout: Layout
) -> None:
    for name, text in mapping.defaults.items():
        plain_habits = replace(habits_for(name, mapping, spec, layout), codes={}, factor=1.0)
        value = reader(spec.fields[name], plain_habits)(text)
        held = values.get(name, [None] * n)
        values[name] = [value if v is None else v for v in held]
        filled = sum(v is None for v in held)
        matched.columns.setdefault(name, "(column map)")
        matched.notes.append(f"{name}: the default of the column map stands in {filled:,} rows")


def _report_file(source: Source, matched: Matched, mapping: ColumnMap) -> None:
    for header in source.repeated:
        matched.problems.append(
            Problem(header, "duplicate_column", f"The header {header} stands twice; only its first column is read.")
        )
    if source.separator not in (None, ",", mapping.separator):
        matched.notes.append(f"columns are separated by {source.separator!r}")


def _simulated(raw: pd.DataFrame, matched: Matched, layout: Layout) -> bool:
    if layout.simulated_column not in raw.columns:
        return False
    truths = {str(v).strip().lower() in layout.true_words for v in raw[layout.simulated_column]}
    if truths == {True, False}:
        matched.problems.append(
            Problem(
                layout.simulated_column,
                "mixed_simulated",
                "Some rows are marked as simulated and others are not; keep invented and real patients apart.",
            )
        )
    return True in truths

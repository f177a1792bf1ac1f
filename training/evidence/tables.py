"""The published tables: read as they were transcribed, and refused whole when a cell does not fit its column."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

import yaml

from features.field import Frozen

Cell = str | float | None
Row = Mapping[str, Cell]
DEFINITIONS = "tables.yaml"


class TableRefused(ValueError):
    """A table that does not fit its definition; the message names file, row and column of every fault."""


class Column(Frozen):
    """One column.

    Attributes
    ----------
    kind
        ``count`` is a whole number of people, ``percent`` lies in 0-100; an empty cell reads as None.
    codes, prefixes
        The closed vocabulary of a text column: one of the codes, or anything that starts with a prefix.
    """

    name: str
    kind: Literal["text", "number", "count", "percent", "year"]
    required: bool = False
    codes: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    def read(self, text: str) -> Cell:
        """Return the value of a cell.

        Raises
        ------
        ValueError
            Saying what is allowed.
        """
        if text == "":
            if self.required:
                raise ValueError("is empty but required")
            return None
        if self.kind == "text":
            if (self.codes or self.prefixes) and text not in self.codes and not text.startswith(self.prefixes):
                allowed = ", ".join((*self.codes, *(f"{p}..." for p in self.prefixes)))
                raise ValueError(f"{text!r} is not one of {allowed}")
            return text
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
        if self.kind == "percent" and not 0 <= value <= 100:
            raise ValueError(f"{text} is not a percentage from 0 to 100")
        if self.kind == "count" and (value < 0 or value != int(value)):
            raise ValueError(f"{text} is not a whole number of people")
        if self.kind == "year" and not 1980 <= value <= 2100:
            raise ValueError(f"{text} is not a year")
        return value


class TableDefinition(Frozen):
    """Columns in order, and the columns that together name a row once."""

    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    def read(self, name: str, text: str) -> Table:
        """Read a table from CSV text.

        Raises
        ------
        TableRefused
            Naming every fault.
        """
        reader = csv.reader(io.StringIO(text))
        header = next(reader, [])
        expected = [c.name for c in self.columns]
        if header != expected:
            raise TableRefused(f"{name}: the columns are {', '.join(header)}; expected {', '.join(expected)}")
        faults: list[str] = []
        rows: list[Row] = []
        seen: dict[tuple[Cell, ...], int] = {}
        for number, cells in enumerate(reader, start=2):
            if len(cells) != len(expected):
                faults.append(f"{name}, row {number}: {len(cells)} cells instead of {len(expected)}")
                continue
            row: dict[str, Cell] = {}
            for column, cell in zip(self.columns, cells, strict=True):
                try:
                    row[column.name] = column.read(cell)
                except ValueError as error:
                    faults.append(f"{name}, row {number}, column {column.name}: {error}")
            key = tuple(row.get(k) for k in self.key)
            if self.key and key in seen:
                faults.append(f"{name}, row {number}, column {self.key[-1]}: repeats row {seen[key]}")
            seen[key] = number
            rows.append(row)
        if faults:
            raise TableRefused("\n".join(faults))
        return Table(name, tuple(rows))


@dataclass(frozen=True)
class Table:
    """A checked table."""

    name: str
    rows: tuple[Row, ...]

    def pick(self, **wanted: Any) -> Row:
        """The one row in which each named column equals its value.

        Raises
        ------
        LookupError
            When none or several rows fit.
        """
        found = [r for r in self.rows if all(r[k] == v for k, v in wanted.items())]
        if len(found) != 1:
            asked = ", ".join(f"{k} = {v}" for k, v in wanted.items())
            raise LookupError(f"{self.name}: {len(found)} rows have {asked}; exactly one is needed")
        return found[0]


def data_folder() -> Traversable:
    """The folder of the evidence's data files."""
    return files("training.evidence") / "data"


@cache
def load_tables() -> dict[str, Table]:
    """Read and check every table that the definitions name.

    Raises
    ------
    TableRefused
        Naming file, row and column of every fault.
    """
    folder = data_folder()
    raw = yaml.safe_load((folder / DEFINITIONS).read_text("utf-8"))
    tables: dict[str, Table] = {}
    faults: list[str] = []
    for name, entry in raw.items():
        file = f"{name}.csv"
        try:
            definition = TableDefinition.model_validate(entry)
            tables[name] = definition.read(file, (folder / file).read_text("utf-8"))
        except TableRefused as refused:
            faults.append(str(refused))
    if faults:
        raise TableRefused("\n".join(faults))
    return tables

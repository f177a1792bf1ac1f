"""Rows as a CSV or Parquet file that a registry's reader takes."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features import Kind
from serving.ledger.errors import LedgerError
from serving.private import private

CSV, PARQUET = ".csv", ".parquet"

#: Between the codes of a multiple choice in one cell.
SEPARATOR = ";"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header and what its cells are."""

    name: str
    kind: Kind


def write_rows(out: Path, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows, for the owner of the file alone; a column without any value is left out. Returns their number.

    Raises
    ------
    LedgerError
        When the file is neither .csv nor .parquet, or Parquet cannot be written here.
    OSError
        When the file cannot be written.
    """
    kept = list(rows)
    columns = [c for c in columns if any(row.get(c.name) is not None for row in kept)]
    if out.suffix == CSV:
        with open(out, "w", encoding="utf-8", newline="", opener=private) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([c.name for c in columns])
            writer.writerows([_text(row.get(c.name)) for c in columns] for row in kept)
    elif out.suffix == PARQUET:
        _parquet(out, columns, kept)
    else:
        raise LedgerError(f"{out.name}: give a .csv or a .parquet file.")
    return len(kept)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return SEPARATOR.join(value) if isinstance(value, list | tuple) else str(value)


def _parquet(out: Path, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise LedgerError(
            f"{out.name}: Parquet needs the package pyarrow, which is not installed; give .csv."
        ) from None
    types = {
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.DATE: pa.date32(),
        Kind.CODES: pa.list_(pa.string()),
    }
    arrays = [
        pa.array([_typed(row.get(c.name), c.kind) for row in rows], types.get(c.kind, pa.string())) for c in columns
    ]
    with open(out, "wb", opener=private) as file:
        pq.write_table(pa.Table.from_arrays(arrays, names=[c.name for c in columns]), file)


def _typed(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind is Kind.DATE and isinstance(value, str):
        return dt.date.fromisoformat(value)
    if kind is Kind.INTEGER:
        return int(value)
    return float(value) if kind is Kind.NUMBER else value

"""The file to score: its columns, and its rows a chunk at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

#: What a CSV may say instead of leaving a cell empty.
NULLS = ("", "NA", "NaN", "nan", "null", "NULL")

_BLOCK = 4 * 1024 * 1024  # bytes of a CSV that are parsed at once
_SEPARATORS = (",", ";", "\t")


class TableRefused(ValueError):
    """A file that cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows.

    Attributes
    ----------
    index
        Position among the chunks of the file.
    numbers
        Number of each row in the file, the first one after the header being 1.
    malformed
        Numbers of rows between these that could not even be split into columns.
    """

    index: int
    numbers: tuple[int, ...]
    data: pa.Table
    malformed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A CSV or Parquet file that is there and has a header.

    Attributes
    ----------
    columns
        In the order of the file.
    rows
        How many there are; of a CSV a count of its lines, which is too high where cells hold line breaks.
    digest
        SHA-256 of the whole file.
    separator
        Of a CSV; None for Parquet.
    """

    path: Path
    columns: tuple[str, ...]
    rows: int
    digest: str
    separator: str | None

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Chunk]:
        """Read some columns, `size` rows at a time; memory does not grow with the file.

        A file without rows is one chunk without rows, so that its output has the columns of any other.

        Raises
        ------
        TableRefused
            When the file breaks off or is not UTF-8.
        """
        try:
            yield from _numbered(self._batches(names), size)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise TableRefused(f"{self.path} cannot be read to its end: {type(error).__name__}.") from error

    def _batches(self, names: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, list[int]]]:
        """Yield batches with the positions, in the file, of rows before its end that were left out."""
        nobody = pa.RecordBatch.from_pydict({name: pa.array([], pa.string()) for name in names})
        if self.separator is None:
            batches = parquet.ParquetFile(self.path).iter_batches(columns=list(names))
            for batch in chain([next(batches, nobody)], batches):
                yield batch, []
            return
        malformed: list[int] = []

        def skip(row: Any) -> str:
            malformed.append(row.number - 1)  # the header is row 1
            return "skip"

        reader = arrow_csv.open_csv(
            self.path,
            # Threads would lose the numbers of rows.
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.separator, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(names),
                column_types={name: pa.string() for name in names},
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=list(NULLS),
            ),
        )
        # Of rows that are all malformed there is no batch either.
        for batch in chain([next(reader, nobody)], reader):
            yield batch, malformed


def open_table(path: Path) -> Table:
    """Look at a file: its columns, how many rows it has, and its digest; the whole of it is read once.

    Raises
    ------
    TableRefused
        When there is no such file, it is neither CSV nor Parquet, or columns share a name.
    """
    if not path.is_file():
        raise TableRefused(f"{path} does not exist.")
    try:
        if path.suffix.lower() == ".parquet":
            found = parquet.ParquetFile(path)
            columns, rows, separator = found.schema_arrow.names, found.metadata.num_rows, None
            digest, _ = _digest(path)
        else:
            digest, lines = _digest(path)
            columns, separator = _header(path)
            rows = max(lines - 1, 0)
    except pa.ArrowException as error:
        raise TableRefused(f"{path} is neither a CSV nor a Parquet file: {type(error).__name__}.") from None
    twice = sorted({c for c in columns if columns.count(c) > 1})
    if twice:
        raise TableRefused(f"{path} has columns of the same name: {', '.join(twice)}. Keep one of each.")
    return Table(path, tuple(columns), rows, digest, separator)


def _digest(path: Path) -> tuple[str, int]:
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            lines += block.count(b"\n")
            last = block[-1:]
    return digest.hexdigest(), lines + (last != b"\n")


def _header(path: Path) -> tuple[list[str], str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
    except UnicodeDecodeError:
        raise TableRefused(f"{path} is not UTF-8. Save it as UTF-8 and try again.") from None
    separator = max(_SEPARATORS, key=first.count)
    with arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=arrow_csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=lambda _: "skip"
        ),
    ) as reader:
        return list(reader.schema.names), separator


def _numbered(batches: Iterator[tuple[pa.RecordBatch, list[int]]], size: int) -> Iterator[Chunk]:
    waiting: list[pa.RecordBatch] = []
    held, index, number = 0, 0, 1
    malformed: list[int] = []

    def cut(count: int) -> Chunk:
        nonlocal waiting, held, index, number
        table = pa.Table.from_batches(waiting)
        data, rest = table.slice(0, count).combine_chunks(), table.slice(count)
        numbers: list[int] = []
        left_out: list[int] = []
        while len(numbers) < data.num_rows or (malformed and malformed[0] == number):
            if malformed and malformed[0] == number:
                left_out.append(malformed.pop(0))
            else:
                numbers.append(number)
            number += 1
        waiting, held = rest.to_batches(), rest.num_rows
        index += 1
        return Chunk(index - 1, tuple(numbers), data, tuple(left_out))

    last: pa.RecordBatch | None = None
    for batch, left_out in batches:
        last = batch
        malformed = left_out
        waiting.append(batch)
        held += batch.num_rows
        while held >= size:
            yield cut(size)
    if last is not None and (held or malformed or not index):
        waiting = waiting or [last.slice(0, 0)]
        yield cut(held)

"""What a registry comes in: a CSV or Parquet file or a database, read as written."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from training.registry.sql import Database, DatabaseUnreadable, read_database

SUFFIXES = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}


class RegistryUnreadable(ValueError):
    """The file or database as a whole cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """A registry as it stands: every CSV cell a text, every other cell what the file or database holds.

    Attributes
    ----------
    repeated
        Column names that the header gives more than once (only the first of each is read).
    digest
        SHA-256 of the file, or of the rows of a database, hexadecimal.
    """

    name: str
    frame: pd.DataFrame
    repeated: tuple[str, ...]
    digest: str
    separator: str | None


def read_source(path: Path | str | Database, separator: str | None = None, encoding: str = "utf-8-sig") -> Source:
    """Read a CSV or Parquet file or a database without judging a single cell.

    Parameters
    ----------
    path
        A file, a database, or the address of one with its table (``sqlite:///file.db?table=registry``).

    Raises
    ------
    RegistryUnreadable
        When there is no such file, it is of another kind, or it has no rows; or the database cannot be read.
    AddressRefused
        When an address, table or query is not one that can be read.
    """
    if isinstance(path, str) and Database.named_by(path):
        path = Database(path)
    if isinstance(path, Database):
        return _database(path)
    path = Path(path)
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise RegistryUnreadable(f"{path.name}: give a .csv or a .parquet file")
    if not path.is_file():
        raise RegistryUnreadable(f"{path.name}: no such file")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    repeated: tuple[str, ...] = ()
    if kind == "csv":
        frame, repeated, separator = _csv(path, separator, encoding)
    else:
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise RegistryUnreadable(f"{path.name}: not a readable Parquet file ({type(error).__name__})") from None
        separator = None
    if frame.empty:
        raise RegistryUnreadable(f"{path.name}: has no rows")
    frame.columns = pd.Index([str(c).strip() for c in frame.columns], dtype=object)
    return Source(path.name, frame.reset_index(drop=True), repeated, digest, separator)


def _database(database: Database) -> Source:
    try:
        frame, digest = read_database(database)
    except DatabaseUnreadable as error:
        raise RegistryUnreadable(str(error)) from None
    if frame.empty:
        raise RegistryUnreadable(f"{database.text}: has no rows")
    return Source(database.text, frame, (), digest, None)


def _csv(path: Path, separator: str | None, encoding: str) -> tuple[pd.DataFrame, tuple[str, ...], str]:
    try:
        with path.open(encoding=encoding, newline="") as file:
            first = file.readline()
            sign = separator or max([",", ";", "\t"], key=first.count)
            header = [name.strip() for name in next(csv.reader([first], delimiter=sign), [])]
        if not any(header):
            raise RegistryUnreadable(f"{path.name}: the first line must hold the column names")
        frame = pd.read_csv(
            path, sep=sign, encoding=encoding, dtype=object, keep_default_na=False, na_filter=False, index_col=False
        )
    except (UnicodeDecodeError, LookupError):
        raise RegistryUnreadable(
            f"{path.name}: is not {encoding}; save it as UTF-8, or name its encoding in the column map"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise RegistryUnreadable(f"{path.name}: not a readable CSV file ({type(error).__name__})") from None
    repeated = tuple(dict.fromkeys(name for name in header if name and header.count(name) > 1))
    keep = [i for i, name in enumerate(header) if name not in header[:i]]
    frame = frame.iloc[:, keep]
    frame.columns = pd.Index([header[i] for i in keep], dtype=object)
    return frame, repeated, sign

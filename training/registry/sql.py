"""A registry kept in a database: one table or one query, read through SQLAlchemy and never written to."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+_]*://")
_READS = re.compile(r"\s*(--[^\n]*\n\s*)*(select|with|values|table)\b", re.IGNORECASE)
CONNECT_SECONDS = 15
# What a driver is called where the address names the database alone.
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
TABLE = "table"


class AddressRefused(ValueError):
    """The address, table or query is not one that can be read; nothing was connected to."""


class DatabaseUnreadable(ValueError):
    """The database cannot be reached, or does not answer; the message never holds a password or a cell."""


@dataclass(frozen=True)
class Database:
    """Where a registry is kept.

    Attributes
    ----------
    address
        SQLAlchemy address, as ``postgresql://reader@host/name`` or ``sqlite:///folder/file.db``; the table may be
        given in it as ``?table=registry``. Its text may hold a password, so it is left out of ``repr``.
    table
        Table or view, with its schema if need be (``trials.registry``).
    query
        One reading statement, instead of a table.
    """

    address: str = field(repr=False)
    table: str | None = None
    query: str | None = None

    @staticmethod
    def named_by(text: str) -> bool:
        """Whether a text is an address of a database rather than a file."""
        return _ADDRESS.match(text) is not None

    def url(self) -> URL:
        """The address for SQLAlchemy, with the driver, and without what is only ours.

        Raises
        ------
        AddressRefused
            When it is no address.
        """
        return self._parsed()[0]

    def asked(self) -> tuple[str | None, str | None]:
        """Table and query, of which exactly one is given.

        Raises
        ------
        AddressRefused
            When neither or both are given, or the query does more than read.
        """
        table = self.table or self._parsed()[1]
        if (table is None) == (self.query is None):
            raise AddressRefused(
                "give the registry's table or a query, and not both: ?table=registry at the end of the address, "
                "--table registry, or --query FILE.sql"
            )
        if self.query is not None and not _READS.match(self.query):
            raise AddressRefused("the query must be one statement that reads: it must begin with SELECT or WITH")
        return table, self.query

    @property
    def text(self) -> str:
        """Kind, host, name and table, without user, password or any other part of the address."""
        url = self.url()
        kind = url.get_backend_name()
        if kind == "sqlite":
            place = Path(url.database or "memory").name
        else:
            host = url.host or str(url.query.get("host", "localhost"))
            place = f"{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"
        table, _ = self.asked()
        return f"{kind} {place}, {f'table {table}' if table else 'query'}"

    def _parsed(self) -> tuple[URL, str | None]:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.address)
        except (ArgumentError, ValueError):
            # Not the text itself: a slip in an address often leaves the password where it is not expected.
            raise AddressRefused(
                "the address of the database cannot be read; write it as "
                "postgresql://user@host:5432/name?table=registry or sqlite:///file.db?table=registry, with signs such "
                "as @ and / in a password as %40 and %2F"
            ) from None
        table = url.query.get(TABLE)
        url = url.difference_update_query([TABLE])
        if url.drivername in _DRIVERS:
            url = url.set(drivername=_DRIVERS[url.drivername])
        if isinstance(table, tuple):
            raise AddressRefused("the address names more than one table")
        return url, table


def read_database(database: Database) -> tuple[pd.DataFrame, str]:
    """Read every row in one statement of a read-only connection.

    A database returns rows in any order. They are put into the order of their content, so that the same patients
    give the same registry and the same digest on every reading.

    Returns
    -------
    pandas.DataFrame
        Cells as Python values.
    str
        SHA-256 of the columns and rows, hexadecimal.

    Raises
    ------
    AddressRefused
        Before connecting.
    DatabaseUnreadable
        When it cannot be connected to, lacks the table, or refuses the query.
    """
    from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

    table, query = database.asked()
    try:
        engine = _engine(database.url())
    except (NoSuchModuleError, ImportError) as error:
        raise AddressRefused(
            f"no driver for this kind of database is installed ({getattr(error, 'name', None) or 'unknown kind'}); "
            "sqlite and postgresql are"
        ) from None
    try:
        try:
            connection = engine.connect()
        except DBAPIError as error:
            raise DatabaseUnreadable(f"{database.text}: cannot connect: {_reason(error, database.url())}") from None
        with connection:
            return _rows(connection, database.text, table, query)
    except SQLAlchemyError as error:
        # A driver's own words about a statement may quote a cell, so only the kind of error is said.
        original = getattr(error, "orig", None)
        raise DatabaseUnreadable(f"{database.text}: not readable ({type(original or error).__name__})") from None
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "").absolute()
        if not path.is_file():
            # sqlite would make an empty database under a mistyped name.
            raise DatabaseUnreadable(f"sqlite {path.name}: no such file")
        address = url.set(database=f"file:{quote(str(path))}").update_query_dict({"mode": "ro", "uri": "true"})
        return create_engine(address, poolclass=NullPool, hide_parameters=True)
    options: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        options["execution_options"] = {"postgresql_readonly": True}
        if "connect_timeout" not in url.query:
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    return create_engine(url, poolclass=NullPool, hide_parameters=True, **options)


def _rows(connection: Connection, text: str, table: str | None, query: str | None) -> tuple[pd.DataFrame, str]:
    import sqlalchemy as sql

    found: sql.CursorResult[Any]
    if table is not None:
        schema, _, name = table.rpartition(".")
        if not sql.inspect(connection).has_table(name, schema=schema or None):
            raise DatabaseUnreadable(f"{text}: has no such table or view, or this user may not see it")
        found = connection.execute(sql.select(sql.literal_column("*")).select_from(_named(name, schema)))
    else:
        # As written: a colon or a percent sign in it is no parameter.
        found = connection.execution_options(no_parameters=True).exec_driver_sql(str(query))
    columns = [str(name) for name in found.keys()]  # noqa: SIM118 - a result is no mapping
    repeated = sorted({c for c in columns if columns.count(c) > 1})
    if repeated:
        raise DatabaseUnreadable(f"{text}: the query gives {', '.join(repeated)} more than once; name each column once")
    keyed = sorted(((_key(row), [_plain(v) for v in row]) for row in found), key=lambda pair: pair[0])
    digest = hashlib.sha256(json.dumps(columns).encode())
    for key, _ in keyed:
        digest.update(key.encode() + b"\n")
    cells: dict[str, list[Any]] = {name: [row[i] for _, row in keyed] for i, name in enumerate(columns)}
    # Columns of objects: among NULLs pandas would turn whole numbers into floats.
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in cells.items()})
    return frame, digest.hexdigest()


def _named(name: str, schema: str) -> Any:
    import sqlalchemy as sql

    return sql.table(name, schema=schema or None)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", errors="replace")
    return value


def _key(row: Any) -> str:
    return json.dumps([_written(_plain(v)) for v in row], ensure_ascii=True)


def _written(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return [_written(v) for v in value] if isinstance(value, list | tuple) else str(value)


def _reason(error: Any, url: URL) -> str:
    words = str(error.orig).strip().splitlines()
    said = words[-1 if len(words) > 1 and "failed" in words[-1] else 0] if words else type(error.orig).__name__
    for secret in {str(url.password or ""), *(str(v) for k, v in url.query.items() if "pass" in k.lower())}:
        said = said.replace(secret, "***") if secret else said
    return f"{type(error.orig).__name__}: {said}"


def with_query(database: Database, file: Path) -> Database:
    """The database with the query that a file holds.

    Raises
    ------
    AddressRefused
        When the file cannot be read.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AddressRefused(f"--query {file.name}: cannot be read ({type(error).__name__})") from None
    return replace(database, query=text.strip().rstrip(";"))

"""The writer's way to the database: three fixed statements on the driver itself.

An insert through SQLAlchemy's expression language takes longer than the disk does (0.4 ms against 0.3 ms here), and
every answer waits for it. Connections, their settings and everything else are SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from serving.ledger.database import LOCK, Database
from serving.ledger.entry import Receipt
from serving.ledger.errors import LedgerUnavailable
from serving.ledger.table import NAME, entries

#: Seconds that a line which does not wait gives another's commit.
PATIENCE = 0.003

COLUMNS = tuple(column.name for column in entries.columns)


class Repeated(Exception):
    """An id stands already; nothing was written."""


class LineHeld(Exception):
    """Another process or thread writes, and this line does not wait; nothing was written."""


class Line:
    """One database, as a writer sees it.

    Parameters
    ----------
    waits
        False for an event loop, which must not: `transaction` then raises `LineHeld` where it would wait for another
        that writes, but for the milliseconds that another's commit takes. For sqlite alone.
    """

    def __init__(self, database: Database, waits: bool = True) -> None:
        self.database, self.waits = database, waits
        self._driver: Any = database.engine.dialect.loaded_dbapi
        self._own: Any = None
        mark = "?" if database.path is not None else "%s"
        marks = ", ".join(mark for _ in COLUMNS)
        self._insert = f"INSERT INTO {NAME} ({', '.join(COLUMNS)}) VALUES ({marks})"
        self._last = f"SELECT seq, hash FROM {NAME} ORDER BY seq DESC LIMIT 1"
        self._by_id = f"SELECT seq, id, at, digest, hash FROM {NAME} WHERE id = {mark}"
        self._begin = f"SELECT pg_advisory_xact_lock({LOCK})" if database.path is None else "BEGIN IMMEDIATE"

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor within a transaction that alone may write; committed on leaving.

        Raises
        ------
        Repeated
            When an id stands already.
        LineHeld
            When another writes, and this line does not wait.
        LedgerUnavailable
            When the database refuses.
        """
        with self.database.failing(), self.database.turn(None if self.waits else PATIENCE) as ours:
            if not ours:
                raise LineHeld
            connection = self.database.engine.raw_connection() if self.waits else self._kept()
            try:
                cursor = connection.cursor()
                cursor.execute(self._begin)
                yield cursor
                connection.commit()
            except self._driver.IntegrityError:
                connection.rollback()
                raise Repeated from None
            except self._driver.Error as error:
                if not self.waits and self._held(error):
                    # Whoever writes without having waited for the file lock; nothing was written by us.
                    connection.rollback()
                    raise LineHeld from None
                self._drop(connection)
                raise LedgerUnavailable(self.database.complaint(error)) from error
            except BaseException:
                connection.rollback()
                raise
            finally:
                if self.waits:
                    connection.close()

    def close(self) -> None:
        """Close the connection that is kept, if any."""
        if self._own is not None:
            self._drop(self._own)

    def _kept(self) -> Any:
        """One connection for good, which never waits: a pool's would cost a tenth of a commit."""
        if self._own is None:
            self._own = self.database.engine.raw_connection()
            self._own.cursor().execute("PRAGMA busy_timeout=0")
        return self._own

    def _held(self, error: Any) -> bool:
        # The lowest byte is the code, those above it say more: that a killed writer's log is being read, and so on.
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        return code in (self._driver.SQLITE_BUSY, self._driver.SQLITE_LOCKED)

    def _drop(self, connection: Any) -> None:
        # Invalid, so that the pool does not lend on what never waits, or failed.
        connection.invalidate()
        if connection is self._own:
            connection.close()
            self._own = None

    def last(self, cursor: Any) -> tuple[int, str] | None:
        """Number and hash of the last entry."""
        cursor.execute(self._last)
        found = cursor.fetchone()
        return None if found is None else (int(found[0]), str(found[1]))

    def standing(self, cursor: Any, id: str) -> Receipt | None:
        """The entry of an id, when it stands already."""
        cursor.execute(self._by_id, (id,))
        found = cursor.fetchone()
        return None if found is None else replace(Receipt(*found), existing=True)

    def insert(self, cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows of `COLUMNS`."""
        cursor.executemany(self._insert, rows)

"""Where the ledger is kept: connections, the one right to write, and what a commit promises."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from serving.ledger.errors import LedgerError, LedgerUnavailable

#: ``full``: a commit is on the disk and survives a loss of power. ``normal``: it survives the end of the process,
#: and a loss of power may take the last commits (never the ledger's soundness).
Synchronous = Literal["full", "normal"]

#: Seconds to wait for a lock that another process holds.
LOCK_WITHIN = 5

#: Bytes written after which sqlite's log is copied into the database.
LOG_BYTES = 4 * 1024 * 1024

#: Bytes to which the log is cut when it is written from its start again: a reader that takes long makes it grow.
LOG_KEPT = 4 * LOG_BYTES

#: A payload of 11 kB fills two pages of 8 kB; with pages of 4 kB it takes more of them, with 16 kB more bytes.
PAGE = 8192

#: PostgreSQL's advisory lock of whoever writes: the first eight bytes of "resecta.", as a number.
LOCK = int.from_bytes(b"resecta.", "big") >> 1


class Database:
    """A ledger's database.

    Parameters
    ----------
    url
        SQLAlchemy URL: ``sqlite:////var/lib/resecta/ledger.db`` or ``postgresql://user:password@host/name``.
    read_only
        Whether the database refuses every change; a file that is not there is then not made either.

    Raises
    ------
    LedgerError
        When the URL is not one, or names another kind of database.
    """

    def __init__(self, url: str, synchronous: Synchronous = "full", read_only: bool = False) -> None:
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise LedgerError("The ledger's address is not a URL such as sqlite:////folder/ledger.db.") from None
        if synchronous not in ("full", "normal"):
            raise LedgerError(f"The ledger's synchronous is {synchronous!r}; it takes full or normal.")
        self.synchronous, self.read_only = synchronous, read_only
        self.text = parsed.render_as_string(hide_password=True)
        self.path: Path | None = None
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise LedgerError("The ledger takes a sqlite file: a ledger in memory keeps nothing.")
            self.path = Path(str(parsed.database)).absolute()
            self.engine = self._sqlite(self.path)
        elif backend == "postgresql":
            self.engine = self._postgresql(parsed)
        else:
            raise LedgerError(f"The ledger is kept in sqlite or PostgreSQL, not in {backend}.")

    def _sqlite(self, path: Path) -> sa.Engine:
        if self.read_only:
            address = sa.URL.create("sqlite", database=_uri(path), query={"uri": "true"})
            settings = ["query_only=ON"]
        else:
            _make(path)
            address = sa.URL.create("sqlite", database=str(path))
            settings = [
                f"page_size={PAGE}",
                "journal_mode=WAL",
                f"synchronous={self.synchronous.upper()}",
                # The log is copied beside the requests, see `tidy`.
                "wal_autocheckpoint=0",
                f"journal_size_limit={LOG_KEPT}",
            ]
        engine = sa.create_engine(
            address,
            connect_args={"check_same_thread": False, "timeout": LOCK_WITHIN},
            pool_size=4,
            max_overflow=16,
        )

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _: Any) -> None:
            # Transactions are begun below: the driver's own would not lock until the first write.
            connection.isolation_level = None
            for pragma in settings:
                connection.execute(f"PRAGMA {pragma}").fetchall()

        @sa.event.listens_for(engine, "begin")
        def begun(connection: sa.Connection) -> None:
            write = connection.get_execution_options().get("write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine

    def _postgresql(self, url: sa.URL) -> sa.Engine:
        try:
            engine = sa.create_engine(
                url.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                pool_size=4,
                max_overflow=16,
                connect_args={"connect_timeout": LOCK_WITHIN},
            )
        except ModuleNotFoundError:
            raise LedgerError(
                "A ledger in PostgreSQL needs the packages psycopg and psycopg-binary, which are not installed."
            ) from None
        wanted = "on" if self.synchronous == "full" else "off"

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"SET synchronous_commit = {wanted}")
                cursor.execute(f"SET lock_timeout = '{LOCK_WITHIN}s'")
                cursor.execute(f"SET default_transaction_read_only = {'on' if self.read_only else 'off'}")
            connection.commit()

        return engine

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection with one view of the ledger, whatever is written meanwhile."""
        with self.failing(), self.engine.connect() as connection:
            if self.path is None:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that alone may write, among all processes; committed on leaving.

        On sqlite a file lock comes before the database's own, which is waited for by sleeping and would cost
        milliseconds wherever two workers meet.
        """
        with self.failing(), self.turn(), self.engine.connect() as connection:
            connection = connection.execution_options(write=True)
            with connection.begin():
                if self.path is None:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                yield connection

    @contextmanager
    def turn(self, within: float | None = None) -> Iterator[bool]:
        """The right to write, among the processes on this machine; for sqlite alone.

        Parameters
        ----------
        within
            Seconds after which not to wait any more; what is yielded is then False.
        """
        if self.path is None:
            yield True
            return
        lock = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            yield _locked(lock, within)
        finally:
            os.close(lock)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Turn what the database refuses into `LedgerUnavailable`."""
        # The driver's own errors come unwrapped from what is set on a new connection.
        driver: Any = self.engine.dialect.loaded_dbapi
        try:
            yield
        except (sa.exc.SQLAlchemyError, driver.Error, OSError) as error:
            raise LedgerUnavailable(self.complaint(getattr(error, "orig", None) or error)) from error

    def complaint(self, error: BaseException) -> str:
        """What is said of an error: its kind and code alone; the driver's words may repeat what was to be written."""
        return f"The ledger cannot be used ({', '.join((type(error).__name__, *_code(error)))})."

    def prepare(self) -> None:
        """Give sqlite's log its full length, which halves the time of a commit.

        A commit that makes the file longer also waits for the file system's journal. The log is written from its start
        again once it is copied, so this is paid at the start and not by the first thousand answers.
        """
        if self.path is None:
            return
        with self.writing() as connection:
            if Path(f"{self.path}-wal").stat().st_size >= LOG_BYTES:
                return
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS resecta_ledger_room (bytes BLOB)")
            connection.exec_driver_sql(f"INSERT INTO resecta_ledger_room VALUES (zeroblob({LOG_BYTES}))")
        with self.writing() as connection:
            # The pages are free again, for what comes next.
            connection.exec_driver_sql("DROP TABLE IF EXISTS resecta_ledger_room")
        self.tidy()

    def tidy(self, empty: bool = False) -> None:
        """Copy sqlite's log into the database; writers wait only for the last pages of it.

        Parameters
        ----------
        empty
            Cut the log to nothing as well, so that it holds no page that was overwritten.
        """
        if self.path is None:
            return
        with self.failing(), self.engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            # What was written meanwhile is little. Once all is copied, the log is written from its start again.
            with self.turn():
                raw.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if empty else 'PASSIVE'})").fetchall()

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()


def _uri(path: Path) -> str:
    """A file's address, for reading alone."""
    if not path.is_file():
        raise LedgerError(f"There is no ledger {path.name} in the folder that is named.")
    log = path.with_name(f"{path.name}-wal")
    # Readers share a small file beside the database. Where none can be made, as on a medium that is locked against
    # writing, nobody writes either.
    alone = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Its log and index files take the permissions of the file.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise LedgerUnavailable(f"The ledger cannot be written: {error.strerror}.") from None


def _code(error: BaseException) -> tuple[str, ...]:
    """The code of an error, where it has one: sqlite's (``SQLITE_FULL``), PostgreSQL's (``53100``) or the system's."""
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    if code is None and isinstance(error, OSError):
        code = errno.errorcode.get(error.errno or 0)
    return () if code is None else (str(code),)


def _locked(lock: int, within: float | None) -> bool:
    if within is None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return True
    until = time.monotonic() + within
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            # A commit takes longer than this, and another process may need this core to end it.
            time.sleep(0.0002)

"""Retraining as a command: the lock, the job, its summary, and an exit code for whoever started it."""

from __future__ import annotations

import datetime as dt
import getpass
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from features import load_specification
from training.lock import Locked, StoreLock
from training.registration import IncompleteVersion
from training.registry import AddressRefused, ColumnMapError, Database, RegistryUnreadable
from training.registry.sql import with_query
from training.retraining.choice import Update
from training.retraining.job import Request, retrain
from training.retraining.record import MEANING, Code, Record
from training.retraining.run import close_run, mark
from training.retraining.stages import Announce, Stage, silent
from training.retraining.summary import write
from training.splits import CannotSplit
from validation.quarantine import MAX_BAD_SHARE

if TYPE_CHECKING:
    from rich.console import Console

    from training.store import Store

log = logging.getLogger("resecta.retrain")


class Misused(ValueError):
    """An option has a value that it does not take; the message says which it takes."""


def run_retrain(
    data: str,
    store: Store,
    *,
    columns: Path | None = None,
    table: str | None = None,
    query: Path | None = None,
    as_of: dt.date | None = None,
    update: str = "auto",
    promote: bool = True,
    allow_simulated: bool = False,
    if_needed: bool = False,
    wait: float = 0.0,
    by: str | None = None,
    reason: str = "scheduled retraining",
    summary: Path | None = None,
    quarantine: Path | None = None,
    max_bad_share: float = MAX_BAD_SHARE,
    debug: bool = False,
    console: Console | None = None,
    announce: Announce = silent,
) -> int:
    """Retrain, unattended.

    Parameters
    ----------
    data
        A .csv or .parquet file, or the address of a database.
    table, query
        What to read of a database: a table or view, or a file with one reading statement.
    as_of
        Day by which patients are closed; None takes the newest date of the registry.
    update
        One of `training.retraining.choice.Update`.
    if_needed
        Do nothing unless monitoring asks for it.
    wait
        Seconds to wait for another job that holds the store.
    summary
        Where to write the summary; None writes it into the store.
    debug
        Let an unexpected error through with its trace, which may hold patients' values.
    announce
        Called before each stage.

    Returns
    -------
    int
        One of `training.retraining.record.Code`.
    """
    out = console or _console()
    record = Record(by=by or getpass.getuser(), reason=reason, asked=f"update {update}")
    began = time.monotonic()

    def stage(begun: Stage) -> None:
        record.reached = begun
        if record.run_id is not None:
            mark(store, record.run_id, begun)
        out.print(f"{begun.value} ...", style="dim", markup=False)
        announce(begun)

    try:
        request = Request(
            source=_source(data, table, query),
            columns=columns,
            as_of=as_of,
            update=_update(update),
            promoting=promote,
            allow_simulated=allow_simulated,
            if_needed=if_needed,
            by=record.by,
            reason=reason,
            quarantine=quarantine,
            max_bad_share=max_bad_share,
        )
        _check(request, wait)
    except (AddressRefused, Misused) as refused:
        return _end(out, Code.USAGE, str(refused))
    try:
        stage(Stage.LOCK)
        with StoreLock(store.folder, "retrain", wait) as lock:
            if lock.left_by is not None:
                out.print(f"The last job was killed: {lock.left_by}.", soft_wrap=True, markup=False)
            record.code = _run(request, store, record, stage, debug)
            record.seconds = time.monotonic() - began
            stage(Stage.SUMMARY)
            path = write(record, summary or store.folder / "retraining" / f"{record.name}.md")
            close_run(store, record)
    except Locked as held:
        return _end(out, Code.LOCKED, str(held))
    except Exception as error:
        if debug:
            raise
        return _end(out, Code.UNEXPECTED, _unexpected(error, record))
    for line in (record.choice.reason if record.choice else None, record.verdict, record.stopped):
        if line:
            out.print(line, soft_wrap=True, markup=False)
    out.print(f"Summary: {path}", soft_wrap=True, markup=False)
    return _end(out, record.code, f"Served now: {record.served or 'as before'}.")


def _run(request: Request, store: Store, record: Record, stage: Announce, debug: bool) -> Code:
    try:
        return retrain(request, store, load_specification(), record, stage)
    except RegistryUnreadable as error:
        record.stopped = str(error)
        return Code.UNREADABLE
    except (AddressRefused, ColumnMapError) as error:
        record.stopped = str(error)
        return Code.USAGE
    except CannotSplit as error:
        record.stopped = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return Code.REJECTED
    except IncompleteVersion as error:
        record.stopped = str(error)
        return Code.UNEXPECTED
    except Exception as error:
        if debug:
            raise
        record.stopped = _unexpected(error, record)
        return Code.UNEXPECTED


def _unexpected(error: Exception, record: Record) -> str:
    # The message of an error that nobody foresaw may quote a cell.
    kind, stage = type(error).__name__, record.reached.value
    log.error("retraining ended unexpectedly: %s at the stage %s", kind, stage)
    return f"{kind} at the stage {stage}; run it again with --debug to see where."


def _source(data: str, table: str | None, query: Path | None) -> Path | Database:
    if not Database.named_by(data):
        if table is not None or query is not None:
            raise Misused("--table and --query are for databases; a file is read whole")
        return Path(data)
    database = Database(data, table=table)
    if query is not None:
        database = with_query(database, query)
    database.asked()
    return database


def _update(text: str) -> Update:
    if text not in set(Update):
        raise Misused(f"--update {text} is none of {', '.join(Update)}")
    return Update(text)


def _check(request: Request, wait: float) -> None:
    if not 0 < request.max_bad_share <= 1:
        raise Misused("--max-bad-share takes a share between 0 and 1, such as 0.05")
    if wait < 0:
        raise Misused("--wait takes seconds, none of them negative")


def _end(out: Console, code: Code, text: str) -> int:
    out.print(f"{text} {MEANING[code]} Exit code {code.value}.", soft_wrap=True, markup=False)
    return int(code)


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, width=None if sys.stderr.isatty() else 140)

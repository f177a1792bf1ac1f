"""Group commit: one thread a process writes whatever waits, in one transaction."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from serving.ledger.checkpoint import EVERY, Checkpoint
from serving.ledger.database import LOG_BYTES, Database
from serving.ledger.entry import GENESIS, Draft, Receipt, chain
from serving.ledger.errors import LedgerBusy, LedgerError, LedgerUnavailable
from serving.ledger.job import Job, Packed, Receipts, settle, tell
from serving.ledger.key import Key
from serving.ledger.line import COLUMNS, Line, Repeated
from serving.ledger.table import entries

log = logging.getLogger("resecta")

#: Bytes, before compression, that are written in one transaction; a single job may be larger.
GROUP_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait to be written.

    Attributes
    ----------
    entries, bytes
        In the queue; what comes beyond is refused, unless nothing waits.
    seconds
        Until an answer that is not written yet is given up.
    """

    entries: int = 4096
    bytes: int = 256 * 1024 * 1024
    seconds: float = 10.0


class Writer:
    """The one writer of a process.

    Parameters
    ----------
    wrote
        Called in the writer's thread after each transaction, with the number of entries; for measures.
    """

    def __init__(
        self, database: Database, key: Key, limits: Limits | None = None, wrote: Callable[[int], None] | None = None
    ) -> None:
        self.database, self.key, self.limits = database, key, limits or Limits()
        self.problem: str | None = None
        self._wrote = wrote
        self._line = Line(database)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._waiting, self._bytes, self._closed = 0, 0, False
        self._grown, self._long = 0, threading.Event()
        self._thread = threading.Thread(target=self._run, name="resecta-ledger", daemon=True)
        self._tidier = threading.Thread(target=self._tidy, name="resecta-ledger-log", daemon=True)
        self._thread.start()
        self._tidier.start()

    def submit(self, drafts: Sequence[Draft]) -> Future[Receipts]:
        """Queue drafts, to be written together or not at all.

        Raises
        ------
        LedgerBusy
            When too much waits.
        LedgerUnavailable
            When the ledger is closed.
        """
        done: Future[Receipts] = Future()
        self._queue(Job(drafts, done))
        return done

    async def append(self, drafts: Sequence[Draft]) -> Receipts:
        """Write drafts; returns once they are committed. See `submit` and `Ledger.append`."""
        # Without `asyncio.wrap_future` and `wait_for`, which take 0.1 ms of every answer.
        loop = asyncio.get_running_loop()
        job = Job(drafts, loop.create_future(), loop)
        self._queue(job)
        timer = loop.call_later(self.limits.seconds, self._give_up, job)
        try:
            return await cast("asyncio.Future[Receipts]", job.done)
        finally:
            timer.cancel()
            job.given_up = True

    def append_sync(self, drafts: Sequence[Draft]) -> Receipts:
        """The same, for a thread."""
        done: Future[Receipts] = Future()
        job = Job(drafts, done)
        self._queue(job)
        try:
            return done.result(self.limits.seconds)
        except TimeoutError:
            job.given_up = True
            raise self._late() from None

    def close(self) -> None:
        """Write what waits, and end."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
        self._jobs.put(None)
        self._thread.join(self.limits.seconds)
        self._long.set()
        self._tidier.join(self.limits.seconds)

    def _queue(self, job: Job) -> None:
        with self._guard:
            if self._closed:
                raise LedgerUnavailable("The ledger is closed.")
            count = self._waiting + len(job.drafts)
            if self._waiting and (count > self.limits.entries or self._bytes + job.size > self.limits.bytes):
                raise LedgerBusy("Too many answers wait to be written to the ledger. Send this again in a second.")
            self._waiting += len(job.drafts)
            self._bytes += job.size
            self._jobs.put(job)

    def _give_up(self, job: Job) -> None:
        job.given_up = True
        settle([(job.done, self._late())])

    def _late(self) -> LedgerUnavailable:
        self.problem = f"Nothing was written within {self.limits.seconds:g} s."
        return LedgerUnavailable(f"The ledger did not write within {self.limits.seconds:g} s.")

    def _run(self) -> None:
        ended = False
        while not ended:
            first = self._jobs.get()
            group: list[Job] = []
            size = 0
            while first is not None:
                group.append(first)
                size += first.size
                if size > GROUP_BYTES:
                    break
                try:
                    first = self._jobs.get_nowait()
                except queue.Empty:
                    break
            ended = first is None
            if group:
                self._write([job for job in group if not job.given_up])
                with self._guard:
                    self._waiting -= sum(len(job.drafts) for job in group)
                    self._bytes -= size

    def _write(self, jobs: list[Job]) -> None:
        ready = []
        for job in jobs:
            try:
                job.packed = [Packed.of(draft) for draft in job.drafts]
                ready.append(job)
            except Exception as error:
                log.error("An entry could not be made (%s)", type(error).__name__)
                tell([(job, LedgerError(f"The entry could not be made ({type(error).__name__})."))])
        if ready:
            self._commit(ready)

    def _commit(self, jobs: list[Job]) -> None:
        try:
            with self._line.transaction() as cursor:
                receipts = self._insert(cursor, jobs)
        except Repeated:
            # Alone, each of the others still goes through.
            for job in jobs if len(jobs) > 1 else ():
                self._commit([job])
            if len(jobs) == 1:
                tell([(jobs[0], LedgerError("An entry of this id stands already."))])
            return
        except Exception as error:
            self.problem = str(error) if isinstance(error, LedgerError) else f"{type(error).__name__}."
            log.error("The ledger %s could not be written: %s", self.database.text, self.problem)
            message = f"The answer was not written to the ledger. {self.problem}"
            tell([(job, LedgerUnavailable(message)) for job in jobs])
            return
        self.problem = None
        tell(list(zip(jobs, receipts, strict=True)))
        if self._wrote is not None:
            self._wrote(sum(len(given) for given in receipts))
        if self._grown > LOG_BYTES:
            self._grown = 0
            self._long.set()

    def _insert(self, cursor: Any, jobs: list[Job]) -> list[Receipts]:
        line = self._line
        seq, previous = line.last(cursor) or (0, GENESIS)
        rows: list[tuple[Any, ...]] = []
        receipts: list[Receipts] = []

        def add(packed: Packed) -> Receipt:
            nonlocal seq, previous
            seq += 1
            row, receipt = _row(packed, seq, previous)
            rows.append(tuple(row[name] for name in COLUMNS))
            self._grown += len(packed.stored) + 4096
            previous = receipt.hash
            return receipt

        for job in jobs:
            given = []
            for packed in job.packed:
                standing = line.standing(cursor, packed.draft.id) if packed.draft.repeatable else None
                if standing is not None:
                    given.append(standing)
                    continue
                if (seq + 1) % EVERY == 0:
                    add(Packed.of(Checkpoint(self.key, seq + 1, previous)))
                given.append(add(packed))
            receipts.append(tuple(given))
        if rows:
            line.insert(cursor, rows)
        return receipts

    def _tidy(self) -> None:
        while self._long.wait():
            self._long.clear()
            try:
                self.database.tidy()
            except Exception as error:
                log.warning("The ledger's log could not be copied (%s); it grows meanwhile", type(error).__name__)
            if self._closed:
                return


_LAST = sa.select(entries.c.seq, entries.c.hash).order_by(entries.c.seq.desc()).limit(1)


def write_one(connection: sa.Connection, draft: Callable[[int, str], Draft]) -> Receipt:
    """Write one entry within a transaction of `Database.writing`; `draft` is given its number and the hash before."""
    last = connection.execute(_LAST).first()
    seq, previous = (1, GENESIS) if last is None else (last.seq + 1, last.hash)
    row, receipt = _row(Packed.of(draft(seq, previous)), seq, previous)
    connection.execute(sa.insert(entries), [row])
    return receipt


def _row(packed: Packed, seq: int, previous: str) -> tuple[dict[str, Any], Receipt]:
    draft, index = packed.draft, packed.content.index
    hash = chain(seq, draft.kind, draft.id, packed.at, packed.digest, previous)
    row = {
        "seq": seq,
        "kind": str(draft.kind),
        "id": draft.id,
        "at": packed.at,
        "payload": packed.stored,
        "digest": packed.digest,
        "previous": previous,
        "hash": hash,
        "prediction_id": index.prediction_id,
        "model_version": index.model_version,
        "patient": index.patient,
        "caller": index.caller,
        "latency_ms": index.latency_ms,
        "through": index.through,
    }
    return row, Receipt(seq, draft.id, packed.at, packed.digest, hash)

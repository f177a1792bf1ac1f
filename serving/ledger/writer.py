"""Group commit: whatever waits is written in one transaction.

What one turn of an event loop answered is committed by the loop itself, see `serving.ledger.prompt`. One thread a
process writes the rest: many entries at once, what other threads append, and all of it while another process holds
the database, while the disk is slow, and in PostgreSQL.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import cast

from serving.ledger.commit import Committer
from serving.ledger.database import LOG_BYTES, Database
from serving.ledger.entry import Draft
from serving.ledger.errors import LedgerBusy, LedgerError, LedgerUnavailable
from serving.ledger.job import Job, Receipts, settle
from serving.ledger.key import Key
from serving.ledger.line import Line
from serving.ledger.prompt import Prompt

log = logging.getLogger("resecta")

#: Bytes, before compression, that are written in one transaction; a single job may be larger.
GROUP_BYTES = 32 * 1024 * 1024

#: Seconds between two attempts to write to a ledger that could not be written.
PROBED_EVERY = 2.0

#: Entries of a request up to which they are written on the event loop; each takes it 0.6 ms.
FEW = 4


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


class Probe:
    """Asks the thread to find out whether the ledger can be written again."""


class Writer:
    """The one writer of a process.

    Parameters
    ----------
    wrote
        Called after each transaction with the number of entries, by whichever thread committed; for measures.
    """

    def __init__(
        self, database: Database, key: Key, limits: Limits | None = None, wrote: Callable[[int], None] | None = None
    ) -> None:
        self.database, self.key, self.limits = database, key, limits or Limits()
        self.problem: str | None = None
        self._wrote = wrote
        self._committer = Committer(Line(database), key, self._wrote_some, self._say)
        self._prompt: Prompt | None = None
        if database.path is not None:
            self._prompt = Prompt(Committer(Line(database, waits=False), key, self._wrote_some, self._say), self._aside)
        self._jobs: queue.SimpleQueue[Job | Probe | None] = queue.SimpleQueue()
        self._probing, self._probed = False, float("-inf")
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
        loop = asyncio.get_running_loop()
        job = Job(drafts, loop.create_future(), loop)
        if self._prompt is None or self._closed or len(drafts) > FEW:
            self._aside(job)
        else:
            self._prompt.take(job, loop)
        try:
            return await cast("asyncio.Future[Receipts]", job.done)
        finally:
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

    def probe(self) -> None:
        """Where the last attempt failed, have the thread make another; returns at once.

        Otherwise a service that nobody asks, because it says that it is not ready, would never be ready again.
        """
        with self._guard:
            if self.problem is None or self._closed or self._probing:
                return
            if time.monotonic() - self._probed < PROBED_EVERY:
                return
            self._probing, self._probed = True, time.monotonic()
            self._jobs.put(Probe())

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
        if self._prompt is not None:
            self._prompt.close()

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

    def _aside(self, job: Job) -> None:
        """Leave a request's job to the thread, and tell the request when that cannot be or takes too long."""
        try:
            self._queue(job)
        except LedgerError as error:
            settle([(job.done, error)])
            return
        # Without `asyncio.wrap_future` and `wait_for`, which take 0.1 ms of every answer.
        assert job.loop is not None
        timer = job.loop.call_later(self.limits.seconds, self._give_up, job)
        cast("asyncio.Future[Receipts]", job.done).add_done_callback(lambda _: timer.cancel())

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
            size, probe = 0, False
            while first is not None:
                if isinstance(first, Probe):
                    probe = True
                else:
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
                if jobs := self._committer.pack([job for job in group if not job.given_up]):
                    self._timed(partial(self._committer.commit, jobs))
                with self._guard:
                    self._waiting -= sum(len(job.drafts) for job in group)
                    self._bytes -= size
            if probe:
                # What was written just now may have told it.
                if self.problem is not None:
                    self._timed(self._committer.probe)
                self._probing = False

    def _timed(self, commit: Callable[[], None]) -> None:
        """Commit, and tell the loop's side how long the disk takes now."""
        started = time.monotonic()
        commit()
        if self._prompt is not None and self.problem is None:
            self._prompt.learn(time.monotonic() - started)

    def _wrote_some(self, count: int, size: int) -> None:
        if self._wrote is not None:
            self._wrote(count)
        self._grown += size
        if self._grown > LOG_BYTES:
            self._grown = 0
            self._long.set()

    def _say(self, problem: str | None) -> None:
        self.problem = problem

    def _tidy(self) -> None:
        while self._long.wait():
            self._long.clear()
            try:
                self.database.tidy()
            except Exception as error:
                log.warning("The ledger's log could not be copied (%s); it grows meanwhile", type(error).__name__)
            if self._closed:
                return

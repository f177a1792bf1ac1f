"""Group commit on the event loop, for a database in a file.

A thread that writes takes the interpreter's lock from the one that answers a dozen times a commit, and waits for it as
often: under load that took six times as long as the writing itself, and made answers come in bursts. So requests that
are answered in one turn of the loop are committed together at its end, where they are. Whatever could make the loop
wait is left to the thread: a lock that another process holds, and a disk that was slow. That it is slow shows only by a
commit that was: this one the loop has waited for.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from serving.ledger.commit import Committer
from serving.ledger.errors import LedgerUnavailable
from serving.ledger.job import Job, tell
from serving.ledger.line import LineHeld

log = logging.getLogger("resecta")

#: Seconds of a commit, beyond which the disk is left to the thread, and for how long at least. A commit takes one
#: millisecond on a solid-state disk and ten on another; a busy machine may take the process from its core for as long.
SLOW = 0.05
AVOIDED = 1.0

#: Jobs after which a commit does not wait for the turn's end.
GROUP = 16


class Prompt:
    """Commits what was appended in this turn of the event loop.

    After a commit that was slow the disk is the thread's, until one of the thread's own was quick again: the loop never
    tries a slow disk to learn whether it still is.

    Parameters
    ----------
    committer
        Of a line that does not wait.
    thread
        Takes a job that must wait.
    """

    def __init__(self, committer: Committer, thread: Callable[[Job], None]) -> None:
        self._committer, self._thread = committer, thread
        self._jobs: list[Job] = []
        self._avoided, self._until = False, 0.0
        self._guard, self._closed = threading.Lock(), False

    def take(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        """Have a job committed soon, here or by the thread."""
        with self._guard:
            aside = self._avoided or self._closed
            if not aside:
                self._jobs.append(job)
            waiting = len(self._jobs)
        if aside:
            self._thread(job)
        elif waiting == 1:
            loop.call_soon(self._flush)
        elif waiting >= GROUP:
            self._flush()

    def learn(self, seconds: float) -> None:
        """Be told how long a commit of the thread took."""
        if self._avoided and seconds <= SLOW and time.monotonic() >= self._until:
            self._avoided = False

    def close(self) -> None:
        """Let go of the database, from any thread; whoever waits for what was not committed is told."""
        with self._guard:
            self._closed = True
            jobs, self._jobs = self._jobs, []
            self._committer.line.close()
        tell([(job, LedgerUnavailable("The ledger is closed.")) for job in jobs])

    def _flush(self) -> None:
        with self._guard:
            held = self._commit()
        for job in held:
            self._thread(job)

    def _commit(self) -> list[Job]:
        """Commit what waits; returns what the thread must."""
        jobs, self._jobs = [job for job in self._jobs if not job.given_up], []
        if not jobs:
            return []
        jobs = self._committer.pack(jobs)
        started = time.monotonic()
        try:
            self._committer.commit(jobs)
        except LineHeld:
            return jobs
        ended = time.monotonic()
        if ended - started > SLOW:
            self._avoided, self._until = True, ended + AVOIDED
            took = (ended - started) * 1e3
            log.warning("A commit to the ledger took %.0f ms; a thread writes it until one is quick again", took)
        return []

"""Group commit on the event loop, for a database in a file.

A thread that writes takes the interpreter's lock from the one that answers a dozen times a commit, and waits for it as
often: under load that took six times as long as the writing itself, and made answers come in bursts. So requests that
are answered in one turn of the loop are committed together at its end, where they are. Whatever could make the loop
wait is left to the thread: a lock that another process holds, and a disk that takes long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from serving.ledger.commit import Committer
from serving.ledger.job import Job
from serving.ledger.line import LineHeld

#: Seconds of a commit, beyond which the disk is left to the thread, and for how long. A commit takes one millisecond
#: on a solid-state disk and ten on another; a busy machine may take the process from its core for as long.
SLOW = 0.05
AVOIDED = 1.0

#: Jobs after which a commit does not wait for the turn's end.
GROUP = 16


class Prompt:
    """Commits what was appended in this turn of the event loop.

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
        self._avoided_until = 0.0

    def take(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        """Have a job committed soon, here or by the thread."""
        if time.monotonic() < self._avoided_until:
            self._thread(job)
            return
        self._jobs.append(job)
        if len(self._jobs) == 1:
            loop.call_soon(self._flush)
        elif len(self._jobs) >= GROUP:
            self._flush()

    def close(self) -> None:
        """Let go of the database; what was not committed was acknowledged to nobody."""
        self._jobs = []
        self._avoided_until = float("inf")
        self._committer.line.close()

    def _flush(self) -> None:
        jobs, self._jobs = [job for job in self._jobs if not job.given_up], []
        if not jobs:
            return
        jobs = self._committer.pack(jobs)
        started = time.monotonic()
        try:
            self._committer.commit(jobs)
        except LineHeld:
            for job in jobs:
                self._thread(job)
            return
        if time.monotonic() - started > SLOW:
            self._avoided_until = time.monotonic() + AVOIDED

"""Room for work that takes long: so much at once, so much that waits, and the rest turned away at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from serving.problems import BODY, refuse

T = TypeVar("T")
_AGAIN = {"retry-after": "5"}


class Places:
    """Places for one kind of work, which a thread of its own does beside the event loop, one after the other.

    Parameters
    ----------
    what
        The work, in the plural, as a refusal names it.
    at_once
        Places; more than one where a place is kept beyond the work, as until its answer is sent.
    waiting
        Requests that may wait for a place.

    Attributes
    ----------
    inside
        Requests that have a place or wait for one.
    """

    def __init__(self, what: str, at_once: int = 1, waiting: int = 8) -> None:
        self.inside = 0
        self._what, self._most = what, at_once + waiting
        self._free = asyncio.Semaphore(at_once)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=what)

    async def take(self) -> Place:
        """Wait for a place; whoever has it gives it back with `Place.leave`.

        Raises
        ------
        Refusal
            503 when too many wait.
        """
        if self.inside >= self._most:
            message = f"Too many {self._what} are waiting. Send this one again in a few seconds."
            raise refuse(503, BODY, "busy", message, _AGAIN)
        self.inside += 1
        try:
            await self._free.acquire()
        except BaseException:
            self.inside -= 1
            raise
        return Place(self)

    async def work(self, work: Callable[[], T]) -> T:
        """Have work done in a place that is given back after it."""
        async with self._taken() as place:
            return await place.work(work)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have the thread do work once it has done what was submitted before."""
        return self._thread.submit(work)

    def left(self) -> None:
        """Have one place more."""
        self.inside -= 1
        self._free.release()

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[Place]:
        place = await self.take()
        try:
            yield place
        finally:
            place.leave()


class Place:
    """One place that was taken. It is free again when it was left and the thread is done with its work."""

    def __init__(self, places: Places) -> None:
        self._places, self._uses = places, 1

    async def work(self, work: Callable[[], T]) -> T:
        """Have work done; given up, it still keeps the place until it ends, as it still keeps its memory."""
        loop = asyncio.get_running_loop()
        future = self._places.submit(work)
        self._uses += 1

        def done(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.leave)

        future.add_done_callback(done)
        return await asyncio.wrap_future(future)

    def leave(self) -> None:
        """Give the place back."""
        self._uses -= 1
        if not self._uses:
            self._places.left()

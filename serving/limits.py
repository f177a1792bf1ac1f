"""How much one caller may ask, and how much is in hand at once: what is beyond is turned away at once.

All limits are a worker's own. A limit shared between processes would cost each request a round trip, and it is each
worker's memory and time that they protect.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

#: Requests a second that one caller may ask on average, and at once after a pause. A board asks a few a minute, and a
#: script that needs more has POST /predict_batch.
RATE = 50.0
BURST_SECONDS = 2.0

#: Where the files of our pages are. They are answered from memory and are not counted: opening the web page takes
#: about thirty of them, which must not be taken from what a board may ask.
UNCOUNTED: Final = ("/static/", "/docs/")

#: Callers remembered; beyond, the one that asked longest ago is forgotten, and has its whole burst again.
CALLERS = 4096

#: Requests that are answered or wait for it in one worker. At 1 ms each, the last waits an eighth of a second.
PLACES = 128

#: Bytes of bodies that are still arriving, together: without it, 1,000 slow senders would hold 1 GB.
ARRIVING = 64 * 1024 * 1024


class Rate:
    """A token bucket for each caller, kept as one number: the time at which the bucket is full again.

    This is the generic cell rate algorithm (ITU-T I.371), equal to a bucket that is refilled steadily.

    Parameters
    ----------
    per_second
        Requests a second on average, above 0.
    burst_seconds
        Size of the bucket, in seconds' worth of requests; at least one request.
    callers
        Buckets kept.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        per_second: float = RATE,
        burst_seconds: float = BURST_SECONDS,
        callers: int = CALLERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1.0 / per_second
        self._burst = max(burst_seconds, self._interval)
        self._callers = callers
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Take one request from the caller's bucket.

        Returns
        -------
        float
            0 when it was there; else nothing was taken, and these are the seconds until it is.
        """
        now = self._clock()
        full_at = self._full_at.get(caller, now)
        after = (full_at if full_at > now else now) + self._interval
        # Half a nanosecond: sums of intervals that should meet the burst exactly miss it by rounding.
        missing = after - now - self._burst
        if missing > 5e-10:
            return missing
        self._full_at[caller] = after
        self._full_at.move_to_end(caller)
        if len(self._full_at) > self._callers:
            self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)


@lru_cache(maxsize=1024)
def network(address: str) -> str:
    """Return what stands for one client among addresses: an IPv6 host has 2**64 of them, so its network is taken."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return address


class Deadlines:
    """Ends tasks that take too long, looking at all of them a few times a second.

    A timer for each request (`asyncio.timeout`) costs as much as all else that is checked about it; an entry in a
    table costs a hundredth of that, and nothing depends on ending a request to the millisecond.

    Parameters
    ----------
    every
        Seconds between looks, and so what a task may take beyond its time.
    """

    def __init__(self, every: float = 0.25) -> None:
        self._every = every
        self._due: dict[asyncio.Task[object], float] = {}
        self._overdue: set[asyncio.Task[object]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def set(self, task: asyncio.Task[object], seconds: float) -> None:
        """Give a task these seconds from now, in place of what it was given before."""
        loop = task.get_loop()
        self._due[task] = loop.time() + seconds
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(self._every, self._look, loop)

    def clear(self, task: asyncio.Task[object]) -> None:
        """Forget a task that ended by itself."""
        self._due.pop(task, None)
        self._overdue.discard(task)

    def ended(self, task: asyncio.Task[object]) -> bool:
        """Say whether the cancellation that a task just met came from here, and take it back if so."""
        if task not in self._overdue:
            return False
        self._overdue.discard(task)
        # Another may have cancelled it as well, as a server that stops does: then it stays cancelled.
        return task.uncancel() == 0

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, due in self._due.items() if due <= now]:
            del self._due[task]
            self._overdue.add(task)
            task.cancel()
        if self._due and not loop.is_closed():
            loop.call_later(self._every, self._look, loop)
        elif self._loop is loop:
            self._loop = None

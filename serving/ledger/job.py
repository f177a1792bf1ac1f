"""What waits to be written, and whoever waits for it: a thread, or a request on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from serving.ledger.entry import Content, Draft, Receipt, digest_of, now
from serving.ledger.packing import pack

Receipts = tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """A draft as it will be stored, without its place in the chain."""

    draft: Draft
    at: str
    digest: str
    stored: bytes
    content: Content

    @classmethod
    def of(cls, draft: Draft) -> Packed:
        """Make, hash and compress the content of a draft."""
        content = draft.content()
        payload = content.bytes()
        return cls(draft, now(), digest_of(payload), pack(payload), content)


@dataclass(slots=True)
class Job:
    """Drafts to be written together, and the future of whoever waits.

    Attributes
    ----------
    loop
        Event loop of `done`; None for a thread's.
    given_up
        Whether nobody waits any more; what is not written then need not be.
    """

    drafts: Sequence[Draft]
    done: Future[Receipts] | asyncio.Future[Receipts]
    loop: asyncio.AbstractEventLoop | None = None
    given_up: bool = False
    packed: list[Packed] = field(default_factory=list)
    size: int = 0

    def __post_init__(self) -> None:
        self.size = sum(draft.size for draft in self.drafts)

    def pack(self) -> None:
        """Make what will be stored, once; raises what making an entry raises."""
        if not self.packed:
            self.packed = [Packed.of(draft) for draft in self.drafts]


def tell(answers: Sequence[tuple[Job, Receipts | Exception]]) -> None:
    """Settle what waits; each event loop is woken once for all of its own."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[tuple[Any, Receipts | Exception]]] = {}
    for job, answer in answers:
        by_loop.setdefault(job.loop, []).append((job.done, answer))
    try:
        here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    for loop, settled in by_loop.items():
        if loop is None or loop is here:
            settle(settled)
            continue
        try:
            loop.call_soon_threadsafe(settle, settled)
        except RuntimeError:
            continue  # The loop ended meanwhile, and nobody waits.


def settle(answers: Sequence[tuple[Any, Receipts | Exception]]) -> None:
    """Set futures; those that are settled already stay so."""
    for done, answer in answers:
        if done.done():
            continue
        if isinstance(answer, Exception):
            done.set_exception(answer)
        else:
            done.set_result(answer)

"""What an auditor may ask of a running service: entries of the ledger, page by page, and whether its chain is whole.

Everything is read in threads, a little at a time, so that answers to patients do not wait for it.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import anyio.to_thread
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from features import Problem
from serving.ledger import Kind, Ledger, LedgerError
from serving.ledger.page import AT_ONCE, Page, find, read
from serving.ledger.verify import Verdict, verify
from serving.ledger.wanted import Wanted
from serving.measures import Measures
from serving.problems import BODY, Refusal, refuse
from serving.query import Parameter, read_query
from serving.recorder import Recorder

#: Entries of a page: when nothing is said, and at most.
USUAL, MOST = 1000, 10_000

#: Pages that are sent at once; more are turned away.
PAGES_AT_ONCE = 2

#: Seconds for which the chain is walked: the answer must be out within 55 s (`serving.gate.ANSWER_WITHIN`).
WALKING = 40.0

MEDIA = "application/x-ndjson"
COUNT, NEXT = "resecta-entries", "resecta-next-after"

_PRIVATE = {"cache-control": "no-store"}
#: The largest whole number that every reader of JSON holds exactly.
_LARGEST = 2**53 - 1
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_TIME_TEXT = "a time with its offset, such as 2026-03-01T09:30:00Z"


def _number(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,16}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return number


def _matching(pattern: str) -> Callable[[str], str]:
    def matching(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return matching


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC).isoformat(timespec="microseconds")


def _noted(text: str) -> tuple[int, str]:
    seq, _, hash = _matching(_NOTED)(text).partition(":")
    return int(seq), hash


_HASH: Final = "[0-9a-f]{64}"
_NOTED: Final = f"[1-9][0-9]{{0,14}}:{_HASH}"
_VERSION: Final = "[!-~]{1,64}"
_CALLER: Final = "[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}"


def _text(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern}$"}


ENTRIES: Final = (
    Parameter(
        "after",
        f"a whole number from 0 to {_LARGEST}: the place of an entry",
        _number(0, _LARGEST),
        {"type": "integer", "minimum": 0, "maximum": _LARGEST, "default": 0},
        description=f"Begin behind this entry; the header {NEXT} of the page before gives it.",
    ),
    Parameter(
        "limit",
        f"a whole number from 1 to {MOST}",
        _number(1, MOST),
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL},
        description="Entries of a page, at most.",
    ),
    Parameter(
        "kind",
        f"one of {', '.join(Kind)}",
        Kind,
        {"type": "string", "enum": [str(kind) for kind in Kind]},
    ),
    Parameter(
        "since",
        _TIME_TEXT,
        _time,
        {"type": "string", "format": "date-time"},
        description="Written then or later.",
    ),
    Parameter(
        "until",
        _TIME_TEXT,
        _time,
        {"type": "string", "format": "date-time"},
        description="Written before then.",
    ),
    Parameter("model_version", "a version as an answer names it", _matching(_VERSION), _text(_VERSION)),
    Parameter("caller", "the name of a token", _matching(_CALLER), _text(_CALLER)),
    Parameter(
        "patient",
        "64 hexadecimal digits: the keyed hash under which a patient reference is kept",
        _matching(_HASH),
        _text(_HASH),
        description="The keyed hash, as entries hold it. A reference itself has no place in an address.",
    ),
    Parameter(
        "prediction_id",
        "the id of an answer",
        lambda text: str(uuid.UUID(_matching("[0-9A-Fa-f-]{36}")(text))),
        {"type": "string", "format": "uuid"},
        description="An answer, and everything that was written about it.",
    ),
)

#: What an export takes too: all but the length of a page.
FILTERS: Final = tuple(parameter for parameter in ENTRIES if parameter.name != "limit")

WALK: Final = (
    Parameter(
        "after",
        "SEQ:HASH, the head that an earlier answer gave",
        _noted,
        _text(_NOTED),
        description="Go on behind an entry that was found sound before; without it, from the first.",
    ),
)


class Audit:
    """The auditor's addresses of one worker.

    Parameters
    ----------
    recorder
        Gives the recorder, which a worker sets once it starts.
    """

    def __init__(self, recorder: Callable[[], Recorder], measures: Measures) -> None:
        self._recorder, self._measures = recorder, measures
        self._pages = 0
        self._walking = threading.Lock()

    async def entries(self, request: Request) -> Response:
        """Answer a page of entries, a line each, as `resecta ledger export` writes them."""
        asked = read_query(request.query_params, ENTRIES)
        if "since" in asked and "until" in asked and asked["since"] >= asked["until"]:
            raise Refusal(422, [Problem("until", "before_since", "The until must be later than the since.")])
        ledger = self._recorder().ledger()
        limit = asked.pop("limit", USUAL)
        if self._pages >= PAGES_AT_ONCE:
            raise _busy(f"{PAGES_AT_ONCE} pages are being sent. Ask for this one again when they have arrived.")

        def look() -> Page:
            with _reading():
                return find(ledger.database, Wanted(**asked), limit)

        self._pages += 1
        try:
            page = await anyio.to_thread.run_sync(look)
        except BaseException:
            self._pages -= 1
            raise
        return _Lines(self, ledger, page)

    async def verify(self, request: Request) -> Response:
        """Answer whether the chain is whole, as far as it can be walked in the time."""
        after = read_query(request.query_params, WALK).get("after")
        ledger = self._recorder().ledger()

        def walk() -> Verdict:
            # Taken and given back by the thread: it goes on when whoever asked is gone.
            if not self._walking.acquire(blocking=False):
                raise _busy("The chain is being verified. Ask again in a minute.")
            try:
                with _reading():
                    return verify(ledger.database, ledger.key, after=after, seconds=WALKING)
            finally:
                self._walking.release()

        verdict = await anyio.to_thread.run_sync(walk, abandon_on_cancel=True)
        broken = verdict.broken
        self._measures.verified("broken" if broken else "whole" if verdict.complete else "partial")
        return Response(to_json(verdict.document()), headers=_PRIVATE, media_type="application/json")

    def sent(self, entries: int) -> None:
        """Count entries that were sent."""
        self._measures.audited(entries)

    def ended(self) -> None:
        """Give back the place of a page."""
        self._pages -= 1


class _Lines(StreamingResponse):
    """A page, read and sent a few entries at a time: no more of it is in memory, however slow the client is."""

    def __init__(self, audit: Audit, ledger: Ledger, page: Page) -> None:
        self._audit, self._ledger, self._page = audit, ledger, page
        headers = {**_PRIVATE, COUNT: str(len(page.seqs))}
        if page.after is not None:
            headers[NEXT] = str(page.after)
        super().__init__(self._read(), headers=headers, media_type=MEDIA)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await Response(headers=dict(self.headers)).__call__(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._audit.ended()

    async def _read(self) -> AsyncIterator[bytes]:
        seqs = self._page.seqs
        for first in range(0, len(seqs), AT_ONCE):
            part = seqs[first : first + AT_ONCE]
            yield await anyio.to_thread.run_sync(read, self._ledger.database, part)
            self._audit.sent(len(part))


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except LedgerError as error:
        raise refuse(503, "ledger", "ledger_unavailable", str(error)) from None


def _busy(message: str) -> Refusal:
    return refuse(503, BODY, "busy", message, {"retry-after": "30"})

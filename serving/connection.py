"""One client's connection: how many there are, how long a request's head may be and take.

uvicorn keeps as many connections as come, waits for the head of a request without end, and gathers headers and
trailers of any number: all of it before anything of ours is asked, so before any token. Its own limit of connections
(`limit_concurrency`) cannot be set through BentoML. This is its protocol with those bounds.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import uvicorn.config
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Connections of one worker, idle ones too; beyond, each is answered 503 and closed. An idle one costs 2.4 kB.
CONNECTIONS = 1024

#: Open files that a worker needs beside its connections.
OTHER_FILES = 128

#: Bytes of a request's first line and headers, as nginx takes; and seconds in which they must arrive.
LARGEST_HEAD = 32 * 1024
HEAD_WITHIN = 10.0

#: Bytes of a whole request on the wire. A body is judged by the gate at 1 MiB; in chunks of one byte each it
#: is six times as long, and behind it may come trailers, which nobody reads.
LARGEST_MESSAGE = 8 * 1024 * 1024

_PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
_NAME = "serving.connection:BoundedConnection"


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on what comes before the gate."""

    _in_head = True
    _idle = True
    _begun = 0
    _fed = 0
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or turn it away when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refuse(503, "busy", "Too many connections. Try again in a second.", b"retry-after: 1\r\n")
            return
        self._due = self.loop.call_later(HEAD_WITHIN, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within bounds; memory may exceed them by the one piece that passes them."""
        if self.transport.is_closing():
            return
        was_idle, self._begun = self._idle, 0
        super().data_received(data)
        # Of a piece with the end of one request and the begin of the next, neither is known to be long.
        self._fed = self._fed + len(data) if not self._begun else len(data) if was_idle and self._begun == 1 else 0
        if self.transport.is_closing():
            return
        if self._in_head and not self._idle:
            if self._fed > LARGEST_HEAD:
                limit = f"The first line and the headers have at most {LARGEST_HEAD} bytes together."
                self._refuse(431, "head_too_large", limit)
            elif self._due is None:
                self._due = self.loop.call_later(HEAD_WITHIN, self._late)
        elif self._fed > LARGEST_MESSAGE and not self._idle:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin to count a request."""
        self._in_head, self._idle = True, False
        self._begun += 1
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, and drop a trailer."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request on."""
        self._in_head = False
        self._stop_clock()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Begin to wait for the next request; uvicorn closes a connection on which none begins."""
        super().on_message_complete()
        self._idle = True

    def send_400_response(self, msg: str) -> None:
        """Say in our own shape that this is no HTTP."""
        self._refuse(400, "invalid_http", "This is no HTTP request that can be read.")

    def _late(self) -> None:
        self._due = None
        if not self.transport.is_closing():
            limit = f"The first line and the headers must arrive within {HEAD_WITHIN:g} seconds."
            self._refuse(408, "head_too_slow", limit)

    def _stop_clock(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _refuse(self, status: int, code: str, message: str, more: bytes = b"") -> None:
        self._stop_clock()
        # While an answer is being written, another in its midst would be read as part of it.
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            body = to_json({"errors": [{"field": "head", "code": code, "message": message}]})
            head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            head = head % (status, _PHRASES[status], len(body))
            self.transport.write(head + more + b"connection: close\r\n\r\n" + body)
        self.transport.close()


def bound_connections() -> None:
    """Make uvicorn use `BoundedConnection`, and let the worker open the files that it needs.

    BentoML builds uvicorn's configuration by itself and names no protocol, which uvicorn looks up as "auto".
    """
    uvicorn.config.HTTP_PROTOCOLS["auto"] = _NAME
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))

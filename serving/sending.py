"""An answer as it is sent: JSON that can be read anywhere, in one piece or in parts."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

#: Of what is said of one patient, or at one moment: no cache may keep it.
PRIVATE: Final = {"cache-control": "no-store"}

MEDIA: Final = "application/json"

#: Bytes that are handed to the server at once; it takes the next when the client has read nearly all of these.
PIECE = 64 * 1024


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON.

    Raises
    ------
    ValueError
        When a number of it is not finite.
    """
    content = to_json(document)
    if b"NaN" in content or b"Infinity" in content:
        # Not JSON, unless within a text: this raises in the one case and writes it in the other.
        content = json.dumps(document, allow_nan=False).encode()
    return content


def sent(content: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Answer JSON that is written already."""
    return Response(content, headers=headers, media_type=MEDIA)


def document(content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Answer a document."""
    return sent(encoded(content), headers)


class Parts(Response):
    """An answer of many parts, sent as fast as it is read: no second copy is made, and what was sent is let go.

    Parameters
    ----------
    parts
        The whole, in order.
    ended
        Called when all was sent or nothing more can be.
    """

    def __init__(self, parts: Iterable[bytes], ended: Callable[[], None]) -> None:
        self._parts, self._ended = deque(parts), ended
        length = sum(map(len, self._parts))
        super().__init__(headers={**PRIVATE, "content-length": str(length)}, media_type=MEDIA)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while self._parts:
                await send({"type": "http.response.body", "body": self._next(), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._parts.clear()
            self._ended()
        if self.background is not None:
            await self.background()

    def _next(self) -> bytes:
        piece, size = [], 0
        while self._parts and size < PIECE:
            piece.append(self._parts.popleft())
            size += len(piece[-1])
        return b"".join(piece)

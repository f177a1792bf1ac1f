"""What every request passes before a route sees it: who asks, how much is sent and how long it takes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import secrets
import time
import traceback
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.measures import Measures
from serving.problems import BODY, Refusal, refuse, respond
from serving.settings import is_loopback

log = logging.getLogger("resecta")

#: Bytes of a request body. A batch of 1,000 full patients is about 700 kB.
LARGEST_BODY = 1024 * 1024

#: Seconds in which the whole body must arrive, however it is sliced; and in which the answer must be made,
#: just below the 60 s after which BentoML would answer in its own shape.
BODY_WITHIN = 10.0
ANSWER_WITHIN = 55.0

#: Paths that say nothing about patients and that a load balancer asks without a token.
OPEN = frozenset({"/livez", "/readyz"})

#: The pages load nothing but our own files; no inline script or style runs, and nobody may frame them.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = tuple(
    (name.encode(), value.encode())
    for name, value in {
        "content-security-policy": CONTENT_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }.items()
)
# Basic comes first: Chromium reads one challenge a header and would not ask for a password behind another kind.
_CHALLENGE = {"www-authenticate": 'Basic realm="resecta", charset="UTF-8", Bearer realm="resecta"'}
_CLOSE = {"connection": "close"}
_ROOT = Path(__file__).resolve().parent.parent


class Gate:
    """ASGI middleware that stands before all of BentoML's own routes and hands each request to ours.

    Authentication is here and not in a BentoML endpoint because BentoML keeps 401 and 403 to itself; the
    page, the errors and the limits are here because BentoML's own index loads a tag manager, its errors have
    another shape, and it accepts a body of any size.

    Parameters
    ----------
    app
        What BentoML built; it gets the start and stop messages and no request.
    routes
        What answers.
    measures
        Where requests are counted.
    token
        What a client must show, or None: then only connections that arrive on loopback are answered, which
        also holds when the service was told to listen elsewhere by other means than `resecta serve`.
    body_within
        Seconds for a body to arrive.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: ASGIApp,
        measures: Measures,
        token: str | None = None,
        body_within: float = BODY_WITHIN,
    ) -> None:
        self.app = app
        self.routes = routes
        self.measures = measures
        self.token = token.encode() if token is not None else None
        self.body_within = body_within

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, refuse a websocket, and pass the rest on."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 0

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            self._admit(scope)
            body = b"" if scope["method"] in ("GET", "HEAD") else await self._body(scope, receive)
            async with asyncio.timeout(ANSWER_WITHIN):
                await self.routes(scope, _replay(body, receive), guarded)
        except Exception as error:
            refusal = _refusal(error)
            self.measures.refused(refusal)
            # After the first byte no other answer can be given: the server closes the connection.
            if status == 0:
                await respond(refusal)(scope, receive, guarded)
        finally:
            self.measures.request(scope, status, time.perf_counter() - started)

    def _admit(self, scope: Scope) -> None:
        if scope["path"] in OPEN:
            return
        if self.token is None:
            if not _is_local(scope.get("server")):
                raise refuse(
                    403,
                    "authorization",
                    "token_not_configured",
                    "The service can be reached from other machines and has no token. Set RESECTA_TOKEN and "
                    "start it again, or listen on 127.0.0.1.",
                )
        elif not secrets.compare_digest(_shown(scope), self.token):
            raise refuse(
                401,
                "authorization",
                "token_required",
                "Send the token of this service: `Authorization: Bearer <token>`, or in a browser any user "
                "name with the token as password.",
                _CHALLENGE,
            )

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        for name, value in scope["headers"]:
            if name == b"content-length" and not (value.isdigit() and int(value) <= LARGEST_BODY):
                raise _too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self.body_within):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise refuse(400, BODY, "incomplete_body", "The connection ended within the body.")
                    body += message.get("body", b"")
                    if len(body) > LARGEST_BODY:
                        raise _too_large()
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            limit = f"The whole body must arrive within {self.body_within:g} seconds."
            raise refuse(408, BODY, "body_too_slow", limit, _CLOSE) from None


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _shown(scope: Scope) -> bytes:
    """Return the token that a request shows; empty, which equals no token, when it shows none."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, credentials = value.partition(b" ")
            if kind.lower() == b"bearer":
                return bytes(credentials.strip())
            if kind.lower() == b"basic":
                # The only kind that a browser sends with a page and its files.
                try:
                    decoded = base64.b64decode(credentials.strip(), validate=True)
                except binascii.Error:
                    return b""
                return decoded.partition(b":")[2]
    return b""


def _is_local(server: tuple[str, int | None] | None) -> bool:
    if server is None:
        return False
    # A Unix socket has a path and no port.
    return server[1] is None or _is_loopback(server[0])


_is_loopback = lru_cache(maxsize=64)(is_loopback)


def _too_large() -> Refusal:
    limit = f"A body has at most {LARGEST_BODY} bytes (1 MiB). Send the patients in several batches."
    return refuse(413, BODY, "body_too_large", limit, _CLOSE)


def _refusal(error: Exception) -> Refusal:
    """Turn what a route raised into a refusal; of an unexpected error only its kind and place are kept."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return _routing_refusal(error)
    if isinstance(error, TimeoutError):
        limit = f"The answer was not ready within {ANSWER_WITHIN:g} seconds. Send fewer patients at once."
        return refuse(503, BODY, "too_slow", limit)
    reference = secrets.token_hex(4)
    # Neither the message of the error nor the trace is logged: both may hold what was sent.
    log.error("Error %s: %s at %s", reference, type(error).__name__, _place(error))
    message = f"The service failed; the request may be right. Report the reference {reference}."
    return refuse(500, BODY, "internal_error", message)


def _routing_refusal(error: HTTPException) -> Refusal:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return refuse(404, "path", "no_such_route", "No such address. GET /docs lists those that exist.", headers)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(headers.get("Allow", "").split(", ")))
        return refuse(405, "method", "wrong_method", f"This address takes {allowed}.", {"allow": allowed})
    return refuse(error.status_code, BODY, "refused", HTTPStatus(error.status_code).phrase, headers)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    file = Path(frames[-1].filename)
    shown = file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else Path(*file.parts[-2:])
    return f"{shown}:{frames[-1].lineno} in {frames[-1].name}"

"""What every request passes before a route sees it: who asks, how much is sent and how long it takes."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import os
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import LOCAL, OPEN, Access, Caller
from serving.callers import Callers
from serving.limits import ARRIVING, PLACES, RATE, Deadlines, Rate, network
from serving.logs import CALLER, ERROR, SIZE, STATUS, Form, RequestLog
from serving.measures import Measures
from serving.problems import BODY, Refusal, refuse, respond
from serving.settings import Settings, is_loopback
from serving.traces import Traces

log = logging.getLogger("resecta")

#: Bytes of a request body, where many patients may be sent and elsewhere. A batch of 1,000 full patients is about
#: 700 kB, one patient with all fields and 20 regimens 4 kB. A body of 1 MiB can hold 60,000 unknown names, which
#: take a second and 100 MB to refuse, so it is not taken where nothing of that size can be right.
LARGEST_BODY = 1024 * 1024
LARGEST_OF_ONE = 128 * 1024
MANY: Final = frozenset({"/predict_batch"})

#: Seconds in which the whole body must arrive, however it is sliced; and in which the answer must be made,
#: just below the 60 s after which BentoML would answer in its own shape.
BODY_WITHIN = 10.0
ANSWER_WITHIN = 55.0

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
_AGAIN = {"retry-after": "1"}
_ROOT = Path(__file__).resolve().parent.parent
_NO_BODY: Final = frozenset({"GET", "HEAD"})


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
    settings
        RESECTA_TOKEN, the token file, origins, rate and form of the log. Without any token, only connections that
        arrive on loopback are answered, which also holds when the service was told to listen elsewhere by other
        means than `resecta serve`.
    traces
        Opens, from the environment, where spans go; called here, that is, in the worker that answers.
    body_within
        Seconds for a body to arrive.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: ASGIApp,
        measures: Measures,
        settings: Settings | None = None,
        traces: Callable[[Mapping[str, str]], Traces | None] | None = None,
        body_within: float = BODY_WITHIN,
        request_log: RequestLog | None = None,
    ) -> None:
        settings = settings if settings is not None else Settings(log=Form.OFF)
        self.app = app
        self.routes = routes
        self.measures = measures
        self.traces = traces(os.environ) if traces is not None else None
        self.log = request_log if request_log is not None else RequestLog(settings.log)
        self.callers = Callers(settings.token, settings.tokens)
        self.access = Access(route.path for route in _routes(routes))
        self.body_within = body_within
        self._rate = Rate(settings.rate or RATE) if settings.rate != 0 else None
        self._local_rate = self._rate if settings.rate is not None else None
        self._deadlines = Deadlines()
        self._inside = 0
        self._arriving = 0
        self._through: ASGIApp = self._respond
        if settings.origins:
            # Without credentials: a page of another origin sends a token that it was given, never one that the
            # browser keeps for ours.
            self._through = CORSMiddleware(
                self._respond,
                allow_origins=settings.origins,
                allow_methods=("GET", "POST"),
                allow_headers=("authorization", "content-type"),
                expose_headers=("retry-after",),
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, refuse a websocket, and pass the rest on."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            try:
                await self.app(scope, receive, send)
            finally:
                # uvicorn ends by the signal that it was sent, so nothing that waits for the interpreter's end runs.
                if self.traces is not None:
                    self.traces.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope[STATUS] = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            await self._through(scope, receive, guarded)
        finally:
            seconds = time.perf_counter() - started
            route, status = getattr(scope.get("route"), "path", "none"), scope.get(STATUS, 0)
            self.measures.request(route, status, seconds)
            self.log.request(scope, route, status, seconds)
            if self.traces is not None:
                self.traces.ended(scope, route, status, seconds)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            length = self._admit(scope)
            if scope["path"] in OPEN:
                await self.routes(scope, receive, send)
            else:
                await self._hand_on(scope, receive, send, length)
        except Exception as error:
            refusal = _refusal(error, scope)
            self.measures.refused(refusal)
            # After the first byte no other answer can be given: the server closes the connection.
            if STATUS not in scope:
                await respond(refusal)(scope, receive, send)
            # What was raised in a thread and the frames that it passed hold each other, and so the body, until the
            # collector looks at the oldest generation, which it seldom does here.
            for ended in (error, refusal):
                ended.__traceback__ = ended.__context__ = None

    def _admit(self, scope: Scope) -> bytes:
        """Find out who asks, whether they may, and return the announced length of the body."""
        authorization = length = host = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"content-length":
                length = value
            elif name == b"host":
                host = value
        path = scope["path"]
        if path in OPEN:
            return length
        caller = self._caller(scope, authorization, host)
        scope[CALLER] = caller.name
        if caller is LOCAL:
            self._take(self._local_rate, LOCAL.name)
            return length
        self._take(self._rate, caller.name)
        needed = self.access.roles(path)
        if needed.isdisjoint(caller.roles):
            raise refuse(
                403,
                "authorization",
                "role_missing",
                f"The token {caller.name} has no right to this address: it needs the role "
                f"{' or '.join(sorted(needed))} and has {', '.join(sorted(caller.roles))}. Ask whoever runs the "
                "service for another (`resecta token create`).",
            )
        return length

    def _caller(self, scope: Scope, authorization: bytes, host: bytes) -> Caller:
        callers = self.callers
        callers.refresh()
        if not callers.required:
            if not _is_local(scope.get("server")):
                raise refuse(
                    403,
                    "authorization",
                    "token_not_configured",
                    "The service can be reached from other machines and has no token. Run `resecta token create`, "
                    "or set RESECTA_TOKEN and start it again, or listen on 127.0.0.1.",
                )
            if not _names_this_machine(host):
                # A page elsewhere can have its own name lead here, and would then read answers as its own.
                raise refuse(
                    403,
                    "host",
                    "host_not_local",
                    "A service without tokens answers to localhost and to IP addresses only. Use 127.0.0.1, or "
                    "create a token (`resecta token create`).",
                )
            return LOCAL
        caller = callers.find(authorization)
        if caller is not None:
            return caller
        # Guesses are counted by where they come from, so that they cannot use up what a holder may ask.
        self._take(self._rate, f"@{network((scope.get('client') or ('',))[0])}")
        if callers.broken:
            message = "The service cannot read its list of tokens. Its log says why; tell whoever runs it."
            raise refuse(503, "authorization", "tokens_unreadable", message, _AGAIN)
        raise refuse(
            401,
            "authorization",
            "token_required",
            "Send a token of this service that has not expired: `Authorization: Bearer <token>`, or in a browser any "
            "user name with the token as password.",
            _CHALLENGE,
        )

    @staticmethod
    def _take(rate: Rate | None, caller: str) -> None:
        wait = rate.wait(caller) if rate is not None else 0.0
        if wait > 0.0:
            seconds = math.ceil(wait)
            message = f"Too many requests. Wait {seconds} s, or send many patients at once to POST /predict_batch."
            raise refuse(429, BODY, "rate_exceeded", message, {"retry-after": str(seconds)})

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send, length: bytes) -> None:
        """Read the body, wait for a place and let the route answer, each within its time."""
        task = asyncio.current_task()
        assert task is not None
        reading, body = scope["method"] not in _NO_BODY, b""
        try:
            if reading:
                most = LARGEST_BODY if scope["path"] in MANY else LARGEST_OF_ONE
                if length and not (length.isdigit() and len(length) < 12 and int(length) <= most):
                    raise _too_large(most)
                self._deadlines.set(task, self.body_within)
                body = await self._body(receive, most)
                scope[SIZE] = len(body)
                reading = False
            self._deadlines.set(task, ANSWER_WITHIN)
            if self._inside >= PLACES:
                raise refuse(503, BODY, "busy", f"{PLACES} requests are in hand. Send this one again soon.", _AGAIN)
            self._inside += 1
            try:
                # Scoring does not yield. All requests that arrived meanwhile come as far as this line, are
                # counted, and those beyond the places are turned away before the first is worked on.
                await asyncio.sleep(0)
                await self.routes(scope, _replay(body, receive), send)
            finally:
                self._inside -= 1
        except asyncio.CancelledError:
            if not self._deadlines.ended(task):
                raise
            if reading:
                text = f"The whole body must arrive within {self.body_within:g} seconds."
                raise refuse(408, BODY, "body_too_slow", text, _CLOSE) from None
            text = f"The answer was not ready within {ANSWER_WITHIN:g} seconds. Send fewer patients at once."
            raise refuse(503, BODY, "too_slow", text, _AGAIN) from None
        finally:
            self._deadlines.clear(task)

    async def _body(self, receive: Receive, most: int) -> bytes:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            # As nearly all are: in one piece, with nothing to keep count of.
            body = message.get("body", b"")
            if len(body) > most:
                raise _too_large(most)
            return bytes(body)
        parts, size = [], 0
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise refuse(400, BODY, "incomplete_body", "The connection ended within the body.")
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self._arriving += len(part)
                if size > most:
                    raise _too_large(most)
                if self._arriving > ARRIVING:
                    text = "Too many bodies are arriving. Send this one again in a second."
                    raise refuse(503, BODY, "busy", text, {**_AGAIN, **_CLOSE})
                if not message.get("more_body", False):
                    return b"".join(parts)
                message = await receive()
        finally:
            self._arriving -= size


def _routes(routes: ASGIApp) -> list[Route]:
    return [route for route in routes.routes if isinstance(route, Route)] if isinstance(routes, Router) else []


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _is_local(server: tuple[str, int | None] | None) -> bool:
    if server is None:
        return False
    # A Unix socket has a path and no port.
    return server[1] is None or _is_loopback(server[0])


_is_loopback = lru_cache(maxsize=64)(is_loopback)


@lru_cache(maxsize=256)
def _names_this_machine(host: bytes) -> bool:
    """Say whether a Host header is an address or localhost, which no name server gives to others; or missing."""
    name = host.decode("latin-1").lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _too_large(most: int) -> Refusal:
    limit = f"A body has at most {most} bytes here; POST /predict_batch takes {LARGEST_BODY} with up to 1,000 patients."
    return refuse(413, BODY, "body_too_large", limit, _CLOSE)


def _refusal(error: Exception, scope: Scope) -> Refusal:
    """Turn what a route raised into a refusal; of an unexpected error only its kind and place are kept."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return _routing_refusal(error)
    reference = scope[ERROR] = secrets.token_hex(4)
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

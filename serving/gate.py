"""What every request passes before a route sees it: who asks, how much is sent and how long it takes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import OPEN
from serving.admission import Admission
from serving.failures import refusal_of
from serving.limits import ARRIVING, PLACES, Deadlines
from serving.logs import SIZE, STATUS, Form, RequestLog
from serving.measures import Measures
from serving.problems import BODY, Refusal, refuse, respond
from serving.settings import Settings
from serving.traces import Traces

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

#: Seconds in which an answer must be read, from its first byte: what is not read yet is memory that others wait for.
#: The largest, 1,000 patients under 20 regimens, is about 90 MB.
READ_WITHIN = 60.0

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
_CLOSE = {"connection": "close"}
_AGAIN = {"retry-after": "1"}
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
        self.admission = Admission(settings, (route.path for route in _routes(routes)))
        self.body_within = body_within
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
            length = self.admission.admit(scope)
            if scope["path"] in OPEN:
                await self.routes(scope, receive, send)
            else:
                await self._hand_on(scope, receive, send, length)
        except Exception as error:
            refusal = refusal_of(error, scope)
            self.measures.refused(refusal)
            # After the first byte no other answer can be given: the server closes the connection.
            if STATUS not in scope:
                await respond(refusal)(scope, receive, send)
            # What was raised in a thread and the frames that it passed hold each other, and so the body, until the
            # collector looks at the oldest generation, which it seldom does here.
            for ended in (error, refusal):
                ended.__traceback__ = ended.__context__ = None

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

            async def timed(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._deadlines.set(task, READ_WITHIN)
                await send(message)

            try:
                # Scoring does not yield. All requests that arrived meanwhile come as far as this line, are
                # counted, and those beyond the places are turned away before the first is worked on.
                await asyncio.sleep(0)
                await self.routes(scope, _replay(body, receive), timed)
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


def _too_large(most: int) -> Refusal:
    limit = f"A body has at most {most} bytes here; POST /predict_batch takes {LARGEST_BODY} with up to 1,000 patients."
    return refuse(413, BODY, "body_too_large", limit, _CLOSE)

"""The addresses of the service, and what each answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from pydantic_core import to_json
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from serving.application import Application, Scorer
from serving.assets import Asset, read_assets
from serving.audit import Audit
from serving.body import read_body
from serving.ledger import Draft, Kind
from serving.logs import MODEL, PREDICTION
from serving.measures import CONTENT_TYPE, Measures
from serving.openapi import docs_assets, docs_page, openapi_document
from serving.problems import BODY, refuse
from serving.recorder import Recorder
from serving.shadow import Shadow

STATIC = Path(__file__).parent / "static"
EVIDENCE_STYLE = Path(__file__).parents[1] / "training" / "bundle" / "evidence.css"

#: Batches that are worked on at once, beside the single patients, and that may wait; more are turned away so
#: that memory stays bounded.
BATCHES_AT_ONCE = 1
BATCHES_WAITING = 8

#: What readiness, which needs no token, tells of the model.
_IDENTITY = ("name", "version", "spec_digest")

#: Bytes up to which a body is read on the event loop; a patient with all fields and 20 regimens is 4 kB.
SMALL_BODY = 8 * 1024

_PRIVATE = {"cache-control": "no-store"}
T = TypeVar("T")

#: What was asked, what was answered, and the same as it is sent.
Made = tuple[Mapping[str, Any], Mapping[str, Any], bytes]


class Routes(Router):
    """Our routes as one ASGI application.

    Parameters
    ----------
    measures
        Where answers are counted.
    application
        What answers; a worker sets it once its model is loaded, and every request reads it anew, once.
    bench
        Whether to answer `/constant`, which does nothing: what a request costs before any prediction.
    """

    def __init__(self, measures: Measures, application: Application | None = None, *, bench: bool = False) -> None:
        self.measures = measures
        self.application = application if application is not None else Application()
        self.shadow: Shadow | None = None
        self.recorder = Recorder(None, measures)
        # The evidence page comes with the bundle's code, and so does its style.
        self.static = {**read_assets(STATIC), **read_assets(EVIDENCE_STYLE.parent, (EVIDENCE_STYLE.name,))}
        self.docs = docs_assets()
        self._batches = anyio.CapacityLimiter(BATCHES_AT_ONCE)
        self._waiting = 0
        audit = Audit(lambda: self.recorder, measures)
        table: list[tuple[str, str, Callable[..., Any]]] = [
            ("POST", "/predict", self.predict),
            ("POST", "/predict_batch", self.predict_batch),
            ("POST", "/compare", self.compare),
            ("POST", "/explain", self.explain),
            ("GET", "/predictions/{prediction_id}", self.prediction),
            ("POST", "/outcomes", self.outcome),
            ("POST", "/estimates", self.estimate),
            ("GET", "/audit", audit.entries),
            ("GET", "/audit/verify", audit.verify),
            ("GET", "/readyz", self.readiness),
            ("GET", "/livez", self.liveness),
            ("GET", "/", self.page),
            ("GET", "/evidence", self.evidence),
            ("GET", "/static/{name:path}", self.static_file),
            ("GET", "/specification", self.specification),
            ("GET", "/model", self.model),
            ("GET", "/metrics", self.metrics),
            ("GET", "/docs", self.docs_page),
            ("GET", "/docs/{name:path}", self.docs_file),
            ("GET", "/openapi.json", self.openapi),
        ]
        if bench:
            # First, as the comparison must not gain from a longer search for the address.
            table.insert(0, ("POST", "/constant", self.constant))
        routes = [Route(path, handler, methods=[method]) for method, path, handler in table]
        super().__init__(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; an unknown address or method raises `HTTPException` for the gate to word."""
        # Starlette raises, and does not write its own page, only within an application.
        scope["app"] = self
        await super().__call__(scope, receive, send)

    async def predict(self, request: Request) -> Response:
        """Answer one patient, once the answer is in the ledger."""
        ready = self.application.ready()
        started = time.perf_counter()
        body = await request.body()

        def work() -> Made:
            read = read_body(request.headers, body, ready.models.predict, ready.models)
            sent, answer = ready.scorer.write(read)
            return read, answer, sent

        # A thread costs more than a patient does; a large body is no single patient, only costly to refuse.
        read, answer, sent = work() if len(body) <= SMALL_BODY else await self._aside(work)
        _named(request.scope, answer)
        await self._record(request.scope, ready.scorer, [(read, answer, sent)], started)
        self.measures.answered([answer])
        return self._shadowed(_sent(sent, _PRIVATE), ready.scorer, read, answer)

    async def compare(self, request: Request) -> Response:
        """Answer how two regimens differ for one patient, once the answer is in the ledger."""
        ready = self.application.ready()
        started = time.perf_counter()
        body = await request.body()

        def work() -> Made:
            read = read_body(request.headers, body, ready.models.compare, ready.models)
            answer = ready.scorer.compare(read)
            return read, answer, _encoded(answer)

        made = work() if len(body) <= SMALL_BODY else await self._aside(work)
        return await self._recorded(request.scope, ready.scorer, made, started, Kind.COMPARISON)

    async def explain(self, request: Request) -> Response:
        """Answer what moves one estimate, once the answer is in the ledger.

        In a thread beside the single patients: it scores many supposed ones.
        """
        ready = self.application.ready()
        started = time.perf_counter()
        body = await request.body()

        def work() -> Made:
            read = read_body(request.headers, body, ready.models.explain, ready.models)
            answer = ready.scorer.explain(read)
            return read, answer, _encoded(answer)

        made = await self._aside(work)
        return await self._recorded(request.scope, ready.scorer, made, started, Kind.EXPLANATION)

    async def predict_batch(self, request: Request) -> Response:
        """Answer many patients, in a thread beside the single ones, once all are in the ledger."""
        ready = self.application.ready()
        started = time.perf_counter()
        body = await request.body()

        def work() -> tuple[dict[str, Any], Sequence[tuple[bytes, Mapping[str, Any]]]]:
            read = read_body(request.headers, body, ready.models.batch, ready.models)
            return read, ready.scorer.write_batch(read)

        read, written = await self._aside(work)
        answers = [answer for _, answer in written]
        _named(request.scope, {"model": answers[0].get("model", {})} if answers else {})
        singles = [{**read, "patient": patient} for patient in read["patients"]]
        made = [(single, answer, sent) for single, (sent, answer) in zip(singles, written, strict=True)]
        await self._record(request.scope, ready.scorer, made, started)
        self.measures.answered(answers)
        sent = b'{"predictions":[' + b",".join(part for part, _ in written) + b"]}"
        return self._shadowed(_sent(sent, _PRIVATE), ready.scorer, read, {"predictions": answers})

    async def _recorded(self, scope: Scope, scorer: Scorer, made: Made, started: float, kind: Kind) -> Response:
        """Commit one answer of a kind, and then send it."""
        _, answer, sent = made
        _named(scope, answer)
        await self._record(scope, scorer, [made], started, kind)
        return _sent(sent, _PRIVATE)

    async def _record(
        self,
        scope: Scope,
        scorer: Scorer,
        made: Sequence[Made],
        started: float,
        kind: Kind = Kind.PREDICTION,
    ) -> None:
        """Commit answers together; what a board judged by itself before them comes before them in the chain."""
        recorder = self.recorder
        if not recorder.on:
            if any(read.get("estimate") for read, _, _ in made):
                recorder.required()
            return
        spent = 1000 * (time.perf_counter() - started)
        drafts: list[Draft] = []
        for read, answer, sent in made:
            if read.get("estimate"):
                drafts.append(recorder.judged(scope, answer["prediction_id"], read["estimate"]))
            drafts.append(recorder.predicted(scope, answer, sent, read, spent, scorer.digests, kind))
        await recorder.record(drafts)

    async def prediction(self, request: Request) -> Response:
        """Answer what was answered before, bit for bit as it was sent, whatever model answers now."""
        prediction_id = str(request.path_params["prediction_id"])
        return _sent(await self.recorder.stored(prediction_id), _PRIVATE)

    async def outcome(self, request: Request) -> Response:
        """Record what became of a patient."""
        recorder, models = self.recorder.required(), self.application.ready().models
        read = read_body(request.headers, await request.body(), models.outcome, models)
        key = read.get("idempotency_key")
        report = await recorder.outcome(request.scope, str(read["prediction_id"]), read["values"], key)
        return _json(asdict(report), _PRIVATE)

    async def estimate(self, request: Request) -> Response:
        """Record what a board judged by itself, of a prediction that was answered before."""
        recorder, models = self.recorder.required(), self.application.ready().models
        read = read_body(request.headers, await request.body(), models.estimate, models)
        prediction_id = str(read["prediction_id"])
        await recorder.estimate(request.scope, prediction_id, read)
        return _json({"prediction_id": prediction_id, "recorded": True}, _PRIVATE)

    def _shadowed(
        self, response: Response, scorer: Scorer, request: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> Response:
        """Have a challenger answer too, once the response is sent."""
        shadow, digests = self.shadow, scorer.digests
        if shadow is not None:

            async def offer() -> None:
                shadow.offer(request, answer, digests)

            response.background = BackgroundTask(offer)
        return response

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= BATCHES_AT_ONCE + BATCHES_WAITING:
            message = "Too many batches are waiting. Send this one again in a few seconds."
            raise refuse(503, BODY, "busy", message, {"retry-after": "5"})
        self._waiting += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._batches, abandon_on_cancel=True)
        finally:
            self._waiting -= 1

    async def readiness(self, _: Request) -> Response:
        """Say whether predictions are answered: 200, or 503 with the reasons; and which later model was refused."""
        application = self.application
        scorer = application.ready().scorer
        known = {name: scorer.model_card[name] for name in _IDENTITY if name in scorer.model_card}
        document: dict[str, Any] = {"status": "ready", "model": known}
        if application.refused is not None:
            document["refused"] = asdict(application.refused)
        problem = self.recorder.problem
        if problem is not None:
            raise refuse(503, "ledger", "ledger_unavailable", problem)
        return _json(document, _PRIVATE)

    async def liveness(self, _: Request) -> Response:
        """Say that the process answers at all."""
        return _json({"status": "alive"}, _PRIVATE)

    async def page(self, _: Request) -> Response:
        """Answer the web page."""
        application = self.application
        application.ready()
        return Response(application.page, headers={"cache-control": "no-cache"}, media_type="text/html")

    async def evidence(self, _: Request) -> Response:
        """Answer the page of the evidence behind the model."""
        application = self.application
        application.ready()
        return Response(application.evidence, headers={"cache-control": "no-cache"}, media_type="text/html")

    async def static_file(self, request: Request) -> Response:
        """Answer a file of the web page."""
        return _asset(self.static, request)

    async def specification(self, _: Request) -> Response:
        """Answer the fields, outcomes, regimens and flags."""
        scorer = self.application.ready().scorer
        return _json(scorer.specification_document)

    async def model(self, _: Request) -> Response:
        """Answer what is known of the model: its version, data, and limits."""
        scorer = self.application.ready().scorer
        kept = self.recorder.on
        return _json({**scorer.model_card, "features": {"ledger": kept, "estimates": kept}})

    async def metrics(self, _: Request) -> Response:
        """Answer the counts of all workers."""
        return Response(self.measures.exposition(), headers={**_PRIVATE, "content-type": CONTENT_TYPE})

    async def docs_page(self, _: Request) -> Response:
        """Answer the page that shows the OpenAPI document."""
        return Response(docs_page(), media_type="text/html")

    async def docs_file(self, request: Request) -> Response:
        """Answer a file of the documentation page."""
        return _asset(self.docs, request)

    async def openapi(self, _: Request) -> Response:
        """Answer the OpenAPI document, which needs the specification but no model."""
        return _json(openapi_document(self.application))

    async def constant(self, _: Request) -> Response:
        """Answer nothing, at the cost of everything that surrounds an answer."""
        return _json({})


def _encoded(document: Mapping[str, Any]) -> bytes:
    content = to_json(document)
    if b"NaN" in content or b"Infinity" in content:
        # Not JSON, unless within a text: this raises ValueError in the one case and writes it in the other.
        content = json.dumps(document, allow_nan=False).encode()
    return content


def _sent(content: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, headers=headers, media_type="application/json")


def _json(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return _sent(_encoded(document), headers)


def _named(scope: Scope, answer: Mapping[str, Any]) -> None:
    """Leave what the line of the log and the ledger name."""
    scope[PREDICTION] = answer.get("prediction_id")
    scope[MODEL] = answer.get("model", {}).get("version")


def _asset(assets: Mapping[str, Asset], request: Request) -> Response:
    asset = assets.get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    return asset.respond(request)

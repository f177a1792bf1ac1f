"""The addresses of the service, and what is answered of patients."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from serving.application import Application, RequestModels, Scorer
from serving.audit import Audit
from serving.body import read_body
from serving.documents import Documents
from serving.ledger import Draft, Kind
from serving.logs import MODEL, PREDICTION
from serving.measures import Measures
from serving.places import Places
from serving.recorder import Recorder
from serving.sending import PRIVATE, Parts, document, encoded, sent
from serving.shadow import Shadow

#: Batches in memory: one that is scored, and one whose answer is being read.
BATCHES_AT_ONCE = 2

#: Bytes up to which a body is read on the event loop; a patient with all fields and 20 regimens is 4 kB.
SMALL_BODY = 8 * 1024

#: What was asked, what was answered, and the same as it is sent.
Made = tuple[Mapping[str, Any], Mapping[str, Any], bytes]

#: Answers what was asked: as it is sent, and of it what others than the client read.
Write = Callable[[Mapping[str, Any]], tuple[bytes, Mapping[str, Any]]]


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
        self.batches = Places("batches", BATCHES_AT_ONCE)
        self.explanations = Places("explanations")
        self.large = Places("large bodies")
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
            *Documents(self, measures).table,
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
        made = await self._made(request, ready.models, ready.models.predict, ready.scorer.write)
        read, answer, content = made
        _named(request.scope, answer)
        await self._record(request.scope, ready.scorer, [made], started)
        self.measures.answered([answer])
        return self._shadowed(sent(content, PRIVATE), ready.scorer, read, answer)

    async def compare(self, request: Request) -> Response:
        """Answer how two regimens differ for one patient, once the answer is in the ledger."""
        ready = self.application.ready()
        started = time.perf_counter()
        made = await self._made(request, ready.models, ready.models.compare, _written(ready.scorer.compare))
        return await self._recorded(request.scope, ready.scorer, made, started, Kind.COMPARISON)

    async def explain(self, request: Request) -> Response:
        """Answer what moves one estimate, once the answer is in the ledger.

        In a thread beside the single patients: it scores many supposed ones.
        """
        ready = self.application.ready()
        started = time.perf_counter()
        explain = _written(ready.scorer.explain)
        made = await self._made(request, ready.models, ready.models.explain, explain, self.explanations)
        return await self._recorded(request.scope, ready.scorer, made, started, Kind.EXPLANATION)

    async def predict_batch(self, request: Request) -> Response:
        """Answer many patients, in a thread beside the single ones, once all are in the ledger.

        The place is kept until the answer is sent: it is memory, and not work alone, that must stay bounded.
        """
        ready = self.application.ready()
        started = time.perf_counter()
        body = await request.body()

        def work() -> tuple[dict[str, Any], Sequence[tuple[bytes, Mapping[str, Any]]]]:
            read = read_body(request.headers, body, ready.models.batch, ready.models)
            return read, ready.scorer.write_batch(read)

        place = await self.batches.take()
        try:
            read, written = await place.work(work)
            answers = [answer for _, answer in written]
            _named(request.scope, {"model": answers[0].get("model", {})} if answers else {})
            singles = [{**read, "patient": patient} for patient in read["patients"]]
            made = [(single, answer, content) for single, (content, answer) in zip(singles, written, strict=True)]
            await self._record(request.scope, ready.scorer, made, started)
            self.measures.answered(answers)
            parts = [part for content, _ in written for part in (b",", content)]
            response = Parts([b'{"predictions":[', *parts[1:], b"]}"], place.leave)
        except BaseException:
            place.leave()
            raise
        return self._shadowed(response, ready.scorer, read, {"predictions": answers})

    async def _made(
        self,
        request: Request,
        models: RequestModels,
        model: type[BaseModel],
        write: Write,
        places: Places | None = None,
    ) -> Made:
        """Read a body and answer it, in a place where one is named or the body is large."""
        body = await request.body()

        def work() -> Made:
            read = read_body(request.headers, body, model, models)
            content, answer = write(read)
            return read, answer, content

        if places is None:
            # A thread costs more than a patient does; a large body is no single patient, only costly to refuse.
            if len(body) <= SMALL_BODY:
                return work()
            places = self.large
        return await places.work(work)

    async def _recorded(self, scope: Scope, scorer: Scorer, made: Made, started: float, kind: Kind) -> Response:
        """Commit one answer of a kind, and then send it."""
        _, answer, content = made
        _named(scope, answer)
        await self._record(scope, scorer, [made], started, kind)
        return sent(content, PRIVATE)

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
        for read, answer, content in made:
            if read.get("estimate"):
                drafts.append(recorder.judged(scope, answer["prediction_id"], read["estimate"]))
            drafts.append(recorder.predicted(scope, answer, content, read, spent, scorer.digests, kind))
        await recorder.record(drafts)

    async def prediction(self, request: Request) -> Response:
        """Answer what was answered before, bit for bit as it was sent, whatever model answers now."""
        prediction_id = str(request.path_params["prediction_id"])
        return sent(await self.recorder.stored(prediction_id), PRIVATE)

    async def outcome(self, request: Request) -> Response:
        """Record what became of a patient."""
        recorder, models = self.recorder.required(), self.application.ready().models
        read = read_body(request.headers, await request.body(), models.outcome, models)
        key = read.get("idempotency_key")
        report = await recorder.outcome(request.scope, str(read["prediction_id"]), read["values"], key)
        return document(asdict(report), PRIVATE)

    async def estimate(self, request: Request) -> Response:
        """Record what a board judged by itself, of a prediction that was answered before."""
        recorder, models = self.recorder.required(), self.application.ready().models
        read = read_body(request.headers, await request.body(), models.estimate, models)
        prediction_id = str(read["prediction_id"])
        await recorder.estimate(request.scope, prediction_id, read)
        return document({"prediction_id": prediction_id, "recorded": True}, PRIVATE)

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

    async def constant(self, _: Request) -> Response:
        """Answer nothing, at the cost of everything that surrounds an answer."""
        return document({})


def _written(answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Write:
    """Have an answer written as JSON too."""

    def write(read: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
        made = answer(read)
        return encoded(made), made

    return write


def _named(scope: Scope, answer: Mapping[str, Any]) -> None:
    """Leave what the line of the log and the ledger name."""
    scope[PREDICTION] = answer.get("prediction_id")
    scope[MODEL] = answer.get("model", {}).get("version")

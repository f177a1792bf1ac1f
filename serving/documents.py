"""What is told of the service: whether it is ready, what answers, what may be asked, and the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serving.application import Application
from serving.assets import Asset, read_assets
from serving.measures import CONTENT_TYPE, Measures
from serving.openapi import docs_assets, docs_page, openapi_document
from serving.problems import refuse
from serving.recorder import Recorder
from serving.sending import PRIVATE, document

STATIC = Path(__file__).parent / "static"
EVIDENCE_STYLE = Path(__file__).parents[1] / "training" / "bundle" / "evidence.css"

#: What readiness, which needs no token, tells of the model.
_IDENTITY = ("name", "version", "spec_digest")

_REVALIDATED = {"cache-control": "no-cache"}


class Seat(Protocol):
    """Whatever answers; both are read anew for each request."""

    application: Application
    recorder: Recorder


class Documents:
    """The addresses that say nothing of a patient.

    Parameters
    ----------
    seat
        What answers.
    measures
        What is counted.

    Attributes
    ----------
    table
        Method, address and what answers there.
    """

    def __init__(self, seat: Seat, measures: Measures) -> None:
        self._seat, self._measures = seat, measures
        # The evidence page comes with the bundle's code, and so does its style.
        self._static = {**read_assets(STATIC), **read_assets(EVIDENCE_STYLE.parent, (EVIDENCE_STYLE.name,))}
        self._docs = docs_assets()
        self.table: list[tuple[str, str, Callable[..., Any]]] = [
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

    async def readiness(self, _: Request) -> Response:
        """Say whether predictions are answered: 200, or 503 with the reasons; and which later model was refused."""
        application = self._seat.application
        scorer = application.ready().scorer
        known = {name: scorer.model_card[name] for name in _IDENTITY if name in scorer.model_card}
        told: dict[str, Any] = {"status": "ready", "model": known}
        if application.refused is not None:
            told["refused"] = asdict(application.refused)
        problem = self._seat.recorder.problem
        if problem is not None:
            raise refuse(503, "ledger", "ledger_unavailable", problem)
        return document(told, PRIVATE)

    async def liveness(self, _: Request) -> Response:
        """Say that the process answers at all."""
        return document({"status": "alive"}, PRIVATE)

    async def page(self, _: Request) -> Response:
        """Answer the web page."""
        application = self._seat.application
        application.ready()
        return Response(application.page, headers=_REVALIDATED, media_type="text/html")

    async def evidence(self, _: Request) -> Response:
        """Answer the page of the evidence behind the model."""
        application = self._seat.application
        application.ready()
        return Response(application.evidence, headers=_REVALIDATED, media_type="text/html")

    async def static_file(self, request: Request) -> Response:
        """Answer a file of the web page."""
        return _asset(self._static, request)

    async def specification(self, _: Request) -> Response:
        """Answer the fields, outcomes, regimens and flags."""
        scorer = self._seat.application.ready().scorer
        return document(scorer.specification_document)

    async def model(self, _: Request) -> Response:
        """Answer what is known of the model: its version, data, and limits."""
        scorer = self._seat.application.ready().scorer
        kept = self._seat.recorder.on
        return document({**scorer.model_card, "features": {"ledger": kept, "estimates": kept}})

    async def metrics(self, _: Request) -> Response:
        """Answer the counts of all workers."""
        return Response(self._measures.exposition(), headers={**PRIVATE, "content-type": CONTENT_TYPE})

    async def docs_page(self, _: Request) -> Response:
        """Answer the page that shows the OpenAPI document."""
        return Response(docs_page(), media_type="text/html")

    async def docs_file(self, request: Request) -> Response:
        """Answer a file of the documentation page."""
        return _asset(self._docs, request)

    async def openapi(self, _: Request) -> Response:
        """Answer the OpenAPI document, which needs the specification but no model."""
        return document(openapi_document(self._seat.application))


def _asset(assets: Mapping[str, Asset], request: Request) -> Response:
    asset = assets.get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    return asset.respond(request)

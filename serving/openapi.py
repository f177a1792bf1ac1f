"""The OpenAPI document, written from the models that check requests, and the page that shows it.

The page's files are those that come with BentoML; ours loads them from this service, where BentoML's own page
would load a tag manager from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from serving.application import Application
from serving.assets import Asset, read_assets
from serving.audit import COUNT, ENTRIES, MEDIA, NEXT, WALK
from serving.problems import Refusal
from serving.query import Parameter
from serving.response import Chain, EstimateReceipt, OutcomeReceipt, Readiness

TITLE = "Resecta"
VERSION = "0.1.0"
DESCRIPTION = (
    "For one patient with initially unresectable colorectal liver metastases and for each first-line "
    "regimen: the probability of conversion, of complications after resection, and of liver injury. "
    "Associations, not effects; no regimen is recommended. GET /model says what the numbers rest on."
)

#: Files of Swagger UI that the page loads.
SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js")

_START = b"""\
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#document",
    deepLinking: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
  });
});
"""
_PAGE = f"""\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{TITLE}: addresses of the service</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</head>
<body>
  <main id="document"><p>The same as data: <a href="openapi.json">openapi.json</a></p></main>
</body>
</html>
"""


class ErrorEntry(BaseModel):
    """One thing that was wrong with a request."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="Dotted path to the field, or the part of the request that was wrong.")
    code: str = Field(description="Machine-readable kind of problem.")
    message: str = Field(description="What is allowed and what to do. Never repeats a value.")


class Errors(BaseModel):
    """Everything that was wrong with a request."""

    model_config = ConfigDict(extra="forbid")

    errors: list[ErrorEntry]


_WHEN = {
    400: "The body is no JSON",
    401: "The token is missing or wrong",
    403: "The token has no right to this, or the service has no token and other machines, or a proxy, can reach it",
    404: "No such file or prediction",
    408: "The body did not arrive in time",
    409: "The idempotency key was used for other values",
    410: "Removed under retention",
    413: "The body is larger than 128 KiB, or 1 MiB with many patients",
    415: "The body is not announced as JSON",
    422: "Something that was asked is not allowed; every problem is listed",
    429: "More requests than one caller may send; `Retry-After` says when the next may come",
    500: "The service failed",
    503: "There is no model, or too much to do; where waiting helps, `Retry-After` says how long",
}
_GUARDED = (401, 403, 429, 500, 503)
_KEPT = (*_GUARDED, 404, 410)
_BODY = (400, *_GUARDED, 408, 413, 415, 422)
_JSON_OBJECT: Mapping[str, Any] = {"type": "object"}


_PLACE = {"schema": {"type": "integer", "minimum": 0}}
_ENTRIES: dict[str, Any] = {
    "description": "A page; each line can be checked by itself, and each against the one before it",
    "headers": {
        COUNT: {"required": True, "description": "Lines of this page", **_PLACE},
        NEXT: {"required": False, "description": "The `after` of the next page; absent from the last", **_PLACE},
    },
    "content": {MEDIA: {"schema": {"type": "string"}}},
}


def openapi_document(application: Application) -> dict[str, Any]:
    """Write the OpenAPI 3.1 document.

    Raises
    ------
    Refusal
        503 when the specification, and so the request, cannot be read.
    """
    models, answers = application.models, application.answers
    if models is None or answers is None:
        raise Refusal(503, application.refusals)
    named, definitions = models_json_schema(
        [
            (models.predict, "validation"),
            (models.batch, "validation"),
            (models.compare, "validation"),
            (models.explain, "validation"),
            (models.outcome, "validation"),
            (models.estimate, "validation"),
            (answers.predict, "serialization"),
            (answers.compare, "serialization"),
            (answers.explain, "serialization"),
            (answers.batch, "serialization"),
            (OutcomeReceipt, "serialization"),
            (EstimateReceipt, "serialization"),
            (Readiness, "serialization"),
            (Chain, "serialization"),
            (Errors, "serialization"),
        ],
        ref_template="#/components/schemas/{model}",
    )
    schema = {model: found for (model, _), found in named.items()}

    def errors(statuses: tuple[int, ...]) -> dict[str, Any]:
        return {str(status): _content(_WHEN[status], schema[Errors]) for status in sorted(statuses)}

    def post(
        summary: str, body: type[BaseModel], answer: type[BaseModel], *statuses: int, tag: str = "Predictions"
    ) -> dict[str, Any]:
        return {
            "summary": summary,
            "tags": [tag],
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema[body]}}},
            "responses": {"200": _content("The answer", schema[answer]), **errors((*_BODY, *statuses))},
        }

    def again(summary: str) -> dict[str, Any]:
        named = {"name": "prediction_id", "in": "path", "required": True, "schema": {"type": "string"}}
        kept = [schema[answer] for answer in (answers.predict, answers.compare, answers.explain)]
        found = {"200": _content("The answer as it was sent", {"anyOf": kept})}
        return {"summary": summary, "tags": ["Ledger"], "parameters": [named], "responses": {**found, **errors(_KEPT)}}

    def get(summary: str, media: str = "application/json", *statuses: int) -> dict[str, Any]:
        told = _JSON_OBJECT if media == "application/json" else {"type": "string"}
        responses = {"200": _content(summary, told, media), **errors((*_GUARDED, *statuses))}
        return {"summary": summary, "tags": ["Documents"], "responses": responses}

    def audit(summary: str, found: dict[str, Any], parameters: Sequence[Parameter]) -> dict[str, Any]:
        asked = [parameter.document() for parameter in parameters]
        return {
            "summary": summary,
            "tags": ["Ledger"],
            "parameters": asked,
            "responses": {"200": found, **errors((*_GUARDED, 422))},
        }

    def unguarded(summary: str, told: Mapping[str, Any], *statuses: int) -> dict[str, Any]:
        responses = {"200": _content(summary, told), **errors((500, *statuses))}
        return {"summary": summary, "tags": ["Health"], "security": [], "responses": responses}

    operations: dict[str, dict[str, Any]] = {
        "/predict": {"post": post("One patient", models.predict, answers.predict)},
        "/predict_batch": {"post": post("Many patients", models.batch, answers.batch)},
        "/compare": {"post": post("Two regimens for one patient", models.compare, answers.compare)},
        "/explain": {"post": post("What moves one estimate", models.explain, answers.explain)},
        "/predictions/{prediction_id}": {"get": again("An earlier answer, bit for bit")},
        "/outcomes": {
            "post": post("What became of a patient", models.outcome, OutcomeReceipt, 404, 409, 410, tag="Ledger")
        },
        "/estimates": {
            "post": post("A board's own estimate", models.estimate, EstimateReceipt, 404, 410, tag="Ledger")
        },
        "/audit": {"get": audit("Entries of the ledger, a line of JSON each", _ENTRIES, ENTRIES)},
        "/audit/verify": {
            "get": audit("Whether the ledger's chain is whole", _content("What was found", schema[Chain]), WALK)
        },
        "/specification": {"get": get("Fields, outcomes, regimens and flags", "application/json")},
        "/model": {"get": get("What the numbers rest on", "application/json")},
        "/readyz": {"get": unguarded("Whether predictions are answered", schema[Readiness], 503)},
        "/livez": {"get": unguarded("Whether the process answers", _JSON_OBJECT)},
        "/metrics": {"get": get("Counts, in Prometheus's format", "text/plain")},
        "/": {"get": get("The web page", "text/html")},
        "/evidence": {"get": get("The evidence behind the model", "text/html")},
        "/docs": {"get": get("This document as a page", "text/html")},
        "/openapi.json": {"get": get("This document", "application/json")},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
        "paths": operations,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # A service on loopback needs none.
        "security": [{"token": []}, {}],
    }


def docs_page() -> str:
    """Return the page that shows the OpenAPI document."""
    return _PAGE


def docs_assets() -> Mapping[str, Asset]:
    """Return the files of the page: Swagger UI, and the script that starts it."""
    found = find_spec("bentoml")
    roots = [Path(root) for root in (found.submodule_search_locations if found else None) or ()]
    assets = {"start.js": Asset.of("start.js", _START)}
    for root in roots:
        assets |= read_assets(root / "_internal" / "server" / "static_content", SWAGGER)
    return assets


def _content(description: str, schema: Mapping[str, Any], media: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {media: {"schema": dict(schema)}}}

"""The OpenAPI document says what the service does, and its page loads nothing from elsewhere."""

import re
from dataclasses import asdict
from typing import Any

import pytest

from serving.application import RefusedModel
from serving.response import Readiness

pytestmark = pytest.mark.anyio


async def document(front: Any) -> dict[str, Any]:
    async with front().client() as client:
        return (await client.get("/openapi.json")).json()


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


async def test_the_body_is_described_by_the_model_that_checks_it(front):
    found = await document(front)
    schema = found["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/PredictRequest"}
    albumin = found["components"]["schemas"]["Patient"]["properties"]["albumin_g_l"]
    assert {"type": "number", "minimum": 8.0, "maximum": 70.0} in albumin["anyOf"]


async def test_every_reference_leads_somewhere(front):
    found = await document(front)
    assert found["openapi"].startswith("3.1")
    known = {f"#/components/schemas/{name}" for name in found["components"]["schemas"]}
    assert references(found["paths"]) <= known
    assert references(found["components"]) <= known


async def test_every_address_of_the_document_exists_and_every_address_stands_in_it(front):
    built = front()
    found = await document(lambda: built)
    described = {(method.upper(), path) for path, ways in found["paths"].items() for method in ways}
    routed = {(next(iter(r.methods - {"HEAD"})), r.path) for r in built.routes.routes}
    files_and_bench = {(m, p) for m, p in routed if "{name" in p or p == "/constant"}
    assert described == routed - files_and_bench


async def test_every_answer_given_is_described(front):
    built = front()
    found = await document(lambda: built)
    async with built.client() as client:
        for body in (b"", b"{", b"[]", b'{"patient": {"age_years": 60}}', b" " * 2**21):
            for kind in ("application/json", "text/plain"):
                answer = await client.post("/predict", content=body, headers={"content-type": kind})
                assert str(answer.status_code) in found["paths"]["/predict"]["post"]["responses"]
        for path, ways in found["paths"].items():
            if "get" in ways:
                answer = await client.get(path)
                response = ways["get"]["responses"][str(answer.status_code)]
                assert answer.headers["content-type"].split(";")[0] in response["content"]


@pytest.mark.parametrize("refused", [None, RefusedModel(None, "no_model", "Gone."), RefusedModel("8", "smoke", "Bad.")])
async def test_readiness_is_described_with_the_model_that_was_refused(front, small, refused):
    built = front(small() if refused is None else small().without(refused))
    found = await document(lambda: built)
    answer = found["paths"]["/readyz"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Readiness"}
    described = found["components"]["schemas"]["Readiness"]
    async with built.client() as client:
        told = (await client.get("/readyz")).json()
    assert told.get("refused") == (None if refused is None else asdict(refused))
    Readiness.model_validate(told)
    assert set(described["required"]) <= set(told) <= set(described["properties"])


async def test_the_page_loads_only_files_that_this_service_answers(front):
    async with front().client() as client:
        page = (await client.get("/docs")).text
        loaded = [link for link in re.findall(r'(?:src|href)="([^"]+)"', page) if not link.startswith("data:")]
        assert len(loaded) == 4
        for link in loaded:
            assert "://" not in link
            assert (await client.get(f"/{link}")).status_code == 200
        start = (await client.get("/docs/start.js")).text
    assert "://" not in start
    assert "<script>" not in page and "style=" not in page

"""How much may be sent, how long it may take, and what leaves with every answer."""

import asyncio
import gc
import json
import logging
from typing import Any

import pytest
from pydantic import ValidationError

from serving import gate as gates
from serving.gate import LARGEST_BODY, LARGEST_OF_ONE
from serving.logs import Form, RequestLog
from serving.problems import Refusal
from serving.settings import Settings
from tests.serving.refusal import only

pytestmark = pytest.mark.anyio

TOKEN = "a-long-random-text-of-32-letters"
ROUTES = ("/", "/docs", "/model", "/specification", "/openapi.json", "/metrics", "/static/x", "/nothing")
JSON = {"content-type": "application/json"}
GOOD = {"patient": {"age_years": 60}}


@pytest.mark.parametrize("path", ["/", "/predict", "/nothing", "/livez", "/docs/swagger-ui-bundle.js"])
async def test_every_answer_carries_the_security_headers(front, path):
    async with front().client() as client:
        headers = (await client.get(path)).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("path", "most"), [("/predict_batch", LARGEST_BODY), ("/predict", LARGEST_OF_ONE), ("/nothing", LARGEST_OF_ONE)]
)
async def test_a_body_over_the_limit_of_its_address_is_refused(front, path, most):
    async with front().client() as client:
        assert (await client.post(path, content=b" " * most, headers=JSON)).status_code in (400, 404)
        refused = await client.post(path, content=b" " * (most + 1), headers=JSON)
    assert refused.status_code == 413
    assert only(refused)["code"] == "body_too_large"
    assert refused.headers["connection"] == "close"


async def test_a_body_without_announced_length_is_cut_off_where_the_limit_is_passed(front):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    async with front().client() as client:
        assert (await client.post("/predict_batch", content=endless(), headers=JSON)).status_code == 413
    assert sent <= LARGEST_BODY + 2 * 65536


async def test_a_body_that_trickles_is_given_up(front):
    async def trickle():
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    async with front(body_within=0.2).client() as client:
        refused = await client.post("/predict", content=trickle(), headers=JSON)
    assert refused.status_code == 408
    assert only(refused)["code"] == "body_too_slow"


async def test_an_unexpected_error_tells_the_client_and_the_log_nothing_of_the_patient(front, small, caplog):
    def fail(request: Any) -> None:
        raise ValueError(f"cannot divide {request}")

    with caplog.at_level(logging.DEBUG):
        async with front(small(fail)).client() as client:
            failed = await client.post("/predict", json={"patient": {"age_years": 61}})
    assert failed.status_code == 500
    error = only(failed)
    assert error["code"] == "internal_error"
    assert "61" not in error["message"].replace(error["message"].split()[-1], "")
    (record,) = [r for r in caplog.records if r.name == "resecta"]
    assert "ValueError at tests/serving/test_gate.py" in record.getMessage()
    assert record.getMessage().split()[1].rstrip(":") in error["message"]
    assert record.exc_info is None
    assert not any("age_years" in r.getMessage() or "divide" in r.getMessage() for r in caplog.records)


async def test_a_websocket_is_refused_and_nothing_else_reaches_bentoml(front):
    built, sent = front(), []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    await built.gate({"type": "websocket", "path": "/", "headers": []}, receive, send)
    async with built.client() as client:
        for path in ROUTES:
            await client.get(path)
    await built.gate({"type": "lifespan"}, receive, send)
    assert sent == ["websocket.close"]
    assert built.reached_behind == ["lifespan"]


async def test_requests_beyond_the_places_are_turned_away_before_the_first_is_worked_on(front, small, monkeypatch):
    monkeypatch.setattr(gates, "PLACES", 3)
    built = front(small())
    async with built.client() as client:
        answers = await asyncio.gather(*(client.post("/predict", json=GOOD) for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 7
        busy = next(answer for answer in answers if answer.status_code == 503)
        assert only(busy)["code"] == "busy"
        assert busy.headers["retry-after"] == "1"
        assert (await client.post("/predict", json=GOOD)).status_code == 200
    assert built.gate._inside == 0


async def test_bodies_that_arrive_are_bounded_together(front, monkeypatch):
    monkeypatch.setattr(gates, "ARRIVING", 100_000)
    built = front()

    async def slowly():
        for _ in range(8):
            yield b" " * 10_000
            await asyncio.sleep(0.05)

    async with built.client() as client:
        answers = await asyncio.gather(*(client.post("/predict", content=slowly(), headers=JSON) for _ in range(4)))
    statuses = [answer.status_code for answer in answers]
    assert 503 in statuses and 400 in statuses
    assert built.gate._arriving == 0


async def test_an_answer_that_takes_too_long_is_given_up(front, small, monkeypatch):
    monkeypatch.setattr(gates, "ANSWER_WITHIN", 0.1)
    built = front()

    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    built.gate.routes = stuck
    async with built.client() as client:
        refused = await client.post("/predict", json=GOOD)
    assert refused.status_code == 503
    assert only(refused)["code"] == "too_slow"


ORIGIN = "https://board.hospital.example"


async def test_no_other_origin_may_ask_unless_it_is_named(front):
    preflight = {"origin": ORIGIN, "access-control-request-method": "POST"}
    async with front().client() as client:
        refused = await client.options("/predict", headers=preflight)
        assert refused.status_code == 405
        answer = await client.get("/model", headers={"origin": ORIGIN})
        assert not any(name.startswith("access-control") for name in (*refused.headers, *answer.headers))


async def test_a_named_origin_may_ask_and_read_refusals_and_others_may_not(front):
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    built = front(settings=Settings(token=TOKEN, origins=(ORIGIN,), log=Form.OFF))
    async with built.client() as client:
        allowed = await client.options("/predict", headers={"origin": ORIGIN, **asks})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in allowed.headers
        assert "default-src 'none'" in allowed.headers["content-security-policy"]
        refused = await client.post("/predict", json=GOOD, headers={"origin": ORIGIN})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == ORIGIN
        for other in ("https://evil.example", f"{ORIGIN}.evil.example", "null", "http://board.hospital.example"):
            assert (await client.options("/predict", headers={"origin": other, **asks})).status_code == 400
            answer = await client.get("/livez", headers={"origin": other})
            assert "access-control-allow-origin" not in answer.headers


async def test_the_line_of_a_request_names_caller_route_and_prediction_and_nothing_of_the_patient(front, small):
    lines: list[bytes] = []
    application = small()
    answered = {"prediction_id": "3f2c", "model": {"version": "7"}, "regimens": []}
    application.scorer.answer = lambda request: answered
    request_log = RequestLog(write=lines.append)
    async with front(application, token=TOKEN, request_log=request_log).client() as client:
        shown = {"authorization": f"Bearer {TOKEN}"}
        await client.post("/predict?name=Jane", json={"patient": {"age_years": 61}}, headers=shown)
        await client.get("/Jane_Doe", headers=shown)
        await client.get("/model")
    first, unknown, refused = map(json.loads, lines)
    assert first | {"time": 0, "ms": 0} == {
        "time": 0,
        "route": "/predict",
        "method": "POST",
        "status": 200,
        "ms": 0,
        "bytes": 28,
        "caller": "environment",
        "prediction": "3f2c",
        "model": "7",
    }
    assert (unknown["route"], unknown["status"]) == ("none", 404)
    assert (refused["status"], refused["client"]) == (401, "127.0.0.1")
    assert b"Jane" not in b"".join(lines) and TOKEN.encode() not in b"".join(lines)


async def test_a_refused_body_is_not_kept_until_the_collector_comes(front):
    gc.collect()
    gc.disable()
    try:
        async with front().client() as client:
            names = json.dumps({"patient": {f"n{n}": n for n in range(2000)}})
            assert (await client.post("/predict", content=names, headers=JSON)).status_code == 422
        kept = [part for part in gc.get_objects() if isinstance(part, Refusal | ValidationError)]
    finally:
        gc.enable()
    # The thread that refused it may still have its refusal at hand, which by then leads to nothing.
    assert not [error for error in kept if isinstance(error, ValidationError) or error.__traceback__ is not None]

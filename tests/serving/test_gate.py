"""Who may ask, how much may be sent, how long it may take, and what leaves with every answer."""

import asyncio
import base64
import logging
from typing import Any

import pytest

from serving.gate import LARGEST_BODY

pytestmark = pytest.mark.anyio

TOKEN = "a-long-random-text"
ROUTES = ("/", "/docs", "/model", "/specification", "/openapi.json", "/metrics", "/static/x", "/nothing")
JSON = {"content-type": "application/json"}


def only(response: Any) -> dict[str, str]:
    """Return the one error of an answer, whose shape is checked on the way."""
    (error,) = response.json()["errors"]
    assert set(error) == {"field", "code", "message"}
    return error


@pytest.mark.parametrize("path", ROUTES)
async def test_with_a_token_set_every_route_asks_for_it(front, path):
    async with front(token=TOKEN).client() as client:
        refused = await client.get(path)
        assert refused.status_code == 401
        assert only(refused)["code"] == "token_required"
        assert {"Basic", "Bearer"} <= set(refused.headers["www-authenticate"].split())
        assert (await client.get(path, headers={"authorization": f"Bearer {TOKEN}"})).status_code != 401


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_liveness_and_readiness_need_no_token(front, path):
    async with front(token=TOKEN).client() as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Token {TOKEN}", f"Bearer {TOKEN}x", "Basic !!", "Basic "],
)
async def test_a_wrong_token_is_refused(front, shown):
    async with front(token=TOKEN).client() as client:
        assert (await client.get("/model", headers={"authorization": shown})).status_code == 401


async def test_a_browser_may_show_the_token_as_password(front):
    async with front(token=TOKEN).client() as client:
        assert (await client.get("/", auth=("anyone", TOKEN))).status_code == 200
        assert (await client.get("/", auth=("anyone", "wrong"))).status_code == 401
        no_password = base64.b64encode(TOKEN.encode()).decode()
        assert (await client.get("/", headers={"authorization": f"Basic {no_password}"})).status_code == 401


async def test_an_unknown_route_is_not_told_from_a_known_one_without_the_token(front):
    async with front(token=TOKEN).client() as client:
        unknown, known = await client.get("/nothing"), await client.get("/model")
        assert unknown.json() == known.json()


async def test_without_a_token_only_connections_on_loopback_are_answered(front):
    async with front().client("http://192.168.1.5:3000") as client:
        refused = await client.post("/predict", json={"patient": {"age_years": 60}})
        assert refused.status_code == 403
        assert "RESECTA_TOKEN" in only(refused)["message"]
        assert (await client.get("/livez")).status_code == 200
    for local in ("http://127.0.0.1:3000", "http://[::1]:3000"):
        async with front().client(local) as client:
            assert (await client.get("/model")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/predict", "/nothing", "/livez", "/docs/swagger-ui-bundle.js"])
async def test_every_answer_carries_the_security_headers(front, path):
    async with front().client() as client:
        headers = (await client.get(path)).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", ["/predict", "/nothing"])
async def test_a_body_over_one_mebibyte_is_refused(front, path):
    async with front().client() as client:
        refused = await client.post(path, content=b" " * (LARGEST_BODY + 1), headers=JSON)
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
        assert (await client.post("/predict", content=endless(), headers=JSON)).status_code == 413
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

"""Who may ask, how much may be sent, how long it may take, and what leaves with every answer."""

import asyncio
import base64
import gc
import json
import logging
from typing import Any

import pytest
from pydantic import ValidationError

from serving import gate as gates
from serving.access import Role
from serving.gate import LARGEST_BODY, LARGEST_OF_ONE
from serving.logs import Form, RequestLog
from serving.problems import Refusal
from serving.settings import Settings
from serving.tokens import TokenFile

pytestmark = pytest.mark.anyio

TOKEN = "a-long-random-text-of-32-letters"
ROUTES = ("/", "/docs", "/model", "/specification", "/openapi.json", "/metrics", "/static/x", "/nothing")
JSON = {"content-type": "application/json"}
GOOD = {"patient": {"age_years": 60}}


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


@pytest.mark.parametrize(
    "header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "x-forwarded-host", "X-Real-IP", "Via"]
)
async def test_behind_a_proxy_on_this_machine_a_token_is_needed(front, header):
    async with front().client() as client:
        refused = await client.post("/predict", json=GOOD, headers={header: "192.0.2.7"})
        assert refused.status_code == 403
        assert only(refused)["code"] == "token_needed_behind_proxy"
        assert "resecta token create" in only(refused)["message"]
        assert (await client.get("/readyz", headers={header: "192.0.2.7"})).status_code == 200
    async with front(token=TOKEN).client() as client:
        shown = {header: "192.0.2.7", "authorization": f"Bearer {TOKEN}"}
        assert (await client.post("/predict", json=GOOD, headers=shown)).status_code == 200


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


@pytest.fixture
def closed(front, tmp_path) -> Any:
    """Make a front whose store holds one token a role, and return it with the headers of each."""

    def make(**options: Any) -> tuple[Any, dict[str, dict[str, str]]]:
        kept = TokenFile(tmp_path / "tokens.json")
        shown = {role.value: {"authorization": f"Bearer {kept.create(f'for-{role}', [role])}"} for role in Role}
        settings = Settings(store=tmp_path, log=Form.OFF, **options.pop("settings", {}))
        return front(settings=settings, **options), shown

    return make


async def test_each_role_opens_its_addresses_and_no_others(closed):
    built, shown = closed()
    opens = {
        "predict": {"/predict", "/", "/model", "/docs"},
        "outcomes": {"/model", "/docs"},
        "audit": {"/metrics", "/audit", "/audit/verify", "/model", "/docs"},
        "admin": {"/predict", "/", "/metrics", "/audit", "/audit/verify", "/model", "/docs"},
    }
    async with built.client() as client:
        for role, headers in shown.items():
            for path in opens["admin"]:
                method = "POST" if path == "/predict" else "GET"
                answer = await client.request(method, path, json=GOOD, headers=headers)
                # There is no ledger to be read here, which only those are told who may ask.
                opened = 503 if path.startswith("/audit") else 200
                expected = opened if path in opens[role] else 403
                assert answer.status_code == expected, (role, path, answer.status_code)
                if expected == 403:
                    assert only(answer)["code"] == "role_missing"
                    assert f"for-{role}" in only(answer)["message"]
                    assert "admin or " in only(answer)["message"]


async def test_once_there_is_a_token_it_is_asked_for_on_loopback_too(closed):
    built, _ = closed()
    async with built.client() as client:
        assert (await client.get("/model")).status_code == 401
        assert (await client.get("/readyz")).status_code == 200


async def test_a_revoked_token_is_refused_by_a_running_service(closed, tmp_path):
    built, shown = closed()
    async with built.client() as client:
        assert (await client.post("/predict", json=GOOD, headers=shown["predict"])).status_code == 200
        TokenFile(tmp_path / "tokens.json").revoke("for-predict")
        assert (await client.post("/predict", json=GOOD, headers=shown["predict"])).status_code == 401


async def test_an_unreadable_list_of_tokens_is_said_and_lets_nobody_in(closed, tmp_path):
    built, shown = closed()
    async with built.client() as client:
        (tmp_path / "tokens.json").write_text("{")
        refused = await client.get("/model", headers=shown["admin"])
    assert refused.status_code == 503
    assert only(refused)["code"] == "tokens_unreadable"


async def test_a_caller_beyond_the_rate_is_told_when_to_come_again_and_others_are_not_held_up(closed):
    built, shown = closed(settings={"rate": 2.0})
    async with built.client() as client:
        answers = [await client.get("/model", headers=shown["predict"]) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
        assert only(answers[-1])["code"] == "rate_exceeded"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await client.get("/model", headers=shown["audit"])).status_code == 200
        # Guesses are counted apart, by address.
        guesses = [await client.get("/model", headers={"authorization": f"Bearer {n}"}) for n in range(6)]
        assert [answer.status_code for answer in guesses] == [401] * 4 + [429] * 2
        assert (await client.get("/livez")).status_code == 200


async def test_the_files_of_the_pages_take_nothing_of_what_a_caller_may_ask(closed, front):
    built, shown = closed(settings={"rate": 2.0})
    files = ["/static/page.js", "/static/page.css", "/static/no_such_file.js", "/docs/start.js"]
    async with built.client() as client:
        answers = [await client.get(path, headers=shown["predict"]) for path in files * 10]
        assert [answer.status_code for answer in answers] == [200, 200, 404, 200] * 10
        assert [(await client.get("/", headers=shown["predict"])).status_code for _ in range(5)] == [200] * 4 + [429]
        assert (await client.get("/static/page.js", headers=shown["predict"])).status_code == 200
        # Who shows no token is counted there too: files are no place to guess one.
        guesses = [await client.get("/static/page.js", headers={"authorization": f"Bearer {n}"}) for n in range(6)]
        assert [answer.status_code for answer in guesses] == [401] * 4 + [429] * 2
    async with front(settings=Settings(log=Form.OFF, rate=2.0)).client() as client:
        assert {(await client.get("/static/page.js")).status_code for _ in range(20)} == {200}
        assert [(await client.get("/model")).status_code for _ in range(5)] == [200] * 4 + [429]


async def test_on_loopback_without_tokens_nobody_is_counted_unless_a_rate_is_set(front):
    async with front().client() as client:
        assert {(await client.get("/model")).status_code for _ in range(150)} == {200}
    async with front(settings=Settings(log=Form.OFF, rate=2.0)).client() as client:
        assert [(await client.get("/model")).status_code for _ in range(6)] == [200] * 4 + [429] * 2


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


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example"]
)
async def test_a_page_whose_name_was_made_to_lead_here_reads_nothing(front, host):
    async with front().client() as client:
        refused = await client.get("/model", headers={"host": host})
        assert refused.status_code == 403
        assert only(refused)["code"] == "host_not_local"
    async with front(token=TOKEN).client() as client:
        shown = {"host": host, "authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/model", headers=shown)).status_code == 200


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1", "[::1]:3000", "LOCALHOST"])
async def test_names_that_lead_nowhere_else_are_answered(front, host):
    async with front().client() as client:
        assert (await client.get("/model", headers={"host": host})).status_code == 200


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

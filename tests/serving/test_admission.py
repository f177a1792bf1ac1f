"""Who may ask what, from where and how often."""

import base64
from typing import Any

import pytest

from serving.access import Role
from serving.logs import Form
from serving.settings import Settings
from serving.tokens import TokenFile
from tests.serving.refusal import only

pytestmark = pytest.mark.anyio

TOKEN = "a-long-random-text-of-32-letters"
ROUTES = ("/", "/docs", "/model", "/specification", "/openapi.json", "/metrics", "/static/x", "/nothing")
GOOD = {"patient": {"age_years": 60}}


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

"""An auditor reads the ledger of a running service page by page, and asks whether its chain is whole."""

import asyncio
import hashlib
import json
import sqlite3
import threading
import uuid

import anyio
import httpx
import pytest

from serving import audit, gate
from serving.access import Role
from serving.audit import COUNT, NEXT
from serving.ledger import Caller, Estimate, Kind, LedgerUnavailable, Prediction, open_ledger
from serving.ledger import page as pages
from serving.ledger.command import run_export
from serving.ledger.page import AT_ONCE
from serving.logs import Form
from serving.measures import Measures
from serving.recorder import Recorder, ledger_opener
from serving.settings import Settings
from serving.tokens import TokenFile

pytestmark = pytest.mark.anyio

REGIMEN = {"backbone": "folfox", "biologic": "none", "planned_cycles": 6}
SECRET = 61.25

#: Of a request for a large page, as a server hands it on.
SCOPE = {
    "type": "http", "method": "GET", "path": "/audit", "raw_path": b"/audit", "query_string": b"limit=10000",
    "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3000),
    "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0", "spec_version": "2.3"},
}  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    with open_ledger({}, tmp_path) as opened:
        yield opened


@pytest.fixture
def audited(front, ledger, tmp_path):
    made = front()
    made.routes.recorder = Recorder(ledger_opener({}, tmp_path), made.measures)
    return made


def drafted(version="7", caller="board", patient=None, kind=Kind.PREDICTION):
    answer = {
        "prediction_id": str(uuid.uuid4()),
        "model": {"name": "resecta", "version": version},
        "regimens": [],
        "outcome": "conversion_12m",
    }
    request = {"patient": {"albumin_g_l": SECRET}, "regimens": None, "regimen": REGIMEN}
    return Prediction(answer, json.dumps(answer).encode(), request, 1.5, Caller(caller), patient, kind=kind)


def lines(answer):
    assert answer.status_code == 200, answer.text
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert int(answer.headers[COUNT]) == len(found)
    return found


def told(answer):
    assert answer.status_code == 422, answer.text
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


async def test_pages_together_are_byte_for_byte_what_the_command_writes(audited, ledger, tmp_path):
    ledger.append_sync([drafted() for _ in range(2 * AT_ONCE + 20)])
    got, after, sizes = b"", 0, []
    async with audited.client() as client:
        while after is not None:
            answer = await client.get("/audit", params={"after": after, "limit": 40})
            got += answer.content
            sizes.append(len(lines(answer)))
            after = answer.headers.get(NEXT)
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        assert answer.headers["cache-control"] == "no-store"
    assert sizes == [40, 40, 5]
    assert run_export({}, tmp_path, tmp_path / "audit.jsonl") == 0
    assert got == (tmp_path / "audit.jsonl").read_bytes()


async def test_each_line_can_be_checked_by_whoever_has_sha_256(audited, ledger):
    ledger.append_sync([drafted() for _ in range(3)])
    async with audited.client() as client:
        found = lines(await client.get("/audit"))
    previous = "0" * 64
    for line in found:
        record = json.dumps(line["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        payload = record + ("\n" + line["answer"] if "answer" in line else "")
        assert hashlib.sha256(payload.encode()).hexdigest() == line["digest"]
        parts = [line[name] for name in ("seq", "kind", "id", "at", "digest")] + [previous]
        previous = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
        assert previous == line["hash"]


async def test_filters_choose_and_the_pages_go_on_behind_what_was_looked_at(audited, ledger, monkeypatch):
    monkeypatch.setattr(pages, "SPAN", 3)
    patient = ledger.pseudonym("H-4711")
    wanted = [drafted("8", "north", patient) for _ in range(2)]
    ledger.append_sync([wanted[0], *(drafted() for _ in range(10)), wanted[1]])
    looked = drafted(kind=Kind.COMPARISON)
    ledger.append_sync([looked, Estimate(wanted[0].id, [{**REGIMEN, "outcomes": {"conversion_12m": 0.3}}])])
    ids = [one.id for one in wanted]
    async with audited.client() as client:

        async def chosen(**asked):
            return [line["id"] for line in lines(await client.get("/audit", params=asked))]

        assert await chosen(model_version="8") == await chosen(caller="north") == await chosen(patient=patient) == ids
        assert await chosen(kind="comparison") == [looked.id]
        about = lines(await client.get("/audit", params={"prediction_id": ids[0].upper()}))
        assert [line["kind"] for line in about] == ["prediction", "estimate"]
        every = lines(await client.get("/audit"))
        at = every[5]["at"].replace("+00:00", "Z")
        assert await chosen(until=at) == [line["id"] for line in every[:5] if line["at"] < every[5]["at"]]
        assert set(await chosen(since=at)) == {line["id"] for line in every if line["at"] >= every[5]["at"]}
        first = await client.get("/audit", params={"caller": "north", "limit": 1})
        second = await client.get("/audit", params={"caller": "north", "limit": 1, "after": first.headers[NEXT]})
        assert [line["id"] for line in lines(first) + lines(second)] == ids
        # Time is up after one span of entries: the page says where to go on, though it holds nothing.
        monkeypatch.setattr(audit, "find", lambda *asked: pages.find(*asked, seconds=-1))
        empty = await client.get("/audit", params={"kind": "outcome", "after": 4})
        assert (lines(empty), empty.headers[NEXT]) == ([], "7")


async def test_behind_the_end_there_is_an_empty_last_page(audited, ledger):
    async with audited.client() as client:
        for after in (1, 2, 2**53 - 1):
            answer = await client.get("/audit", params={"after": after})
            assert lines(answer) == [] and NEXT not in answer.headers


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("after=-1&limit=0&kind=poem", {"after": "malformed", "limit": "malformed", "kind": "malformed"}),
        ("limit=10001&after=9007199254740992", {"after": "malformed", "limit": "malformed"}),
        ("after=1&after=2", {"after": "repeated_field"}),
        ("after=&before=3", {"after": "malformed", "before": "unknown_field"}),
        ("after=%D9%A1", {"after": "malformed"}),
        ("since=2026-01-01&until=tomorrow", {"since": "malformed", "until": "malformed"}),
        ("since=0001-01-01T00:00:00%2B23:59", {"since": "malformed"}),
        ("since=2026-01-02T00:00:00Z&until=2026-01-02T01:00:00%2B01:00", {"until": "before_since"}),
        ("patient=H-4711&caller=a%20b", {"patient": "malformed", "caller": "malformed"}),
        ("model_version=%00", {"model_version": "malformed"}),
        ("prediction_id=no", {"prediction_id": "malformed"}),
    ],
)  # fmt: skip
async def test_what_is_not_exactly_allowed_is_refused_field_by_field(audited, query, codes):
    async with audited.client() as client:
        refused = await client.get(f"/audit?{query}")
    assert told(refused) == codes
    assert "4711" not in refused.text and "tomorrow" not in refused.text


async def test_only_auditors_and_administrators_may_ask(front, ledger, tmp_path):
    kept = TokenFile(tmp_path / "tokens.json")
    shown = {role: {"authorization": f"Bearer {kept.create(f'for-{role}', [role])}"} for role in Role}
    made = front(settings=Settings(store=tmp_path, log=Form.OFF))
    made.routes.recorder = Recorder(ledger_opener({}, tmp_path), made.measures)
    async with made.client() as client:
        for path in ("/audit", "/audit/verify"):
            assert (await client.get(path)).status_code == 401
            for role, headers in shown.items():
                expected = 200 if role in (Role.AUDIT, Role.ADMIN) else 403
                assert (await client.get(path, headers=headers)).status_code == expected, (path, role)


async def test_the_chain_is_verified_and_later_from_where_it_was_left(audited, ledger, monkeypatch):
    ledger.append_sync([drafted() for _ in range(5)])
    async with audited.client() as client:
        whole = (await client.get("/audit/verify")).json()
        last = lines(await client.get("/audit"))[-1]
        assert whole == {
            "whole": True,
            "complete": True,
            "entries": 6,
            "kinds": {"checkpoint": 1, "prediction": 5},
            "removed": 0,
            "head": f"{last['seq']}:{last['hash']}",
            "broken": None,
        }
        ledger.append_sync([drafted() for _ in range(2)])
        later = (await client.get("/audit/verify", params={"after": whole["head"]})).json()
        assert (later["whole"], later["entries"], later["kinds"]) == (True, 8, {"prediction": 2})
        # Without time enough a walk takes one step, and the next goes on behind it.
        monkeypatch.setattr(audit, "WALKING", -1)
        head, steps = {}, 0
        while not (part := (await client.get("/audit/verify", params=head)).json())["complete"]:
            head, steps = {"after": part["head"]}, steps + 1
            assert part["whole"] and part["entries"] == steps
        assert (part["entries"], part["head"]) == (8, later["head"])
        assert (
            audited.measures.registry.get_sample_value("resecta_audit_verifications_total", {"result": "partial"}) == 8
        )


async def test_tampering_shows_and_so_does_an_end_that_was_cut_off(audited, ledger, tmp_path):
    ledger.append_sync([drafted() for _ in range(5)])

    def force(statement):
        with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as connection:
            for (name,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
                connection.execute(f"drop trigger {name}")
            connection.execute(statement)

    async with audited.client() as client:
        noted = (await client.get("/audit/verify")).json()["head"]
        force("delete from resecta_ledger where seq = 6")
        assert (await client.get("/audit/verify")).json()["whole"]
        cut = (await client.get("/audit/verify", params={"after": noted})).json()
        assert (cut["whole"], cut["broken"]["what"], cut["broken"]["seq"]) == (False, "ends_early", 6)
        force("update resecta_ledger set payload = x'00' where seq = 3")
        broken = (await client.get("/audit/verify")).json()
        assert (broken["broken"]["seq"], broken["broken"]["what"], broken["entries"]) == (3, "payload_changed", 2)
        # What cannot be read is said in its line, and ends no page.
        readable = [not line.get("unreadable") for line in lines(await client.get("/audit"))]
        assert readable == [True, True, False, True, True]
        assert told(await client.get("/audit/verify?after=5")) == {"after": "malformed"}
        assert told(await client.get("/audit/verify?limit=5")) == {"limit": "unknown_field"}


async def test_one_walk_at_a_time_and_answers_to_patients_go_on_meanwhile(audited, ledger, monkeypatch):
    inside, leave = threading.Event(), threading.Event()

    def slow(*given, **options):
        inside.set()
        leave.wait(10)
        return real(*given, **options)

    real = audit.verify
    monkeypatch.setattr(audit, "verify", slow)
    async with audited.client() as client:
        first = asyncio.ensure_future(client.get("/audit/verify"))
        await anyio.to_thread.run_sync(inside.wait, 10)
        second = await client.get("/audit/verify")
        assert (second.status_code, second.json()["errors"][0]["code"]) == (503, "busy")
        assert int(second.headers["retry-after"]) > 0
        assert (await client.get("/model")).status_code == 200
        leave.set()
        assert (await first).json()["whole"]
        assert (await client.get("/audit/verify")).status_code == 200


async def test_no_more_pages_are_sent_at_once_than_there_are_places(audited, ledger, monkeypatch):
    ledger.append_sync([drafted() for _ in range(3)])
    inside, leave = threading.Semaphore(0), threading.Event()

    def slow(*given):
        inside.release()
        leave.wait(10)
        return real(*given)

    real = audit.read
    monkeypatch.setattr(audit, "read", slow)
    async with audited.client() as client:
        sending = [asyncio.ensure_future(client.get("/audit")) for _ in range(audit.PAGES_AT_ONCE)]
        for _ in sending:
            await anyio.to_thread.run_sync(inside.acquire)
        refused = await client.get("/audit")
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (503, "busy")
        leave.set()
        assert [len(lines(answer)) for answer in await asyncio.gather(*sending)] == [4, 4]
        # Places come back, also of a page that only its headers were wanted of, and of one that was refused.
        for _ in range(3):
            head = await client.head("/audit")
            assert (head.status_code, head.headers[COUNT], head.content) == (200, "4", b"")
            assert (await client.get("/audit?limit=0")).status_code == 422
        assert len(lines(await client.get("/audit"))) == 4
    assert audited.measures.registry.get_sample_value("resecta_audit_entries_total") == 12


async def test_where_the_ledger_is_off_or_cannot_be_read_that_is_said(front):
    def fail():
        raise LedgerUnavailable("The disk is gone.")

    for opening, code in ((None, "ledger_off"), (fail, "ledger_unavailable")):
        made = front()
        made.routes.recorder = Recorder(opening, Measures())
        async with made.client() as client:
            for path in ("/audit", "/audit/verify"):
                for _ in range(3):
                    refused = await client.get(path)
                    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (503, code)


async def test_a_page_of_thousands_is_not_held_in_memory(audited, ledger):
    ledger.append_sync([drafted() for _ in range(20 * AT_ONCE)])
    sizes = []

    async def send(message):
        sizes.append(len(message.get("body", b"")))

    await audited.gate(SCOPE, anyio.sleep_forever, send)
    assert len(sizes) > 20 and max(sizes) < sum(sizes) / 15


async def test_a_client_that_stops_reading_is_cut_off_and_its_place_comes_back(audited, ledger, monkeypatch):
    monkeypatch.setattr(gate, "READ_WITHIN", 0.2)
    ledger.append_sync([drafted() for _ in range(3 * AT_ONCE)])
    got = []

    async def send(message):
        got.append(message)
        if len(got) == 3:
            await anyio.sleep_forever()

    for _ in range(audit.PAGES_AT_ONCE + 1):
        got.clear()
        with anyio.fail_after(10):
            await audited.gate(SCOPE, anyio.sleep_forever, send)
        # Lines were sent, and no end: whoever reads on later knows that the page is not whole.
        assert [message.get("more_body") for message in got] == [None, True, True]


async def test_no_value_of_a_patient_and_no_query_is_logged(front, ledger, tmp_path, capfd):
    ledger.append_sync([drafted(patient=ledger.pseudonym("H-4711"))])
    made = front(settings=Settings(store=tmp_path, log=Form.JSON))
    made.routes.recorder = Recorder(ledger_opener({}, tmp_path), made.measures)
    async with made.client() as client:
        assert str(SECRET) in (await client.get("/audit")).text
        await client.get("/audit", params={"patient": "ab" * 32, "nonsense": str(SECRET)})
        await client.get("/audit/verify")
    written = capfd.readouterr()
    log = written.err + written.out
    assert log.count('"/audit"') == 2 and log.count('"/audit/verify"') == 1
    assert str(SECRET) not in log and "abab" not in log


def test_a_page_that_nobody_reads_to_its_end_gives_its_place_back(audited, ledger):
    ledger.append_sync([drafted() for _ in range(3 * AT_ONCE)])

    async def gone():
        async with audited.client() as client:
            for _ in range(audit.PAGES_AT_ONCE + 1):
                with anyio.move_on_after(0.001):
                    await client.get("/audit")
            await anyio.sleep(0.1)
            return await client.get("/audit")

    answer = asyncio.run(gone())
    assert isinstance(answer, httpx.Response) and len(lines(answer)) == 3 * AT_ONCE + 1

"""No answer without its record: predictions, outcomes and a board's own estimates reach the ledger first."""

import datetime as dt
import hashlib
import json
import sqlite3
import threading
import time

import anyio
import pytest

from serving.application import describe, load
from serving.ledger import Ledger, LedgerUnavailable, database, open_ledger, writer
from serving.ledger.entry import Kind
from serving.ledger.verify import verify
from serving.measures import Measures
from serving.recorder import Recorder, ledger_opener
from serving.shadow import Shadowed

pytestmark = pytest.mark.anyio

PATIENT = {"age_years": 61, "ras_status": "mutant", "n_liver_metastases": 4}
STARTED = {"planned_backbone": "folfox", "planned_biologic": "bevacizumab"}
REGIMEN = {"backbone": "folfox", "biologic": "bevacizumab", "planned_cycles": 6}
OTHER = {"backbone": "capox", "biologic": "bevacizumab", "planned_cycles": 4}


@pytest.fixture(scope="module")
def application(bundle, tmp_path_factory):
    return load(describe(), str(bundle), tmp_path_factory.mktemp("none"))


@pytest.fixture
def recorder(tmp_path):
    return Recorder(ledger_opener({}, tmp_path), Measures())


@pytest.fixture
def recording(front, application, recorder):
    made = front(application)
    made.routes.recorder = recorder
    return made


@pytest.fixture
def ledger(tmp_path, recording):
    opened = open_ledger({}, tmp_path)
    yield opened
    opened.close()


async def predict(client, **more):
    return await client.post("/predict", json={"patient": PATIENT, "regimens": [REGIMEN], **more})


async def test_an_answer_is_in_the_ledger_with_what_was_entered_and_is_given_again_bit_for_bit(recording, ledger):
    async with recording.client() as client:
        answer = await predict(client)
        again = await client.get(f"/predictions/{answer.json()['prediction_id']}")
    assert again.content == answer.content
    stored = ledger.prediction(answer.json()["prediction_id"])
    assert stored.record["inputs"]["entered"] == PATIENT
    assert "sex" in stored.record["inputs"]["assumed"]
    assert stored.record["caller"] == {"name": "local", "role": "predict"}


async def test_an_answer_is_kept_with_the_digest_of_its_bundle_and_the_version_of_its_code(recording, ledger, bundle):
    seal = hashlib.sha256((bundle / "checksums.json").read_bytes()).hexdigest()
    async with recording.client() as client:
        answer = (await predict(client)).json()
        card = (await client.get("/model")).json()
    digests = ledger.prediction(answer["prediction_id"]).record["digests"]
    assert digests == {"bundle": seal, "code": "test", "data": "0" * 64}
    assert (card["bundle_digest"], card["code_version"]) == (seal, "test")


async def test_a_patient_reference_is_kept_as_a_keyed_hash_alone(recording, ledger, tmp_path):
    async with recording.client() as client:
        first = await predict(client, reference="H-4711")
        second = await predict(client, reference="H-4711")
    kept = [ledger.prediction(a.json()["prediction_id"]).record["patient"] for a in (first, second)]
    assert kept[0] == kept[1] and kept[0] is not None and "4711" not in kept[0]
    assert not any(b"H-4711" in f.read_bytes() for f in tmp_path.iterdir() if f.is_file())


async def test_a_batch_is_recorded_patient_by_patient(recording, ledger):
    async with recording.client() as client:
        answer = await client.post("/predict_batch", json={"patients": [PATIENT, {"age_years": 70}]})
    ids = [p["prediction_id"] for p in answer.json()["predictions"]]
    assert [json.loads(ledger.get(i)) for i in ids] == answer.json()["predictions"]
    assert ledger.prediction(ids[1]).record["inputs"]["entered"] == {"age_years": 70}


async def test_without_a_ledger_the_answer_is_a_503_that_says_so_and_carries_no_number(front, application):
    def fail():
        raise LedgerUnavailable("The disk is full.")

    made = front(application)
    made.routes.recorder = Recorder(fail, made.measures)
    async with made.client() as client:
        answer = await predict(client)
        ready = await client.get("/readyz")
    assert answer.status_code == ready.status_code == 503
    (error,) = answer.json()["errors"]
    assert error["code"] == "ledger_unavailable" and "The disk is full." in error["message"]
    assert "probability" not in answer.text


async def test_once_a_fault_of_the_ledger_has_passed_the_service_is_ready_without_being_asked_for_an_answer(
    front, application, tmp_path, monkeypatch
):
    monkeypatch.setattr(database, "LOCK_WITHIN", 0.1)
    monkeypatch.setattr(writer, "PROBED_EVERY", 0.05)
    file = tmp_path / "ledger.db"
    with Ledger(f"sqlite:///{file}", "k" * 40) as ledger:
        made = front(application)
        made.routes.recorder = Recorder(lambda: ledger, made.measures)

        def told() -> bool:
            return b"resecta_ledger_ready 1.0" in made.measures.exposition()

        async with made.client() as client:
            assert (await client.get("/readyz")).status_code == 200 and told()
            foreign = sqlite3.connect(file, isolation_level=None)
            foreign.execute("begin immediate")
            assert (await predict(client)).status_code == 503
            assert not told()
            for _ in range(3):
                held = await client.get("/readyz")
                assert held.status_code == 503 and "SQLITE_BUSY" in held.text
                await anyio.sleep(0.1)
            foreign.close()
            with anyio.fail_after(5):
                while (await client.get("/readyz")).status_code != 200:
                    await anyio.sleep(0.05)
            assert told()
        verdict = verify(ledger.database, ledger.key)
        assert (verdict.broken, verdict.kinds) == (None, {"checkpoint": 2})


async def test_an_outcome_is_recorded_once_and_corrected_without_losing_the_first(recording, ledger):
    async with recording.client() as client:
        made = (await predict(client)).json()["prediction_id"]
        values = {"index_date": dt.date.today().isoformat(), "conversion_12m": False, **STARTED}
        body = {"prediction_id": made, "values": values}
        first = await client.post("/outcomes", json=body)
        repeated = await client.post("/outcomes", json=body)
        body["values"]["conversion_12m"] = True
        corrected = await client.post("/outcomes", json=body)
    assert [r.status_code for r in (first, repeated, corrected)] == [200, 200, 200], first.text
    assert repeated.json()["existing"] and repeated.json()["seq"] == first.json()["seq"]
    assert corrected.json()["revision"] == 2
    assert len(ledger.outcomes(made)) == 2


async def test_a_wrong_outcome_is_refused_with_every_field_and_an_unknown_prediction_is_not_found(recording):
    async with recording.client() as client:
        made = (await predict(client)).json()["prediction_id"]
        wrong = await client.post("/outcomes", json={"prediction_id": made, "values": {"nonsense": 1, "age_years": 4}})
        unknown = await client.post(
            "/outcomes", json={"prediction_id": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "values": {"nonsense": 1}}
        )
    assert wrong.status_code == 422 and len(wrong.json()["errors"]) >= 2
    assert unknown.status_code == 404


async def test_a_boards_own_estimate_is_kept_with_its_prediction(recording, ledger):
    async with recording.client() as client:
        made = (await predict(client)).json()["prediction_id"]
        body = {"prediction_id": made, "regimen": REGIMEN, "outcome": "conversion_12m", "probability": 0.3}
        assert (await client.post("/estimates", json=body)).status_code == 200
        assert (await client.get("/model")).json()["features"] == {"ledger": True, "estimates": True}
    (kept,) = ledger.stored(Kind.ESTIMATE)
    assert kept.record["prediction_id"] == made
    assert kept.record["regimens"] == [{**REGIMEN, "outcomes": {"conversion_12m": 0.3}}]


async def test_an_estimate_sent_with_the_question_stands_before_the_answer_in_one_chain(recording, ledger):
    estimate = {"regimen": REGIMEN, "outcome": "conversion_12m", "probability": 0.3}
    async with recording.client() as client:
        before = (await predict(client, estimate=estimate)).json()["prediction_id"]
        after = (await predict(client)).json()["prediction_id"]
        assert (await client.post("/estimates", json={"prediction_id": after, **estimate})).status_code == 200
    places = {(each.record["prediction_id"], each.kind): each for each in ledger.stored(Kind.ESTIMATE, Kind.PREDICTION)}
    assert places[before, Kind.ESTIMATE].seq + 1 == places[before, Kind.PREDICTION].seq
    assert places[after, Kind.ESTIMATE].seq > places[after, Kind.PREDICTION].seq
    assert places[before, Kind.ESTIMATE].record["regimens"] == [{**REGIMEN, "outcomes": {"conversion_12m": 0.3}}]
    assert places[before, Kind.ESTIMATE].record["caller"] == {"name": "local", "role": "predict"}
    assert verify(ledger.database, ledger.key).broken is None


async def test_neither_estimate_nor_answer_is_kept_where_one_of_them_cannot_be(
    recording, recorder, ledger, monkeypatch
):
    async def refuse(drafts):
        raise LedgerUnavailable("The disk is full.")

    async with recording.client() as client:
        await predict(client)
        before = len(list(ledger.stored(*Kind)))
        monkeypatch.setattr(recorder._open(), "append", refuse)
        estimate = {"regimen": REGIMEN, "outcome": "conversion_12m", "probability": 0.3}
        answer = await predict(client, estimate=estimate)
    assert answer.status_code == 503 and "probability" not in answer.text
    assert len(list(ledger.stored(*Kind))) == before


async def test_a_wrong_estimate_is_refused_field_by_field_and_nothing_is_answered(recording, ledger):
    estimate = {"regimen": {"backbone": "water", "biologic": 3}, "outcome": "luck", "probability": 1.5, "note": "x"}
    async with recording.client() as client:
        refused = await predict(client, estimate=estimate)
        other = await predict(client, estimate=[])
    assert refused.status_code == other.status_code == 422
    assert {e["field"]: e["code"] for e in refused.json()["errors"]} == {
        "estimate.regimen.backbone": "unknown_regimen",
        "estimate.regimen.biologic": "wrong_type",
        "estimate.outcome": "unknown_code",
        "estimate.probability": "above_hard_limit",
        "estimate.note": "unknown_field",
    }
    assert [e["field"] for e in other.json()["errors"]] == ["estimate"]
    assert list(ledger.stored(Kind.ESTIMATE, Kind.PREDICTION)) == []


async def compared(client):
    return await client.post("/compare", json={"patient": PATIENT, "regimens": [REGIMEN, OTHER]})


async def explained(client):
    return await client.post("/explain", json={"patient": PATIENT, "regimen": REGIMEN})


@pytest.mark.parametrize(("asked", "kind"), [(compared, Kind.COMPARISON), (explained, Kind.EXPLANATION)])
async def test_a_comparison_and_an_explanation_are_recorded_first_and_given_again(recording, ledger, asked, kind):
    async with recording.client() as client:
        answer = await asked(client)
        again = await client.get(f"/predictions/{answer.json()['prediction_id']}")
    assert answer.status_code == 200 and again.content == answer.content
    (kept,) = ledger.stored(kind)
    assert kept.id == answer.json()["prediction_id"] and kept.answer == answer.content
    assert kept.record["inputs"]["entered"] == PATIENT
    assert kept.record["regimens"] == ([REGIMEN] if kind is Kind.EXPLANATION else [REGIMEN, OTHER])
    assert kept.record.get("outcome") == ("conversion_12m" if kind is Kind.EXPLANATION else None)
    assert kept.record["digests"]["code"] == "test"
    assert verify(ledger.database, ledger.key).broken is None


@pytest.mark.parametrize("asked", [compared, explained])
async def test_without_a_ledger_neither_is_answered(front, application, asked):
    def fail():
        raise LedgerUnavailable("The disk is full.")

    made = front(application)
    made.routes.recorder = Recorder(fail, made.measures)
    async with made.client() as client:
        answer = await asked(client)
    assert answer.status_code == 503 and answer.json()["errors"][0]["code"] == "ledger_unavailable"
    assert "probability" not in answer.text and "difference" not in answer.text


@pytest.mark.parametrize("asked", [compared, explained])
async def test_what_became_of_a_patient_belongs_to_a_prediction_and_to_nothing_else(recording, ledger, asked):
    async with recording.client() as client:
        made = (await asked(client)).json()["prediction_id"]
        values = {"index_date": dt.date.today().isoformat(), "conversion_12m": False, **STARTED}
        outcome = await client.post("/outcomes", json={"prediction_id": made, "values": values})
        body = {"prediction_id": made, "regimen": REGIMEN, "outcome": "conversion_12m", "probability": 0.3}
        estimate = await client.post("/estimates", json=body)
    for refused in (outcome, estimate):
        assert refused.status_code == 422
        assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [("prediction_id", "not_a_prediction")]
    assert list(ledger.stored(Kind.OUTCOME, Kind.ESTIMATE)) == []


async def test_what_a_challenger_would_have_answered_is_recorded_and_never_given_again(recording, recorder, ledger):
    async with recording.client() as client:
        answer = (await predict(client)).json()
        challenged = {**answer, "model": {**answer["model"], "version": "9"}}
        recorder.shadowed(Shadowed(answer["prediction_id"], {}, challenged, 0.004, {"bundle": "ab" * 32}))
        again = await client.get(f"/predictions/{answer['prediction_id']}")
    (kept,) = ledger.stored(Kind.SHADOW)
    assert kept.record["model"]["version"] == "9"
    assert kept.record["digests"] == {"bundle": "ab" * 32}
    assert verify(ledger.database, ledger.key).broken is None
    assert kept.record["regimens"][0]["outcomes"] == answer["regimens"][0]["outcomes"]
    assert again.json() == answer


async def test_a_ledger_that_is_switched_off_records_nothing_and_says_so(front, application, tmp_path):
    made = front(application)
    made.routes.recorder = Recorder(ledger_opener({"RESECTA_LEDGER": "off"}, tmp_path), made.measures)
    async with made.client() as client:
        assert (await predict(client)).status_code == 200
        assert (await compared(client)).status_code == (await explained(client)).status_code == 200
        estimate = {"regimen": REGIMEN, "outcome": "conversion_12m", "probability": 0.3}
        lost = await predict(client, estimate=estimate)
        assert (lost.status_code, lost.json()["errors"][0]["code"]) == (503, "ledger_off")
        assert (await client.get("/model")).json()["features"] == {"ledger": False, "estimates": False}
        gone = await client.get("/predictions/whatever")
    assert gone.status_code == 503 and gone.json()["errors"][0]["code"] == "ledger_off"
    assert list(tmp_path.iterdir()) == []


async def test_a_ledger_that_opens_late_keeps_no_request_waiting(front, application, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.recorder._TRY_AGAIN", 0.05)
    tried, may_open = [], threading.Event()

    def opening():
        tried.append(time.monotonic())
        if len(tried) == 1:
            raise LedgerUnavailable("Not yet.")
        assert may_open.wait(10)
        return open_ledger({}, tmp_path)

    made = front(application)
    made.routes.recorder = Recorder(opening, made.measures)
    made.routes.recorder.begin()
    assert made.routes.recorder.problem == "Not answered, because the ledger cannot be used: Not yet."
    async with made.client() as client:
        await anyio.sleep(0.1)
        started = time.monotonic()
        for _ in range(3):
            assert (await predict(client)).status_code == 503
        assert time.monotonic() - started < 5
        may_open.set()
        with anyio.fail_after(10):
            while (await predict(client)).status_code == 503:
                await anyio.sleep(0.02)
    assert len(tried) == 2

"""What each address answers, and how it refuses what it is sent."""

import asyncio
import json
import threading
from typing import Any

import pytest

from features import Problem
from serving.application import Application

pytestmark = pytest.mark.anyio

GOOD = {"patient": {"age_years": 60, "albumin_g_l": 38.0}}
JSON = {"content-type": "application/json"}


async def post(front: Any, body: bytes | str | object, path: str = "/predict", **headers: str) -> Any:
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    async with front().client() as client:
        return await client.post(path, content=content, headers={**JSON, **headers})


def told(response: Any) -> dict[str, str]:
    """Return field -> code of a refusal."""
    return {error["field"]: error["code"] for error in response.json()["errors"]}


async def test_a_good_request_is_answered(front):
    answer = await post(front, GOOD)
    assert answer.status_code == 200
    assert answer.json()["regimens"][0]["probability"] == 0.25
    assert answer.headers["cache-control"] == "no-store"


async def test_a_batch_is_answered_in_order(front):
    answer = await post(front, {"patients": [GOOD["patient"]] * 3}, "/predict_batch")
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 3


async def test_all_problems_are_told_at_once_with_their_paths(front):
    refused = await post(
        front,
        {
            "patient": {"albumin_g_l": 4.1, "sex": "f", "blood_type": "A"},
            "regimens": [{"backbone": "folfox", "biologic": "none"}, {"backbone": "vitamin_c"}],
            "profile": "mars",
        },
    )
    assert refused.status_code == 422
    assert told(refused) == {
        "patient.albumin_g_l": "below_hard_limit",
        "patient.age_years": "missing_required",
        "patient.sex": "unknown_code",
        "patient.blood_type": "unknown_field",
        "regimens.1.backbone": "unknown_regimen",
        "regimens.1.biologic": "missing_required",
        "profile": "unknown_code",
    }


async def test_a_likely_slip_of_units_is_asked_about(front):
    refused = await post(front, {"patient": {"age_years": 60, "albumin_g_l": 4.1}})
    (error,) = refused.json()["errors"]
    assert "g/dL" in error["message"]


async def test_a_refusal_says_what_is_allowed_and_never_repeats_the_value(front):
    refused = await post(front, {"patient": {"age_years": 117, "albumin_g_l": 9876.5, "sex": "Jane Doe"}})
    text = refused.text
    assert "18 to 110" in text
    assert "female" in text
    for value in ("117", "9876", "Jane"):
        assert value not in text


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ('"60"', "wrong_type"),
        ("true", "wrong_type"),
        ("60.5", "wrong_type"),
        ("[60]", "wrong_type"),
        ("null", "missing_required"),
        ("1" * 400, "above_hard_limit"),
    ],
)
async def test_a_whole_number_is_not_made_of_anything_else(front, value, code):
    refused = await post(front, f'{{"patient": {{"age_years": {value}}}}}')
    assert refused.status_code == 422
    assert told(refused) == {"patient.age_years": code}


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_a_number_must_be_finite(front, value):
    refused = await post(front, f'{{"patient": {{"age_years": 60, "albumin_g_l": {value}}}}}')
    assert refused.status_code == 422
    assert set(told(refused)) == {"patient.albumin_g_l"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b"  \n ", "empty_body"),
        (b"{", "invalid_json"),
        (b"{'patient': 1}", "invalid_json"),
        (b"\xff\xfe{\x00}\x00", "invalid_json"),
        (b'{"patient": {}} {}', "invalid_json"),
        (b'{"patient": {"age_years": ' + b"1" * 5000 + b"}}", "invalid_json"),
        (b"[" * 10_000 + b"]" * 10_000, "invalid_json"),
        (b'{"patient":' * 10_000 + b"1" + b"}" * 10_000, "invalid_json"),
    ],
)
async def test_what_is_no_json_is_refused(front, body, code):
    refused = await post(front, body)
    assert refused.status_code == 400
    assert told(refused) == {"body": code}


@pytest.mark.parametrize("body", [b"null", b"3", b"[]", b'"x"', b"NaN"])
async def test_json_that_is_no_object_is_refused(front, body):
    refused = await post(front, body)
    assert refused.status_code == 422
    assert told(refused) == {"body": "wrong_type"}


async def test_a_field_that_stands_twice_is_refused_beside_the_other_problems(front):
    refused = await post(front, '{"patient": {"age_years": 60, "age_years": 70, "sex": 1}}')
    assert refused.status_code == 422
    assert told(refused) == {"age_years": "repeated_field", "patient.sex": "wrong_type"}
    alone = await post(front, '{"patient": {"age_years": 60, "age_years": 70}}')
    assert told(alone) == {"age_years": "repeated_field"}


async def test_a_long_unknown_name_is_given_back_shortened(front):
    refused = await post(front, {"patient": {"age_years": 60, "x" * 5000: 1}})
    (error,) = refused.json()["errors"]
    assert len(error["field"]) < 100


@pytest.mark.parametrize(
    "kind", ["text/plain", "", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
async def test_another_content_type_is_refused(front, kind):
    refused = await post(front, GOOD, **{"content-type": kind})
    assert refused.status_code == 415
    assert told(refused) == {"content-type": "not_json"}


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
async def test_json_may_be_announced_in_any_spelling(front, kind):
    assert (await post(front, GOOD, **{"content-type": kind})).status_code == 200


async def test_a_compressed_body_is_refused(front):
    assert told(await post(front, GOOD, **{"content-encoding": "gzip"})) == {"content-encoding": "encoded"}


async def test_an_unknown_address_and_a_wrong_method_are_refused_in_the_same_shape(front):
    async with front().client() as client:
        assert told(await client.get("/nothing")) == {"path": "no_such_route"}
        assert told(await client.post("/predict/", json=GOOD)) == {"path": "no_such_route"}
        wrong = await client.get("/predict")
        assert (wrong.status_code, told(wrong)) == (405, {"method": "wrong_method"})
        assert wrong.headers["allow"] == "POST"
        assert (await client.delete("/model")).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("name", ["..%2Fservice.py", "../service.py", "%2e%2e/service.py", "nothing.css"])
@pytest.mark.parametrize("folder", ["/static/", "/docs/"])
async def test_only_the_files_of_a_page_can_be_read(front, folder, name):
    async with front().client() as client:
        assert (await client.get(folder + name)).status_code == 404


async def test_a_file_that_the_client_has_is_not_sent_again(front):
    async with front().client() as client:
        first = await client.get("/docs/swagger-ui.css")
        assert first.headers["content-type"].startswith("text/css")
        again = await client.get("/docs/swagger-ui.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_an_answer_with_nan_is_an_error_and_not_json_that_nobody_can_read(front, small):
    application = small()
    application.scorer.answer = lambda request: {"probability": float("nan"), "regimens": []}
    async with front(application).client() as client:
        assert (await client.post("/predict", json=GOOD)).status_code == 500
        application.scorer.answer = lambda request: {"text": "NaN of Infinity", "regimens": []}
        assert (await client.post("/predict", json=GOOD)).json()["text"] == "NaN of Infinity"


async def test_without_a_model_the_service_is_alive_says_why_and_predicts_nothing(front):
    reason = Problem("model", "digest", "The bundle has digest aa, the specification bb; they differ in: x.")
    unready = Application(refusals=(reason,))
    async with front(unready).client() as client:
        assert (await client.get("/livez")).status_code == 200
        for method, path in [
            ("GET", "/readyz"),
            ("GET", "/"),
            ("GET", "/model"),
            ("GET", "/specification"),
            ("POST", "/predict"),
            ("POST", "/predict_batch"),
            ("POST", "/compare"),
        ]:
            refused = await client.request(method, path, json=GOOD if method == "POST" else None)
            assert refused.status_code == 503
            assert refused.json()["errors"] == [
                {"field": "model", "code": "digest", "message": reason.message},
            ]


async def test_readiness_names_the_model(front):
    async with front().client() as client:
        ready = (await client.get("/readyz")).json()
    assert ready == {"status": "ready", "model": {"name": "resecta", "version": "7", "spec_digest": "abc"}}


async def test_a_running_batch_does_not_hold_up_a_single_patient(front, small):
    release = threading.Event()
    built = front(small(lambda request: "sex" in request and release.wait(20)))
    async with built.client() as client:
        batch = asyncio.create_task(client.post("/predict_batch", json={"patients": [GOOD["patient"]]}))
        while not built.routes.batches.inside:
            await asyncio.sleep(0.01)
        assert (await client.post("/predict", json=GOOD)).status_code == 200
        assert not batch.done()
        release.set()
        assert (await batch).status_code == 200


async def test_batches_beyond_those_that_may_wait_are_turned_away(front, small):
    release = threading.Event()
    built = front(small(lambda request: release.wait(20)))
    async with built.client() as client:
        body = {"patients": [GOOD["patient"]]}
        tasks = [asyncio.create_task(client.post("/predict_batch", json=body)) for _ in range(12)]
        while built.routes.batches.inside < 10:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        release.set()
        answers = await asyncio.gather(*tasks)
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [503] * 2
    assert built.routes.batches.inside == 0


async def test_waiting_batches_do_not_hold_up_an_explanation_nor_a_large_body_of_one_patient(front, small):
    release = threading.Event()
    application = small(lambda request: "sex" in request and release.wait(20))
    application.scorer.explain = lambda request: {"prediction_id": "e"}
    built = front(application)
    regimen = {"backbone": "folfox", "biologic": "none"}
    asked = {**GOOD, "regimen": regimen}
    async with built.client() as client:
        body = {"patients": [GOOD["patient"]]}
        batches = [asyncio.create_task(client.post("/predict_batch", json=body)) for _ in range(10)]
        while built.routes.batches.inside < 10:
            await asyncio.sleep(0.01)
        assert (await client.post("/explain", json=asked)).status_code == 200
        padded = json.dumps(GOOD) + " " * 10_000
        assert (await client.post("/predict", content=padded, headers=JSON)).status_code == 200
        assert not any(batch.done() for batch in batches)
        release.set()
        assert {answer.status_code for answer in await asyncio.gather(*batches)} == {200}


async def test_explanations_beyond_those_that_may_wait_are_turned_away(front, small):
    release = threading.Event()
    application = small()
    application.scorer.explain = lambda request: release.wait(20) and {"prediction_id": "e"}
    built = front(application)
    asked = {**GOOD, "regimen": {"backbone": "folfox", "biologic": "none"}}
    async with built.client() as client:
        tasks = [asyncio.create_task(client.post("/explain", json=asked)) for _ in range(11)]
        while built.routes.explanations.inside < 9:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        release.set()
        answers = await asyncio.gather(*tasks)
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [503] * 2
    assert built.routes.explanations.inside == 0


async def test_metrics_count_without_taking_labels_from_the_client(front):
    built = front()
    async with built.client() as client:
        await client.post("/predict", json=GOOD)
        await client.post("/predict_batch", json={"patients": [GOOD["patient"]] * 3})
        await client.post("/predict", json={"patient": {"sex": "Jane Doe", "age_years": 1}})
        for n in range(5):
            await client.get(f"/Jane_Doe/{n}?name=Jane")
        metrics = (await client.get("/metrics")).text
    assert "resecta_predictions_total 4.0" in metrics
    assert 'resecta_flags_total{code="dpyd_untested",severity="caution",status="unknown"} 4.0' in metrics
    assert 'resecta_regimens_total{backbone="folfox",biologic="none"} 4.0' in metrics
    assert 'resecta_refusals_total{code="unknown_code"} 1.0' in metrics
    assert 'resecta_requests_total{route="/predict",status="422"} 1.0' in metrics
    assert 'resecta_requests_total{route="none",status="404"} 5.0' in metrics
    assert "Jane" not in metrics

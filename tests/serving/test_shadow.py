"""A challenger answers in the background: recorded, never shown, and never in the way."""

import threading
import time
from typing import Any

import pytest

from serving.measures import Measures
from serving.shadow import Shadow

pytestmark = pytest.mark.anyio


def challenger(small, does=lambda request: None, version: str = "8", bundle: str = "b" * 64) -> Any:
    application = small(does)
    application.scorer.model_card = {**application.scorer.model_card, "version": version}
    application.scorer.digests = {"code": "1", "bundle": bundle}
    return application


def answered(number: str, version: str = "7") -> dict[str, Any]:
    return {"prediction_id": number, "model": {"name": "resecta", "version": version}}


def asked(age: float = 60) -> dict[str, Any]:
    return {"patient": {"age_years": age}, "regimens": None, "profile": "eu"}


def finish(shadow: Shadow) -> None:
    thread = shadow.start()
    shadow.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_what_was_answered_is_scored_and_handed_to_the_recorder(small):
    kept = []
    shadow = Shadow(challenger(small), kept.append, Measures())
    shadow.offer(asked(61), answered("a"))
    finish(shadow)
    (record,) = kept
    assert record.prediction_id == "a"
    assert record.request == asked(61)
    assert record.answer["regimens"]
    assert shadow.counts == {"scored": 1, "failed": 0, "skipped": 0}


def test_a_batch_is_recorded_patient_by_patient(small):
    kept = []
    shadow = Shadow(challenger(small), kept.append)
    batch = {"patients": [{"age_years": 60}, {"age_years": 70}], "regimens": None, "profile": "eu"}
    shadow.offer(batch, {"predictions": [answered("a"), answered("b")]})
    finish(shadow)
    assert [(r.prediction_id, r.request["patient"]["age_years"]) for r in kept] == [("a", 60), ("b", 70)]


def test_what_does_not_fit_the_queue_is_dropped_and_counted(small):
    shadow = Shadow(challenger(small), waiting=3)
    for i in range(10):
        shadow.offer(asked(), answered(str(i)))
    assert shadow.counts["skipped"] == 7


def test_nothing_is_scored_without_a_challenger_or_when_the_challenger_is_what_answers(small):
    from serving.application import Application

    for application in (Application(), challenger(small, version="7")):
        shadow = Shadow(application)
        shadow.offer(asked(), answered("a", version="7"), {"code": "1", "bundle": "b" * 64})
        assert shadow.counts == {"scored": 0, "failed": 0, "skipped": 0}
        assert shadow._queue.empty()


def test_another_bundle_of_the_same_version_is_scored(small):
    # Bundle folders that no registry numbered all have the same version.
    shadow = Shadow(challenger(small, version="unregistered"))
    shadow.offer(asked(), answered("a", version="unregistered"), {"code": "1", "bundle": "c" * 64})
    finish(shadow)
    assert shadow.counts["scored"] == 1


def test_a_failure_is_counted_without_what_was_asked_in_the_log(small, caplog):
    def fail(request: Any) -> None:
        raise ValueError(f"patient {request}")

    shadow = Shadow(challenger(small, fail))
    shadow.offer(asked(77), answered("a"))
    finish(shadow)
    assert shadow.counts["failed"] == 1
    assert "ValueError" in caplog.text and "77" not in caplog.text


def test_it_works_a_quarter_of_the_time_at_most(small):
    shadow = Shadow(challenger(small, lambda request: time.sleep(0.02)))
    for i in range(5):
        shadow.offer(asked(), answered(str(i)))
    began = time.monotonic()
    finish(shadow)
    assert time.monotonic() - began > 5 * 0.02 * 4 * 0.9


async def test_an_answer_is_the_same_with_a_challenger_and_does_not_wait_for_it(front, small):
    may_finish, kept = threading.Event(), []
    made = front()
    made.routes.application.scorer.answer = lambda request: {**answered("a"), "regimens": []}
    shadow = Shadow(challenger(small, lambda request: may_finish.wait(10)), kept.append)
    body = {"patient": {"age_years": 60}}
    async with made.client() as client:
        alone = await client.post("/predict", json=body)
        made.routes.shadow = shadow
        thread = shadow.start()
        beside = await client.post("/predict", json=body)
        assert beside.content == alone.content
        assert not kept
        may_finish.set()
        shadow.stop()
        thread.join(10)
    assert [r.prediction_id for r in kept] == ["a"]


@pytest.mark.parametrize(("bundle", "queued"), [("b" * 64, 0), ("c" * 64, 1)])
async def test_what_answered_is_told_from_the_challenger_by_its_bundle(front, small, bundle, queued):
    made = front()
    scorer = made.routes.application.scorer
    scorer.answer = lambda request: {**answered("a"), "regimens": []}
    scorer.digests = {"code": "1", "bundle": "b" * 64}
    made.routes.shadow = Shadow(challenger(small, version="7", bundle=bundle))
    async with made.client() as client:
        assert (await client.post("/predict", json={"patient": {"age_years": 60}})).status_code == 200
        assert (await client.post("/predict_batch", json={"patients": [{"age_years": 60}]})).status_code == 200
    assert made.routes.shadow._queue.qsize() == 2 * queued

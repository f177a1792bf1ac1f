"""What the service counts about itself: by class and code, and never by anything that a client can choose."""

import time

import pytest

from features import Problem, load_specification
from serving.measures import Measures
from serving.problems import Refusal

SPEC = load_specification()


@pytest.fixture
def measures() -> Measures:
    return Measures()


def value(measures: Measures, name: str, **labels: str) -> float | None:
    return measures.registry.get_sample_value(f"resecta_{name}", labels)


def answer() -> dict:
    flags = [
        {"code": "a_code", "severity": "warning", "status": "present"},
        {"code": "a_code", "severity": "info", "status": "unknown"},
    ]
    regimens = [{"backbone": r.backbone, "biologic": r.biologic, "flags": flags} for r in SPEC.regimens.all()]
    return {"regimens": regimens}


def test_predictions_are_counted_by_the_regimens_of_the_specification(measures):
    measures.answered([answer(), answer()])
    assert value(measures, "predictions_total") == 2
    for regimen in SPEC.regimens.all():
        assert value(measures, "regimens_total", backbone=regimen.backbone, biologic=regimen.biologic) == 2
    assert value(measures, "options_total") == 2 * len(SPEC.regimens.all())


def test_flags_are_counted_by_code_severity_and_status(measures):
    measures.answered([answer()])
    regimens = len(SPEC.regimens.all())
    assert value(measures, "flags_total", code="a_code", severity="warning", status="present") == regimens
    assert value(measures, "flags_total", code="a_code", severity="info", status="unknown") == regimens


def test_each_problem_of_a_refusal_is_counted_under_its_code(measures):
    measures.refused(Refusal(422, [Problem("a", "one", ""), Problem("b", "one", ""), Problem("c", "two", "")]))
    assert (value(measures, "refusals_total", code="one"), value(measures, "refusals_total", code="two")) == (2, 1)


def test_one_model_answers_at_a_time_and_taking_its_place_clears_a_refusal(measures):
    measures.model("1", "aa", "evidence")
    measures.model_refused("spec_digest")
    measures.model_refused("checksum")
    assert value(measures, "model_refused", code="spec_digest") == 0
    assert value(measures, "model_refused", code="checksum") == 1
    measures.model("2", "aa", "boosted")
    assert value(measures, "model_refused", code="checksum") == 0
    assert value(measures, "model_info", version="1", digest="aa", learner="evidence") == 0
    assert value(measures, "model_info", version="2", digest="aa", learner="boosted") == 1


def test_the_ledger_outcomes_and_the_challenger_are_counted(measures):
    measures.outcome_recorded("first")
    measures.outcome_recorded("corrected")
    measures.committed(0.004)
    measures.ledger_failed(3)
    measures.shadow_scored(5)
    measures.shadow_scored(result="failed")
    assert value(measures, "outcomes_recorded_total", kind="first") == 1
    assert value(measures, "ledger_failures_total") == 3
    assert value(measures, "ledger_commit_seconds_count") == 1
    assert value(measures, "shadow_scored_total", result="scored") == 5
    assert value(measures, "shadow_scored_total", result="failed") == 1


def test_counting_a_full_answer_is_cheap_beside_making_one(measures):
    answers = [answer()]
    measures.answered(answers)
    best = float("inf")
    for _ in range(20):
        started = time.process_time()
        for _ in range(20):
            measures.answered(answers)
        best = min(best, (time.process_time() - started) / 20)
    assert best < 0.001

"""The words in which a request is refused: one error for what is wrong, and what is allowed."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from features import load_specification
from serving.problems import problems_in
from serving.request import request_models

MODELS = request_models(load_specification())
PATIENT = {"patient": {"age_years": 60}}
FOLFOX = {"backbone": "folfox", "biologic": "none"}
PREDICTION = {"prediction_id": "3f2c0000-0000-4000-8000-000000000000"}


def refused(body: Any, model: type[BaseModel] = MODELS.predict) -> dict[str, tuple[str, str]]:
    """Code and message by path."""
    with pytest.raises(ValidationError) as error:
        model.model_validate_json(json.dumps(body))
    problems = problems_in(error.value, MODELS.message_for)
    assert len({p.field for p in problems}) == len(problems)
    return {p.field: (p.code, p.message) for p in problems}


@pytest.mark.parametrize("given", ["John Doe", "", "x" * 129, 3, {}])
def test_a_word_that_names_something_is_told_what_it_may_hold(given):
    code, message = refused({**PATIENT, "reference": given})["reference"]
    assert code in ("malformed", "wrong_type")
    assert "1 to 128 letters" in message and "without spaces" in message and "object" not in message
    body = {**PREDICTION, "values": {"resection_12m": True}, "idempotency_key": given}
    assert "1 to 128 letters" in refused(body, MODELS.outcome)["idempotency_key"][1]


@pytest.mark.parametrize("given", ["John Doe", 3, None])
def test_a_prediction_is_named_by_the_id_of_its_answer(given):
    message = refused({"prediction_id": given, "values": {"resection_12m": True}}, MODELS.outcome)["prediction_id"][1]
    assert "id that an answer gave" in message and "object" not in message


@pytest.mark.parametrize("given", [{}, "x" * 201, ["x" * 201, 3], ["x"] * 51, [[]]])
def test_a_reported_value_of_no_type_at_all_is_one_error_of_its_field(given):
    values = {"resection_date": given, "no_such_field": given}
    found = refused({**PREDICTION, "values": values}, MODELS.outcome)
    assert set(found) == {"values.resection_date", "values.no_such_field"}
    assert "a date as YYYY-MM-DD" in found["values.resection_date"][1]
    assert "a text of at most 200 characters" in found["values.no_such_field"][1]


def test_a_report_of_nothing_or_of_a_nameless_value_is_told_so():
    assert "at least one value" in refused({**PREDICTION, "values": {}}, MODELS.outcome)["values"][1]
    for name in ("", "x" * 81):
        ((code, message),) = refused({**PREDICTION, "values": {name: 1}}, MODELS.outcome).values()
        assert code == "unknown_field" and "1 to 80 characters" in message


@pytest.mark.parametrize(("count", "code"), [(0, "too_few"), (1, "too_few"), (3, "too_many")])
def test_a_comparison_is_told_that_it_takes_two(count, code):
    several = [{**FOLFOX, "planned_cycles": cycles} for cycles in range(1, count + 1)]
    assert refused({**PATIENT, "regimens": several}, MODELS.compare) == {
        "regimens": (code, "Give exactly two regimens: the answer is the first minus the second.")
    }
    assert refused(PATIENT, MODELS.compare)["regimens"][0] == "missing_required"


def batch(patients: int, regimens: int | None = None) -> dict[str, Any]:
    spec = load_specification()
    plans = [
        {"backbone": regimen.backbone, "biologic": regimen.biologic, "planned_cycles": cycles}
        for cycles in (1, 2, 3)
        for regimen in spec.regimens.all()
    ]
    several = {} if regimens is None else {"regimens": plans[:regimens]}
    return {"patients": [PATIENT["patient"]] * patients, **several}


def test_a_batch_is_bounded_by_patients_times_regimens_and_told_what_to_send():
    for fits in (batch(1000), batch(1000, 20), batch(333, 60)):
        MODELS.batch.model_validate_json(json.dumps(fits))
    code, message = refused(batch(1000, 60), MODELS.batch)["patients"]
    assert code == "too_many_answers"
    for number in ("1000 patients under 60 regimens", "60000 answers", "at most 20000", "333 patients", "20 regimens"):
        assert number in message
    assert refused(batch(334, 60), MODELS.batch)["patients"][0] == "too_many_answers"

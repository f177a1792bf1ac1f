"""How a refusal is written, and how much of it."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from features import Problem
from serving.problems import MOST_PROBLEMS, Refusal, problems_in, respond


class Patient(BaseModel):
    age_years: int


def worded(loc: tuple[int | str, ...], error: Any) -> tuple[str, str, str]:
    return ".".join(map(str, loc)), error["type"], "Allowed is 18 to 110."


def refused(body: object) -> ValidationError:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(list[Patient]).validate_python(body)
    return error.value


def test_problems_that_read_the_same_are_told_once():
    same = problems_in(refused([{}, {}]), lambda loc, error: ("patient", "missing", "Send one."))
    assert same == (Problem("patient", "missing", "Send one."),)


def test_beyond_a_thousand_problems_only_their_number_is_told():
    problems = problems_in(refused([{}] * (MOST_PROBLEMS + 5)), worded)
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].code == "more_problems"
    assert problems[-1].message.startswith("5 ")


def test_a_refusal_is_written_in_one_shape_and_its_own_text_holds_codes_alone():
    refusal = Refusal(422, problems_in(refused([{"age_years": "Jane"}]), worded), {"allow": "POST"})
    response = respond(refusal)
    assert json.loads(response.body) == {
        "errors": [{"field": "0.age_years", "code": "int_parsing", "message": "Allowed is 18 to 110."}]
    }
    assert (response.status_code, response.headers["allow"]) == (422, "POST")
    assert str(refusal) == "422: int_parsing"

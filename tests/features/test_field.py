"""What a field refuses, asks about and accepts."""

import pytest
from pydantic import ValidationError

from features.field import Field

DIAMETER = {
    "name": "size_mm",
    "label": "Largest diameter",
    "group": "liver",
    "kind": "number",
    "unit": "mm",
    "hard": [2, 300],
    "usual": [5, 250],
    "known_at": "baseline",
    "roles": ["predictor"],
    "unit_slips": [{"unit": "cm", "multiply_by": 10, "suspect": [0.3, 24.9]}],
    "why": "test",
}


def field(**changes):
    return Field.model_validate({**DIAMETER, **changes})


@pytest.mark.parametrize("value", [2, 300, 58.0])
def test_a_value_inside_the_hard_limits_may_stand(value):
    assert field().problem(value) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.99, "below_hard_limit"),
        (300.1, "above_hard_limit"),
        ("58", "wrong_type"),
        (True, "wrong_type"),
        (float("inf"), "wrong_type"),
        (float("-inf"), "wrong_type"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_own_code(value, code):
    assert field().problem(value).code == code


def test_a_refusal_says_what_is_allowed_and_suspects_the_unit_without_repeating_the_value():
    message = field().problem(1.7).message
    assert "from 2 to 300 mm" in message
    assert "If the report is in cm, multiply by 10" in message
    assert "1.7" not in message


def test_a_possible_but_unusual_value_is_asked_about():
    assert field().problem(5.8) is None
    assert "are you sure" in field().unusual(5.8).message
    assert field().unusual(58) is None


def test_a_missing_value_is_refused_only_where_it_is_required():
    for missing in (None, float("nan"), ""):
        assert field().problem(missing) is None
        assert field(required=True).problem(missing).code == "missing_required"


def test_a_special_value_stands_outside_the_limits():
    count = field(kind="integer", hard=[1, 60], usual=[1, 30], unit_slips=[], special={99: "uncountable"})
    assert count.problem(99) is None and count.unusual(99) is None
    assert count.problem(98).code == "above_hard_limit"
    assert count.problem(3.5).code == "wrong_type"


def test_a_multiple_choice_refuses_contradictions_repeats_and_emptiness():
    sites = field(
        kind="codes", codes={"none": "None", "lung": "Lung"}, exclusive="none", hard=None, usual=None, unit_slips=[]
    )
    assert sites.problem(["lung"]) is None
    for wrong in (["none", "lung"], ["lung", "lung"], []):
        assert sites.problem(wrong).code == "malformed"
    assert sites.problem(["liver"]).code == "unknown_code"
    assert sites.problem("lung").code == "wrong_type"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"hard": None}, "size_mm: a number needs hard and usual limits"),
        ({"usual": [1, 250]}, "size_mm: the usual range must lie inside the hard range"),
        ({"kind": "category", "hard": None, "usual": None}, "size_mm: a coded field needs codes"),
        ({"known_at": "outcome"}, "size_mm: known only with the outcome"),
        ({"unti": "mm"}, "Extra inputs"),
    ],
)
def test_an_incoherent_declaration_is_refused_naming_the_entry(changes, complaint):
    with pytest.raises(ValidationError, match=complaint):
        field(**changes)

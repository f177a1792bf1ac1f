"""Conditions answer True, False or unknown, and nothing in them is executed."""

import pytest
from pydantic import ValidationError

from features.specification import parse_condition

UNKNOWN = {"ras": ("not_tested", "pending")}


def answer(condition, **facts):
    return parse_condition(condition).evaluate(facts, UNKNOWN)


def test_a_missing_input_leaves_a_comparison_unknown():
    assert answer({"fact": "age", "above": 75}, age=80) is True
    assert answer({"fact": "age", "above": 75}, age=75) is False
    assert answer({"fact": "age", "above": 75}) is None


def test_a_code_that_means_not_known_is_not_taken_for_a_value():
    assert answer({"fact": "ras", "is": "mutant"}, ras="not_tested") is None
    assert answer({"not": {"fact": "ras", "is": "mutant"}}, ras="pending") is None
    assert answer({"fact": "ras", "in": ["not_tested", "pending"]}, ras="pending") is True
    assert answer({"fact": "ras", "unknown": True}, ras="not_tested") is True
    assert answer({"fact": "ras", "unknown": True}) is True
    assert answer({"fact": "ras", "unknown": True}, ras="wt") is False


def test_one_false_part_settles_a_conjunction_and_one_true_part_a_disjunction():
    open_, no, yes = {"fact": "x", "is": 1}, {"fact": "y", "is": 1}, {"fact": "y", "is": 0}
    assert answer({"all": [open_, no]}, y=0) is False
    assert answer({"all": [open_, yes]}, y=0) is None
    assert answer({"any": [open_, yes]}, y=0) is True
    assert answer({"any": [open_, no]}, y=0) is None


def test_dates_are_compared_as_dates():
    rule = {"fact": "surgery", "before": "start"}
    assert answer(rule, surgery="2024-01-02", start="2024-01-10") is True
    assert answer(rule, surgery="2024-02-02", start="2024-01-10") is False
    assert answer(rule, surgery="2024-02-02") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"fact": "age"},
        {"fact": "age", "above": 1, "below": 2},
        {"fact": "age", "above": 1, "all": []},
        {"python": "__import__('os')"},
        {},
    ],
)
def test_a_malformed_condition_is_refused(wrong):
    with pytest.raises(ValidationError):
        parse_condition(wrong)

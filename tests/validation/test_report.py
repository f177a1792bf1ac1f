"""The report, for a person and for a program."""

import io
import json

import pytest
from rich.console import Console

from features import Problem
from validation.report import Defect, ValidationReport


def problem(field, code, severity="error", rows=(), **more):
    return Defect(field, code, severity, "It is [wrong]", "18 to 110", "Check [it]", rows=rows, **more)


@pytest.fixture
def report():
    return ValidationReport(
        200,
        (
            problem("age_years", "above_hard_limit", rows=tuple(range(7)), count=7, share=0.035, examples=("P1", "P2")),
            problem("smoking", "empty_column", count=190, share=0.95),
            problem("sex", "unusual_value", "warning", rows=(100,), count=1, share=0.005, examples=("P100",)),
            problem("patient_name", "identifying_column", columns=("Surname",)),
        ),
        ("The column x is not used.",),
        "0123",
    )


def rendered(report, width=120):
    out = io.StringIO()
    report.render(Console(file=out, width=width))
    return out.getvalue()


def test_only_errors_decide_and_only_their_rows_fail(report):
    assert not report.ok
    assert report.failing == frozenset(range(7)) and report.failing_share == 0.035
    assert {p.code for p in report.blocking} == {"empty_column", "identifying_column"}
    assert ValidationReport(10, (problem("sex", "unusual_value", "warning", rows=(1,)),)).ok


def test_the_terminal_says_where_how_many_what_is_allowed_and_what_to_do(report):
    told = rendered(report)
    for part in ("age_years", "above_hard_limit", "3.5%", "P1, P2", "and 5", "Surname", "18 to 110", "Check [it]"):
        assert part in told
    assert "Errors (3)" in told and "Warnings (1)" in told and "Note: The column x is not used." in told
    assert told.strip().endswith("Not clean: 200 rows, 7 with errors (3.5%); 3 errors, 1 warning.")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_report_fits_the_terminal(report, width):
    assert max(map(len, rendered(report, width).splitlines())) <= width


def test_json_says_the_same_without_the_positions_of_rows(report):
    told = json.loads(report.to_json())
    assert told["ok"] is False and told["rows"] == 200 and told["rows_failing"] == 7
    first = told["problems"][0]
    assert set(first) == {
        "field", "code", "severity", "count", "share", "examples", "sites", "columns", "what", "allowed", "do",
    }  # fmt: skip
    assert first["examples"] == ["P1", "P2"]


def test_what_the_reader_met_is_an_error_of_its_own_code():
    told = Defect.of_reading(Problem("sex", "duplicate_column", "sex is already read from Sex."))
    assert (told.code, told.severity, told.what) == ("duplicate_column", "error", "sex is already read from Sex")


def test_a_report_cannot_be_changed(report):
    with pytest.raises(AttributeError):
        report.problems = ()

"""The command's exit codes, and the files it writes."""

import io
import json

import pandas as pd
import pytest
from rich.console import Console

from features import Problem
from validation.command import CLEAN, REJECTED, USAGE, run_validate

COLUMNS = ["record_id", "site_id", "index_date", "age_years", "planned_backbone", "planned_biologic"]


@pytest.fixture
def run(spec):
    out = io.StringIO()

    def command(frame, **options):
        code = run_validate(frame, spec, console=Console(file=out, width=120), **options)
        return code, out.getvalue()

    return command


@pytest.fixture
def small(registry):
    return registry[COLUMNS].copy()


def test_a_clean_registry_exits_0(small, run):
    code, told = run(small)
    assert code == CLEAN == 0 and "Clean: 120 rows" in told


def test_an_error_exits_1_and_is_written_as_json(small, run, tmp_path):
    small.loc[3, "age_years"] = 7131
    code, told = run(small, json_path=tmp_path / "deep" / "report.json")
    assert code == REJECTED == 1 and "Rejected" in told
    (problem,) = json.loads((tmp_path / "deep" / "report.json").read_text())["problems"]
    assert problem["code"] == "above_hard_limit" and problem["examples"] == ["P0003"]


def test_few_failing_rows_are_set_aside_and_the_rest_goes_on(small, run, tmp_path):
    small.loc[3, "age_years"] = 7131
    code, told = run(small, quarantine=tmp_path / "bad.csv", docs=tmp_path / "docs")
    assert code == CLEAN and "119 go on" in told.replace("\n", " ")
    assert len(pd.read_csv(tmp_path / "bad.csv")) == 1
    assert (tmp_path / "docs" / "index.html").is_file()


def test_many_failing_rows_are_rejected_even_with_a_quarantine(small, run, tmp_path):
    small.loc[:9, "age_years"] = 7131
    code, told = run(small, quarantine=tmp_path / "bad.csv")
    assert code == REJECTED and "8.3% of the rows fail, and fewer than 5.0% may fail" in told
    assert len(pd.read_csv(tmp_path / "bad.csv")) == 10


def test_a_problem_of_the_file_rejects(small, run):
    reading = [Problem("sex", "duplicate_column", "sex is already read from Sex.")]
    code, told = run(small, reading=reading)
    assert code == REJECTED and "duplicate_column" in told


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_share_that_is_none_is_a_usage_error(small, run, share):
    assert run(small, max_bad_share=share)[0] == USAGE == 2


def test_a_place_that_cannot_be_written_is_a_usage_error(small, run, tmp_path):
    (tmp_path / "file").write_text("")
    code, told = run(small, json_path=tmp_path / "file" / "report.json")
    assert code == USAGE and "Name a place that can be written" in told.replace("\n", " ")

"""Rows that fail are set aside while they are few; nothing unchecked passes for checked."""

import pandas as pd
import pytest

from validation.quarantine import REASON, admit, admit_without_failing
from validation.registry import CheckedRegistry, RegistryRejected
from validation.report import Defect, ValidationReport


def defect(rows=(), code="above_hard_limit", severity="error", **more):
    return Defect("age_years", code, severity, "Age is above what is possible", "18 to 110", "Check", rows=rows, **more)


def report(*problems, rows=100):
    return ValidationReport(rows, problems)


@pytest.fixture
def frame():
    ages = pd.Series([None if i % 2 else i for i in range(100)], dtype=object)
    columns = {
        "age_years": ages,
        "record_id": [f"P{i}" for i in range(100)],
        "extrahepatic_disease": [["lung", "nodal"]] * 100,
    }
    return pd.DataFrame({**columns, "Surname": ["zz-name"] * 100})


def test_a_registry_without_errors_is_taken_whole(frame):
    checked = admit(frame, report(defect((3,), severity="warning")))
    assert len(checked.frame) == 100 and checked.set_aside == frozenset()


def test_a_registry_with_one_error_is_rejected_when_no_row_may_be_set_aside(frame):
    with pytest.raises(RegistryRejected, match="age_years: above_hard_limit"):
        admit(frame, report(defect((3,))))


def test_fewer_than_the_stated_share_are_set_aside_with_their_reasons(frame, tmp_path):
    found = report(defect((3, 7)), defect((7,), "wrong_type"), defect((9,), severity="warning"))
    checked = admit_without_failing(frame, found, tmp_path / "new" / "bad.csv")
    assert len(checked.frame) == 98 and checked.set_aside == {3, 7}
    assert list(checked.frame.index) == list(range(98))
    assert not set(checked.frame["record_id"]) & {"P3", "P7"}
    aside = pd.read_csv(tmp_path / "new" / "bad.csv")
    assert list(aside["record_id"]) == ["P3", "P7"]
    assert list(aside["age_years"].isna()) == [True, True]
    assert list(aside[REASON]) == ["age_years: above_hard_limit", "age_years: above_hard_limit; age_years: wrong_type"]
    assert list(aside["extrahepatic_disease"]) == ["lung|nodal"] * 2, "written as the reader reads it"


def test_exactly_the_stated_share_is_too_many_and_the_rows_are_written_all_the_same(frame, tmp_path):
    found = report(defect(tuple(range(5))))
    with pytest.raises(RegistryRejected, match=r"5\.0% of the rows fail, and fewer than 5\.0% may fail"):
        admit_without_failing(frame, found, tmp_path / "bad.csv", max_bad_share=0.05)
    assert len(pd.read_csv(tmp_path / "bad.csv")) == 5
    assert len(admit_without_failing(frame, found, max_bad_share=0.06).frame) == 95


def test_what_is_set_aside_is_written_as_it_was(frame, tmp_path):
    admit_without_failing(frame, report(defect((3, 4))), tmp_path / "bad.csv")
    lines = (tmp_path / "bad.csv").read_text().splitlines()
    assert lines[2] == "age_years: above_hard_limit,4,P4,lung|nodal,zz-name"


def test_an_error_of_a_column_is_not_cured_by_setting_rows_aside(frame, tmp_path):
    found = report(defect((3,)), defect((), "identifying_column", columns=("Surname",)))
    with pytest.raises(RegistryRejected, match="identifying_column"):
        admit_without_failing(frame, found, tmp_path / "bad.csv")
    assert "zz-name" not in (tmp_path / "bad.csv").read_text()


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(frame, share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        admit_without_failing(frame, report(), max_bad_share=share)


def test_a_checked_registry_cannot_be_made_around_its_report(frame):
    with pytest.raises(RegistryRejected):
        CheckedRegistry(frame, report(defect((3,))))
    with pytest.raises(RegistryRejected):
        CheckedRegistry(frame.drop(index=4), report(defect((3,))), frozenset({4}))
    with pytest.raises(ValueError, match="100 rows less 1 set aside"):
        CheckedRegistry(frame, report(defect((3,))), frozenset({3}))
    checked = CheckedRegistry(frame, report())
    with pytest.raises(AttributeError):
        checked.frame = frame.head(1)

"""Defects of columns as such, and of registries as wholes."""

import pandas as pd
import pytest

from features import Problem, Time
from validation.columns import read_columns
from validation.engine import Engine
from validation.suite import column_suite


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("MRN", "medical_record_number"),
        ("patient_mrn", "medical_record_number"),
        ("PatientName", "patient_name"),
        ("Surname", "patient_name"),
        ("date of birth", "date_of_birth"),
        ("DOB", "date_of_birth"),
    ],
)
def test_a_column_that_identifies_is_refused_under_any_of_its_names(spec, header, field):
    findings = Engine().run(column_suite(spec, Time.BASELINE), read_columns(["age_years", header], []))
    assert {(f.requirement.field, f.requirement.code) for f in findings} == {(field, "identifying_column")}


@pytest.mark.parametrize("header", ["age_years", "site name", "primary_diagnosis_date", "tumour number", "record_id"])
def test_a_column_that_does_not_identify_is_left_alone(spec, header):
    assert Engine().run(column_suite(spec, Time.BASELINE), read_columns([header], [])) == []


@pytest.fixture(scope="module")
def report(clean, validate):
    """A registry with everything wrong that concerns columns; its cells are all right."""
    frame = clean().drop(columns=["planned_biologic"])
    frame["hospital_number"] = None
    frame["smoking"] = pd.Series(["never"] + [None] * (len(frame) - 1), dtype=object)
    frame["ecog_ps"] = frame["ecog_ps"].where(frame.index % 2 == 0, None)
    frame["prim_site_old"] = 1
    frame["creatinine_clearence_ml_min"] = 1
    offered = ["age_years", "clavien_dindo_max", "flr_percent_preop", "conversion_12m", "treatment_intent", "aged"]
    reading = [Problem("sex", "duplicate_column", "sex is already read from Sex; the column gender is left out.")]
    return validate(frame, predictors=offered, reading=reading, notes=["column Sex is read as sex"])


def named(report, code):
    return {p.field: p for p in report.problems if p.code == code}


def test_an_identifying_column_is_an_error_that_names_the_column(report):
    (problem,) = named(report, "identifying_column").values()
    assert problem.columns == ("hospital_number",) and problem.severity == "error"


def test_a_predictor_known_only_later_is_refused_with_both_times(report):
    late = named(report, "post_baseline_predictor")
    assert set(late) == {"clavien_dindo_max", "flr_percent_preop", "conversion_12m"}
    assert (
        "known at outcome" in late["clavien_dindo_max"].what and "predicts at baseline" in late["conversion_12m"].what
    )
    assert "known at surgery" in late["flr_percent_preop"].what


def test_what_is_never_a_predictor_and_what_is_unknown_are_refused_too(report):
    assert set(named(report, "not_a_predictor")) == {"treatment_intent"}
    assert set(named(report, "unknown_predictor")) == {"aged"}


def test_a_required_column_that_is_absent_is_an_error(report):
    assert set(named(report, "missing_required_column")) == {"planned_biologic"}


def test_a_predictor_that_is_almost_all_missing_is_an_error_and_a_gap_far_above_the_expected_a_warning(report):
    assert named(report, "empty_column")["smoking"].severity == "error"
    gap = named(report, "missing_too_often")
    assert set(gap) == {"ecog_ps"}, "smoking is not named twice"
    assert gap["ecog_ps"].severity == "warning" and gap["ecog_ps"].count == report.rows / 2


def test_what_the_reader_met_is_reported_along(report):
    assert named(report, "duplicate_column")["sex"].severity == "error"
    assert "column Sex is read as sex" in report.notes


def test_a_column_that_is_not_in_the_specification_is_a_note_with_a_guess(report):
    unused = [note for note in report.notes if "not in the specification" in note]
    assert len(unused) == 2
    assert any("prim_site_old" in note for note in unused)
    assert any("if it is creatinine_clearance_ml_min" in note for note in unused)


def test_errors_of_columns_blame_no_rows_and_cannot_be_set_aside(report):
    assert report.failing == frozenset()
    assert {p.code for p in report.blocking} == {p.code for p in report.errors}


def test_a_later_model_may_use_what_is_known_by_then(spec):
    findings = Engine().run(column_suite(spec, Time.SURGERY), read_columns([], ["age_years", "clavien_dindo_max"]))
    assert [f.where for f in findings if f.requirement.code == "post_baseline_predictor"] == [("clavien_dindo_max",)]


def test_a_registry_without_rows_is_an_error(clean, validate):
    assert "no_rows" in {p.code for p in validate(clean().head(0)).blocking}


def test_a_column_given_twice_is_refused_by_name(registry, validate):
    with pytest.raises(ValueError, match="sex"):
        validate(pd.concat([registry, registry[["sex"]]], axis=1))

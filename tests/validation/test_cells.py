"""Defects of single cells: each is named by its own code, at its own row and nowhere else.

Great Expectations takes seconds however few the rows, so the defects share one registry, a row each.
"""

import datetime as dt
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from validation.report import ValidationReport


@dataclass(frozen=True)
class Seeded:
    """What is changed in a clean row, and the codes that must name it; the first is the defect itself."""

    what: str
    change: dict[str, Any]
    codes: tuple[str, ...]
    field: str


EARLY, LATE = dt.date(2000, 1, 1), dt.date(2030, 1, 1)
SEEDED = (
    Seeded("age_above", {"age_years": 7131}, ("above_hard_limit",), "age_years"),
    Seeded("age_below", {"age_years": 17}, ("below_hard_limit",), "age_years"),
    Seeded("unknown_code", {"sex": "zz-mal"}, ("unknown_code",), "sex"),
    Seeded(
        "unknown_code_in_a_list",
        {"extrahepatic_disease": ["lung", "zz-brain"]},
        ("unknown_code",),
        "extrahepatic_disease",
    ),
    Seeded("none_with_others", {"extrahepatic_disease": ["none", "lung"]}, ("malformed",), "extrahepatic_disease"),
    Seeded("text_for_number", {"bmi_kg_m2": "zz-twenty"}, ("wrong_type",), "bmi_kg_m2"),
    Seeded("truth_for_number", {"bmi_kg_m2": True}, ("wrong_type",), "bmi_kg_m2"),
    Seeded("infinite_number", {"bmi_kg_m2": np.inf}, ("wrong_type",), "bmi_kg_m2"),
    Seeded("fraction_for_whole_number", {"ecog_ps": 1.5}, ("wrong_type",), "ecog_ps"),
    Seeded("word_for_truth", {"bilobar": "zz-maybe"}, ("wrong_type",), "bilobar"),
    Seeded("number_for_code", {"ras_status": 1}, ("wrong_type",), "ras_status"),
    Seeded("date_out_of_calendar", {"last_contact_date": "2022-02-30"}, ("wrong_type",), "last_contact_date"),
    Seeded("date_in_another_order", {"last_contact_date": "31.12.7029"}, ("wrong_type",), "last_contact_date"),
    Seeded(
        "diameter_in_cm", {"largest_met_diameter_mm": 1.5}, ("unit_slip_suspected", "below_hard_limit"),
        "largest_met_diameter_mm",
    ),
    Seeded("albumin_in_g_dl", {"albumin_g_l": 4.1}, ("unit_slip_suspected", "below_hard_limit"), "albumin_g_l"),
    Seeded(
        "bilirubin_in_mg_dl", {"bilirubin_umol_l": 0.7}, ("unit_slip_suspected", "below_hard_limit"),
        "bilirubin_umol_l",
    ),
    Seeded("duplicated_patient", {"record_id": "P0000"}, ("duplicated_patient",), "record_id"),
    Seeded("missing_required", {"age_years": None}, ("missing_required",), "age_years"),
    Seeded("no_record_id", {"record_id": None}, ("missing_required",), "record_id"),
    Seeded("unknown_regimen", {"planned_backbone": "zz-uft"}, ("unknown_regimen",), "planned_backbone"),
    Seeded(
        "over_48_weeks", {"planned_backbone": "capox", "planned_cycles": 17}, ("planned_weeks_over_limit",),
        "planned_backbone, planned_cycles",
    ),
    Seeded(
        "surgery_before_cycle_1", {"local_treatment": "resection", "resection_date": EARLY},
        ("surgery_before_cycle_1",), "index_date, resection_date",
    ),
    Seeded(
        "death_before_surgery",
        {"local_treatment": "resection", "resection_date": LATE, "death_date": dt.date(2029, 12, 31)},
        ("death_before_surgery",), "resection_date, death_date",
    ),
    Seeded(
        "clavien_without_resection", {"local_treatment": "none", "resection_date": None, "clavien_dindo_max": "iiia"},
        ("clavien_without_resection",), "resection_date, clavien_dindo_max",
    ),
    Seeded(
        "r0_without_conversion",
        {"local_treatment": "resection", "resection_date": LATE, "all_disease_removed": False, "r_status": "r0"},
        ("r0_without_conversion",), "all_disease_removed, r_status",
    ),
)  # fmt: skip
#: Rows that stay as they are and must pass; the first shares its pseudonym with a defect.
ALLOWED = (
    {"n_liver_metastases": 99},
    {"age_years": 110, "ecog_ps": 4},
    {"age_years": 54.0},
    {"resection_date": None, "local_treatment": None, "clavien_dindo_max": None},
    {"last_contact_date": "2029-12-31"},
)


@pytest.fixture(scope="module")
def report(clean, validate) -> ValidationReport:
    frame = clean()
    # Clean of outcomes, so that a seeded one contradicts nothing but what it is meant to.
    for row, seeded in enumerate(SEEDED, start=1):
        for name in ("resection_date", "all_disease_removed", "r_status", "clavien_dindo_max"):
            frame.at[row, name] = None
        frame.at[row, "local_treatment"] = "none"
        for name, value in seeded.change.items():
            frame.at[row, name] = value
    for row, change in enumerate(ALLOWED, start=len(SEEDED) + 1):
        for name, value in change.items():
            frame.at[row, name] = value
    return validate(frame)


def codes_at(report, row):
    return {p.code for p in report.errors if row in p.rows}


@pytest.mark.parametrize(("row", "seeded"), list(enumerate(SEEDED, start=1)), ids=[s.what for s in SEEDED])
def test_a_seeded_defect_is_named_at_its_row_and_nothing_else_is(report, row, seeded):
    assert codes_at(report, row) == set(seeded.codes)


@pytest.mark.parametrize(("row", "seeded"), list(enumerate(SEEDED, start=1)), ids=[s.what for s in SEEDED])
def test_what_names_a_defect_says_what_is_allowed_and_what_to_do(report, row, seeded):
    (named,) = [p for p in report.errors if p.code == seeded.codes[0] and row in p.rows]
    assert named.field == seeded.field
    assert all((named.what, named.allowed, named.do))
    assert named.count and named.share == pytest.approx(named.count / report.rows, abs=1e-4)
    assert named.examples


def test_nothing_is_said_of_the_rows_that_are_right(report):
    ours = set(range(1, len(SEEDED) + 1))
    assert report.failing - ours == {0}, "only the row whose pseudonym a seeded one repeats"
    assert codes_at(report, 0) == {"duplicated_patient"}


@pytest.mark.parametrize(
    ("field", "unit", "factor"),
    [
        ("largest_met_diameter_mm", "cm", "10"),
        ("albumin_g_l", "g/dL", "10"),
        ("bilirubin_umol_l", "mg/dL", "17.1"),
    ],
)
def test_a_slip_names_the_unit_and_the_factor(report, field, unit, factor):
    (named,) = [p for p in report.errors if p.code == "unit_slip_suspected" and p.field == field]
    assert unit in named.what and f"{field}: {unit}" in named.do and f"multiply by {factor}" in named.do


def test_a_wrong_type_says_which_type_is_right(report):
    told = {p.field: p.what for p in report.errors if p.code == "wrong_type"}
    assert told["ras_status"].endswith("is not a code")
    assert told["bmi_kg_m2"].endswith("is not a number")
    assert told["ecog_ps"].endswith("is not a whole number")
    assert told["last_contact_date"].endswith("is not a date as YYYY-MM-DD")


def test_a_row_without_a_pseudonym_is_found_by_its_line(report):
    row = next(i for i, s in enumerate(SEEDED, start=1) if s.what == "no_record_id")
    (named,) = [p for p in report.errors if p.field == "record_id" and p.code == "missing_required"]
    assert named.examples == (f"line {row + 2}",)


def test_no_value_of_a_patient_is_reported(report):
    terminal = io.StringIO()
    report.render(Console(file=terminal, width=120))
    for told in (report.to_json(), terminal.getvalue(), repr(report)):
        for value in ("zz-", "7131", "7029", "2022-02-30", "4.1"):
            assert value not in told

"""Defects that show only in the figures of a column or of one site."""

import numpy as np
import pytest

from validation.rows import read_rows
from validation.sites import ALL, read_sites


@pytest.fixture(scope="module")
def clean_report(clean, validate):
    return validate(clean())


def test_a_clean_registry_passes_without_a_word(clean_report):
    assert clean_report.ok and clean_report.problems == () and clean_report.notes == ()


@pytest.mark.parametrize(
    ("field", "factor", "unit"),
    [
        ("largest_met_diameter_mm", 10, "cm"),
        ("albumin_g_l", 10, "g/dL"),
        ("bilirubin_umol_l", 17.1, "mg/dL"),
    ],
)
def test_a_column_in_another_unit_is_an_error_that_names_the_unit(registry, validate, found, field, factor, unit):
    registry[field] = (registry[field] / factor).astype(float).round(2).astype(object)
    slip = found(validate(registry[["record_id", "site_id", *_required(registry), field]]), "unit_slip_suspected")
    assert slip.severity == "error" and slip.field == field
    assert slip.what.endswith(f"in {unit} throughout") and slip.sites == (ALL,)
    assert slip.share is not None and slip.share > 0.9


def test_one_site_in_cm_is_named_although_its_values_are_possible(registry, validate, found):
    at = (registry["site_id"] == "S2").to_numpy()
    registry.loc[at, "largest_met_diameter_mm"] = registry.loc[at, "largest_met_diameter_mm"] / 10
    report = validate(registry[["record_id", "site_id", *_required(registry), "largest_met_diameter_mm"]])
    slip = found(report, "unit_slip_suspected")
    assert slip.sites == ("S2",)
    assert set(slip.rows) == set(np.flatnonzero(at))


def test_a_site_whose_outcome_is_all_one_value_is_a_warning(registry, validate, found):
    at = (registry["site_id"] == "S1").to_numpy()
    for name in ("resection_date", "all_disease_removed", "r_status", "clavien_dindo_max"):
        registry.loc[at, name] = None
    registry.loc[at, "local_treatment"] = "none"
    report = validate(registry)
    single = found(report, "single_valued_outcome")
    assert single.severity == "warning" and single.field == "resection_12m" and single.sites == ("S1",)
    assert single.count == at.sum()
    assert report.ok


def test_an_outcome_given_as_a_column_of_its_own_is_judged_too(registry, validate):
    registry["conversion_12m"] = np.array([i % 3 == 0 for i in range(len(registry))], dtype=object)
    registry["r0_resection_12m"] = registry["conversion_12m"]
    registry["resection_12m"] = registry["conversion_12m"]
    registry.loc[1, "r0_resection_12m"] = True
    registry.loc[4, "conversion_12m"] = "sometimes"
    report = validate(registry[["record_id", "site_id", *_required(registry), *registry.columns[-3:]]])
    assert {(p.field, p.code): p.rows for p in report.errors} == {
        ("conversion_12m, r0_resection_12m", "outcome_without_parent"): (1,),
        ("conversion_12m", "wrong_type"): (4,),
    }


def test_few_patients_are_too_few_to_tell(registry, spec):
    few = registry[registry["site_id"] == "S0"].head(4).reset_index(drop=True)
    figures = read_sites(read_rows(few, spec), spec)
    few["largest_met_diameter_mm"] = 3.0
    assert np.isnan(figures.loc["S0", "resectability_converted_mdt.share"])
    assert np.isnan(read_sites(read_rows(few, spec), spec).loc["S0", "largest_met_diameter_mm.in.cm"])


def _required(registry):
    return ["index_date", "age_years", "planned_backbone", "planned_biologic"]

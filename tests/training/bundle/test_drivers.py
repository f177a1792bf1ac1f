"""Drivers add up to the difference that they explain, whatever the model is made of."""

import numpy as np
import pytest

from features import Patients
from training.bundle.drivers import explain
from training.champion import evidence
from training.evidence import load_prior

KNOWN = {"age_years": 71, "ras_status": "mutant", "n_liver_metastases": 9, "largest_met_diameter_mm": 58}


@pytest.fixture(scope="module")
def served(spec):
    return evidence(spec, load_prior(spec)).bundle


@pytest.mark.parametrize("outcome", ["resection_12m", "conversion_12m", "r0_resection_12m", "major_complication"])
def test_drivers_add_up_to_the_difference_from_a_patient_of_whom_nothing_is_known(spec, served, outcome):
    regimen = spec.regimens.regimen("folfox", "bevacizumab")
    patient = Patients.from_records(spec, [KNOWN])
    found = explain(served, patient, regimen, outcome)
    shown = served.score(patient, [regimen]).probability[outcome][0, 0]
    assert found.probability == pytest.approx(shown, abs=1e-6)
    assert sum(d.points for d in found.drivers) == pytest.approx(found.probability - found.typical, abs=1e-9)
    assert [abs(d.points) for d in found.drivers] == sorted((abs(d.points) for d in found.drivers), reverse=True)


def test_a_patient_of_whom_nothing_is_known_has_no_drivers_and_everything_open(spec, served):
    regimen = spec.regimens.regimen("folfox", "none")
    found = explain(served, Patients(spec, 1, {}), regimen, "conversion_12m")
    assert found.drivers == () and found.probability == found.typical
    assert {"ecog_ps", "n_liver_metastases"} <= {o.field for o in found.open}


def test_more_metastases_count_against_conversion_and_what_is_known_is_not_open(spec, served):
    regimen = spec.regimens.regimen("folfox", "none")
    found = explain(served, Patients.from_records(spec, [KNOWN]), regimen, "conversion_12m")
    burden = [d.points for d in found.drivers if "n_liver_metastases" in d.fields]
    assert sum(burden) < 0
    assert not set(KNOWN) & {o.field for o in found.open}


def test_an_open_field_reaches_at_least_from_one_likely_answer_to_another(spec, served):
    regimen = spec.regimens.regimen("folfox", "none")
    patient = Patients.from_records(spec, [KNOWN])
    found = explain(served, patient, regimen, "conversion_12m")
    field = spec.fields[found.open[0].field]
    answers = [c for c in field.codes if c not in field.unknown_codes] or [True, False]
    records = [{**KNOWN, field.name: a} for a in answers] if not field.numeric else []
    if records:
        p = served.score(Patients.from_records(spec, records), [regimen]).probability["conversion_12m"][:, 0]
        assert (np.min(p), np.max(p)) == pytest.approx((found.open[0].low, found.open[0].high), abs=2e-3)

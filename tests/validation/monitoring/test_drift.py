"""Drift of inputs, regimens and predictions: found when it is there, quiet when it is not or cannot be told."""

import numpy as np
import pytest

from features import Patients, load_specification
from features.facts import patient_facts
from validation.monitoring.drift import contraindicated, input_drift, prediction_drift, regimen_mix, stability
from validation.monitoring.findings import Severity
from validation.monitoring.profile import profile
from validation.monitoring.thresholds import load_thresholds

SPEC = load_specification()
LIMITS = load_thresholds().inputs
FOLFOX, CAPOX = SPEC.regimens.regimen("folfox", "bevacizumab"), SPEC.regimens.regimen("capox", "none")
TRIPLET = SPEC.regimens.regimen("folfoxiri", "bevacizumab")


def patients(n, seed, missing=0.2, shift=0.0):
    rng = np.random.default_rng(seed)
    return Patients.from_raw(
        SPEC,
        n,
        {
            "age_years": [int(a) for a in rng.integers(40, 85, n)],
            "albumin_g_l": [None if rng.random() < missing else float(rng.normal(40 + shift, 4)) for _ in range(n)],
            "ras_status": list(rng.choice(["wt", "mutant", "not_tested"], n)),
        },
    )


@pytest.fixture(scope="module")
def reference():
    chances = {"conversion_12m": np.random.default_rng(1).beta(4, 6, 600)}
    return profile(patients(600, 1), [FOLFOX] * 400 + [CAPOX] * 200, chances)


def of(found, name):
    return next(d for d in found if d.field == name)


def test_the_same_patients_again_raise_no_alert(reference):
    alerts = 0
    for seed in range(40):
        found = input_drift(patients(120, 100 + seed), reference, LIMITS)
        alerts += any(d.severity is Severity.ALERT for d in found)
    assert alerts <= 2


def test_a_field_that_is_missing_much_more_often_is_an_alert(reference):
    albumin = of(input_drift(patients(120, 7, missing=0.5), reference, LIMITS), "albumin_g_l")
    assert albumin.missing.severity is Severity.ALERT
    assert albumin.missing.now == pytest.approx(0.5, abs=0.1)


def test_missing_less_often_is_no_drift(reference):
    albumin = of(input_drift(patients(120, 7, missing=0.0), reference, LIMITS), "albumin_g_l")
    assert albumin.missing.severity is Severity.OK


def test_a_shifted_input_is_an_alert_from_fifty_patients_and_shown_below(reference):
    many = of(input_drift(patients(150, 7, shift=6), reference, LIMITS), "albumin_g_l").shift
    few = of(input_drift(patients(30, 7, shift=6), reference, LIMITS), "albumin_g_l").shift
    assert many.severity is Severity.ALERT and many.psi > LIMITS.psi
    assert few.severity is Severity.SHOW and few.psi > LIMITS.psi
    assert many.standardised == pytest.approx(1.5, abs=0.4)


def test_the_index_agrees_with_its_formula_by_hand():
    # 0.5 and 0.5 against 0.7 and 0.3, with half a patient added to each cell of 1,000 and of 100.
    now, before = np.array([70.5, 30.5]) / 101, np.array([500.5, 500.5]) / 1001
    index, p = stability(np.array([0.5, 0.5]), 1000, np.array([70, 30]))
    assert index == pytest.approx(float(((now - before) * np.log(now / before)).sum()))
    assert p < 0.001


def test_the_index_reaches_its_chance_as_often_as_it_says():
    rng = np.random.default_rng(6)
    shares = np.full(5, 0.2)
    low = [
        stability(rng.multinomial(600, shares) / 600, 600, rng.multinomial(100, shares))[1] < 0.05 for _ in range(800)
    ]
    assert np.mean(low) == pytest.approx(0.05, abs=0.025)


def test_a_regimen_that_nobody_had_is_new_practice(reference):
    mix = regimen_mix([FOLFOX] * 80 + [CAPOX] * 34 + [TRIPLET] * 6, reference, LIMITS)
    assert {m.label: m.severity for m in mix} == {
        FOLFOX.label: Severity.OK,
        CAPOX.label: Severity.OK,
        TRIPLET.label: Severity.ALERT,
    }
    few = regimen_mix([FOLFOX] * 15 + [TRIPLET] * 5, reference, LIMITS)
    assert few[-1].severity is Severity.SHOW


def test_each_antibody_against_egfr_in_a_ras_mutant_tumour_is_counted():
    antibody = SPEC.regimens.regimen("folfox", "cetuximab")
    facts = [patient_facts(SPEC, {"age_years": 60, "ras_status": status}) for status in ("mutant", "wt", "mutant")]
    found = contraindicated(SPEC.flags, facts, [antibody] * 3, SPEC.unknown_codes, SPEC.flags.profiles[0])
    assert list(found.values()) == [2]
    assert "RAS" in next(iter(found))


def test_mean_predictions_alert_for_headline_outcomes_only(reference):
    high = {"conversion_12m": np.random.default_rng(2).beta(6, 4, 120)}
    (drift,) = prediction_drift(high, reference, LIMITS, frozenset({"conversion_12m"}))
    assert drift.z > 3 and drift.severity is Severity.ALERT
    (shown,) = prediction_drift(high, reference, LIMITS, frozenset())
    assert shown.severity is Severity.SHOW
    same = {"conversion_12m": np.random.default_rng(3).beta(4, 6, 120)}
    assert prediction_drift(same, reference, LIMITS, frozenset())[0].severity is Severity.OK

"""The one door to the evidence."""

import numpy as np
import pytest
from scipy.special import expit, logit

from features import Patients
from training.bundle import Prior

KNOWN = {"n_liver_metastases": 16, "ras_status": "wt", "braf_status": "wt", "primary_site": "sigmoid"}


def patients(spec, *records):
    return Patients.from_records(spec, list(records))


def test_without_uncertainty_the_log_odds_are_the_sum_of_the_effects(spec, case_mix, parameters_of, effects):
    certain = Prior(parameters_of(spec, case_mix, sd=0.0), spec)
    regimens = [spec.regimens.regimen("folfox", b) for b in ("none", "bevacizumab", "cetuximab")]
    log_odds = certain.log_odds(patients(spec, KNOWN), regimens, "any_complication")
    base = effects["intercept"] + effects["metastases"]
    assert log_odds[0] == pytest.approx([base, base + 0.3, base + 0.5])


def test_the_log_odds_average_the_probability_over_draws(spec, prior):
    regimens = list(spec.regimens.all())
    draws = prior.draws(patients(spec, KNOWN), regimens, "resection_12m")
    pooled = prior.log_odds(patients(spec, KNOWN), regimens, "resection_12m")
    assert pooled == pytest.approx(logit(expit(draws).mean(axis=1)))


def test_no_draw_turns_a_settled_direction_around(spec, case_mix, parameters_of):
    vague = Prior(parameters_of(spec, case_mix, sd=3.0), spec)
    column = list(vague.terms).index("metastases")
    assert vague.coefficients("resection_12m")[:, column].max() <= 0
    free = vague.coefficients("any_complication")[:, column]
    assert free.min() < 0 < free.max()


def test_an_unknown_input_is_integrated_over_and_widens_the_answer(spec, prior):
    folfox = [spec.regimens.regimen("folfox", "cetuximab")]
    known = [{**KNOWN, "ras_status": s} for s in ("wt", "mutant")]
    wild, mutant = expit(prior.draws(patients(spec, *known), folfox, "resection_12m"))[..., 0]
    untested = expit(prior.draws(patients(spec, {**KNOWN, "ras_status": "not_tested"}), folfox, "resection_12m"))[
        0, :, 0
    ]
    assert min(wild.mean(), mutant.mean()) < untested.mean() < max(wild.mean(), mutant.mean())
    assert untested.std() > min(wild.std(), mutant.std())


def test_the_received_regimen_gives_the_same_log_odds_as_the_grid(spec, prior):
    cohort = patients(spec, KNOWN, {"ras_status": "mutant"}, {})
    regimens = [spec.regimens.regimen("folfox", "bevacizumab", 8), *spec.regimens.all()[:2]]
    received = prior.received(cohort, regimens)
    for j, outcome in enumerate(spec.outcomes.names):
        grid = prior.log_odds(cohort, regimens, outcome)
        assert received[:, j] == pytest.approx(np.diag(grid))


def test_an_effect_on_an_unknown_term_is_refused_by_name(spec, parameters):
    changed = parameters.model_dump()
    changed["outcomes"][0]["coefficients"][1]["term"] = "shoe_size"
    with pytest.raises(ValueError, match="unknown term shoe_size"):
        Prior(type(parameters).model_validate(changed), spec)


def test_a_case_mix_that_leaves_an_input_open_is_refused(spec, parameters):
    changed = parameters.model_dump()
    changed["case_mix"]["fields"] = [f for f in changed["case_mix"]["fields"] if f["field"] != "n_liver_metastases"]
    with pytest.raises(ValueError, match="completes no field behind the terms metastases"):
        Prior(type(parameters).model_validate(changed), spec)


def test_completing_changes_nothing_that_is_known(spec, case_mix):
    completed = case_mix.complete(patients(spec, KNOWN), 8)
    assert set(completed["n_liver_metastases"]) == {16.0}
    assert completed.known("albumin_g_l").all()
    assert len(set(completed["albumin_g_l"])) == 8


def test_weight_and_height_make_drawing_a_body_mass_index_needless(spec, case_mix):
    completed = case_mix.complete(patients(spec, {"weight_kg": 81.0, "height_cm": 180.0}), 4)
    assert completed["body_mass_index"] == pytest.approx([25.0] * 4)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"age_years": 54, "ras_status": "mutant", "bilobar": True},
        {"weight_kg": 81.0, "height_cm": 180.0, "primary_site": "caecum", "primary_in_situ": True},
        {"ras_status": "wt", "n_liver_metastases": 99, "vascular_contact_detail": ["ivc"], "ldh_u_l": 300.0},
    ],
)
def test_a_patient_alone_is_completed_as_in_company(spec, case_mix, record):
    from training.evidence import load_prior

    evidence = load_prior(spec)
    alone, _ = evidence.design(patients(spec, record), spec.regimens.all())
    together, _ = evidence.design(patients(spec, record, {}), spec.regimens.all())
    assert np.broadcast_to(alone[0], together[0].shape) == pytest.approx(together[0])

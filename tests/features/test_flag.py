"""Flags warn, and say when they could not be checked."""

import pytest

from features import load_specification
from features.facts import patient_facts, regimen_facts

SPEC = load_specification()


def flags(profile="eu", backbone="folfox", biologic="none", cycles=None, **record):
    planned = [regimen_facts(SPEC.regimens.regimen(backbone, biologic, cycles))]
    raised = SPEC.flags.evaluate(patient_facts(SPEC, record), planned, profile, SPEC.unknown_codes)[0]
    return {(f.code, f.status): f.severity for f in raised}


def test_anti_egfr_in_ras_mutant_disease_is_contraindicated():
    assert flags(biologic="cetuximab", ras_status="mutant")[("RAS_MUT_ANTI_EGFR", "present")] == "contraindicated"
    assert ("RAS_MUT_ANTI_EGFR", "present") not in flags(biologic="bevacizumab", ras_status="mutant")


def test_a_rule_whose_input_is_missing_answers_unknown_not_silence():
    raised = flags(biologic="cetuximab")
    assert ("RAS_MUT_ANTI_EGFR", "unknown") in raised
    assert ("RAS_UNKNOWN_ANTI_EGFR", "present") in raised
    assert ("RIGHT_SIDED_ANTI_EGFR", "unknown") in raised


def test_severity_follows_the_profile():
    assert flags(profile="eu", dpyd_phenotype="not_tested")[("DPYD_NOT_TESTED", "present")] == "warning"
    assert flags(profile="us", dpyd_phenotype="not_tested")[("DPYD_NOT_TESTED", "present")] == "info"


def test_of_two_thresholds_with_one_code_the_more_serious_shows():
    assert flags(backbone="folfiri", bilirubin_umol_l=35.0)[("BILIRUBIN_IRINOTECAN", "present")] == "warning"
    assert flags(backbone="folfiri", bilirubin_umol_l=70.0)[("BILIRUBIN_IRINOTECAN", "present")] == "contraindicated"
    assert ("BILIRUBIN_IRINOTECAN", "present") not in flags(backbone="folfiri", bilirubin_umol_l=12.0)


def test_an_open_serious_rule_is_not_hidden_by_a_milder_one_of_the_same_code():
    assert flags(cycles=10)[("OXALIPLATIN_NEUROPATHY", "unknown")] == "contraindicated"


@pytest.mark.parametrize(
    ("age", "ecog", "raised"), [(76, 0, True), (75, 0, False), (72, 1, True), (60, 2, True), (60, 1, False)]
)
def test_the_triplet_warns_by_age_and_fitness_as_in_the_tribe_trial(age, ecog, raised):
    shown = flags(backbone="folfoxiri", biologic="bevacizumab", age_years=age, ecog_ps=ecog)
    assert (("TRIPLET_FITNESS", "present") in shown) is raised


def test_every_text_fits_a_card_summary():
    assert all(len(r.text) <= 140 for r in SPEC.flags.rules)


def test_many_regimens_at_once_raise_the_same_flags_as_each_alone():
    patient = patient_facts(SPEC, {"age_years": 77, "ras_status": "mutant", "platelets_10e9_l": 120.0})
    planned = [regimen_facts(r) for r in SPEC.regimens.all()]
    together = SPEC.flags.evaluate(patient, planned, "uk", SPEC.unknown_codes)
    alone = [SPEC.flags.evaluate(patient, [one], "uk", SPEC.unknown_codes)[0] for one in planned]
    assert together == alone
    assert len({tuple(f) for f in together}) > 5

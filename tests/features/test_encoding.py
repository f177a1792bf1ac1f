"""From patients and regimens to numbers."""

import numpy as np
import pytest

from features import Patients, load_specification

SPEC = load_specification()


def factor(name, **record):
    patients = Patients.from_records(SPEC, [record])
    return SPEC.encoding.patient_matrix(patients, [name])[0, 0]


def test_an_untested_marker_is_unknown_and_not_wild_type():
    for status in ("not_tested", "pending", "failed"):
        assert np.isnan(factor("ras_mutant", ras_status=status))
    assert np.isnan(factor("ras_mutant"))
    assert factor("ras_mutant", ras_status="mutant") == 1
    assert factor("ras_mutant", ras_status="wt") == 0


def test_a_known_mutation_settles_wild_type_even_when_the_other_marker_is_untested():
    assert factor("wild_type", ras_status="mutant") == 0
    assert np.isnan(factor("wild_type", ras_status="wt"))
    assert factor("wild_type", ras_status="wt", braf_status="wt") == 1


def test_uncountable_metastases_read_as_the_cap():
    assert factor("metastases", n_liver_metastases=99) == factor("metastases", n_liver_metastases=30)
    assert factor("metastases", n_liver_metastases=8) == pytest.approx(0)
    assert factor("metastases", n_liver_metastases=16) == pytest.approx(1)


def test_body_mass_index_is_taken_from_weight_and_height_when_it_is_not_recorded():
    assert factor("bmi", weight_kg=81.0, height_cm=180.0) == pytest.approx((25 - 26) / 5)
    assert factor("bmi", weight_kg=81.0, height_cm=180.0, bmi_kg_m2=31.0) == pytest.approx(1)


def test_four_cycles_of_capox_last_as_long_as_six_of_folfox():
    capox = SPEC.regimens.regimen("capox", "none", 4)
    folfox = SPEC.regimens.regimen("folfox", "none", 6)
    assert capox.planned_weeks == folfox.planned_weeks == 12
    assert SPEC.encoding.regimen_matrix([capox, folfox], ["oxaliplatin_weeks"]).tolist() == [[0.0], [0.0]]


def test_a_regimen_is_decomposed_into_drugs_and_their_interactions():
    triplet = SPEC.regimens.regimen("folfoxiri", "cetuximab", 12)
    names = ["oxaliplatin", "irinotecan", "triplet", "anti_egfr", "bevacizumab", "weeks"]
    assert SPEC.encoding.regimen_matrix([triplet], names).tolist() == [[1, 1, 1, 1, 0, 1]]


def test_a_term_is_the_product_of_its_patient_and_regimen_factor():
    patients = Patients.from_records(SPEC, [{"ras_status": "mutant"}, {"ras_status": "wt"}])
    regimens = [SPEC.regimens.regimen("folfox", b) for b in ("none", "panitumumab")]
    left, right = SPEC.encoding.term_factors(patients, regimens, ["anti_egfr_ras_mutant"])
    assert (left @ right.T).tolist() == [[0, 1], [0, 0]]


def test_a_multiple_choice_is_known_to_be_none_only_when_it_was_recorded():
    assert np.isnan(factor("extrahepatic"))
    assert factor("extrahepatic", extrahepatic_disease=["none"]) == 0
    assert factor("extrahepatic", extrahepatic_disease=["lung", "nodal"]) == 1


def test_more_than_48_weeks_are_refused_saying_how_many_cycles_fit():
    with pytest.raises(ValueError, match="for CAPOX 1 to 16 cycles of 3 weeks"):
        SPEC.regimens.regimen("capox", "none", 17)


@pytest.mark.parametrize(
    ("written", "meant"), [("XELOX", "capox"), ("mFOLFOX6", "folfox"), ("de Gramont", "fulv"), ("FOLFIRI", "folfiri")]
)
def test_import_synonyms_are_recognised(written, meant):
    assert SPEC.regimens.recognise(written, SPEC.regimens.backbones) == meant


def test_a_drug_outside_the_catalogue_is_refused_with_its_reason():
    with pytest.raises(ValueError, match=r"."):
        SPEC.regimens.recognise("UFT", SPEC.regimens.backbones)

"""What clinicians know of the regimens holds for every one of 500 simulated patients."""

import numpy as np
import pytest
from scipy.special import logit

from training.evidence.population import with_values

DOUBLETS = ["folfox", "folfiri"]
BACKBONES = ["fulv", "capox", "folfox", "folfiri", "folfoxiri"]


@pytest.mark.parametrize("oxaliplatin", ["capox", "folfox", "folfoxiri"])
def test_oxaliplatin_raises_sinusoidal_injury(patients, reported, oxaliplatin):
    without, with_it = reported(patients, ["fulv", oxaliplatin], "sinusoidal_injury").T
    assert (with_it > without).all()


@pytest.mark.parametrize("oxaliplatin", ["capox", "folfox", "folfoxiri"])
def test_bevacizumab_lowers_sinusoidal_injury_by_oxaliplatin(patients, reported, oxaliplatin):
    alone, protected = reported(patients, [oxaliplatin, f"{oxaliplatin}+bevacizumab"], "sinusoidal_injury").T
    assert (protected < alone).all()


@pytest.mark.parametrize(("without", "irinotecan"), [("fulv", "folfiri"), ("folfox", "folfoxiri")])
def test_irinotecan_raises_steatohepatitis_and_more_at_bmi_36(patients, reported, without, irinotecan):
    gains = {}
    for bmi in (22, 36):
        group = with_values(patients, {"bmi_kg_m2": bmi})
        control, exposed = reported(group, [without, irinotecan], "steatohepatitis").T
        assert (exposed > control).all()
        gains[bmi] = exposed - control, logit(exposed) - logit(control)
    assert (gains[36][0] > gains[22][0]).all()  # in percentage points
    assert (gains[36][1] > gains[22][1]).all()  # and on the scale of odds


@pytest.mark.parametrize("antibody", ["cetuximab", "panitumumab"])
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("outcome", ["resection_12m", "conversion_12m", "r0_resection_12m", "objective_response"])
def test_anti_egfr_raises_nothing_when_ras_is_mutant(patients, reported, outcome, backbone, antibody):
    mutant = with_values(patients, {"ras_status": "mutant"})
    alone, added = reported(mutant, [backbone, f"{backbone}+{antibody}"], outcome).T
    assert (added <= alone).all()


@pytest.mark.parametrize("antibody", ["cetuximab", "panitumumab"])
@pytest.mark.parametrize("backbone", DOUBLETS)
def test_anti_egfr_raises_conversion_in_wild_type_left_sided_disease(patients, reported, backbone, antibody):
    values = {"ras_status": "wt", "braf_status": "wt", "primary_site": "sigmoid"}
    alone, added = reported(with_values(patients, values), [backbone, f"{backbone}+{antibody}"], "conversion_12m").T
    assert (added > alone).all()


@pytest.mark.parametrize("backbone", DOUBLETS)
def test_anti_egfr_gains_less_on_the_right_side(patients, reported, backbone):
    gains = []
    for site in ("sigmoid", "ascending"):
        group = with_values(patients, {"ras_status": "wt", "braf_status": "wt", "primary_site": site})
        alone, added = reported(group, [backbone, f"{backbone}+cetuximab"], "conversion_12m").T
        gains.append(logit(added) - logit(alone))
    assert (gains[1] < gains[0]).all()


def test_anti_egfr_gains_little_with_capecitabine_and_less_with_a_triplet_than_with_a_doublet(patients, reported):
    values = {"ras_status": "wt", "braf_status": "wt", "primary_site": "sigmoid"}
    group = with_values(patients, values)
    gains = {}
    for backbone in ("capox", "folfox", "folfoxiri"):
        alone, added = reported(group, [backbone, f"{backbone}+cetuximab"], "conversion_12m").T
        gains[backbone] = (added - alone).mean()
    assert abs(gains["capox"]) < 0.05
    assert gains["folfoxiri"] < 0.7 * gains["folfox"]


@pytest.mark.parametrize(
    "outcome", ["resection_12m", "conversion_12m", "r0_resection_12m", "resectability_converted_mdt"]
)
def test_more_metastases_never_raise_the_chance_of_surgery(patients, reported, outcome):
    chances = [
        reported(with_values(patients, {"n_liver_metastases": n}), ["fulv", "folfoxiri+bevacizumab"], outcome)
        for n in (1, 2, 3, 5, 8, 9, 12, 20, 30, 60)
    ]
    assert (np.diff(chances, axis=0) <= 1e-12).all()


def test_more_planned_weeks_never_lower_sinusoidal_injury(patients, reported):
    chances = [
        reported(patients, [*BACKBONES, "folfox+bevacizumab"], "sinusoidal_injury", weeks)
        for weeks in (3, 6, 12, 18, 24, 36, 48)
    ]
    assert (np.diff(chances, axis=0) >= -1e-12).all()


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("fulv", "folfox"),
        ("fulv", "folfiri"),
        ("folfiri", "folfoxiri"),
        ("folfox+bevacizumab", "folfoxiri+bevacizumab"),
        ("folfiri+bevacizumab", "folfoxiri+bevacizumab"),
    ],
)
def test_more_active_chemotherapy_raises_response_and_conversion_on_average(patients, reported, lower, higher):
    for outcome in ("objective_response", "conversion_12m"):
        less, more = reported(patients, [lower, higher], outcome).mean(axis=0)
        assert more > less

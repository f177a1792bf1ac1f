"""Every patient falls into exactly one level of every group."""

from importlib.resources import files

import numpy as np
import pytest
import yaml

from features import Patients, SpecificationError
from validation.subgroups import groups, load_subgroups, parse_subgroups

RECORDS = [
    {"age_years": 69, "sex": "female", "primary_site": "caecum", "ras_status": "wt", "bmi_kg_m2": 30.0},
    {"age_years": 70, "sex": "unknown", "primary_site": "rectum", "ras_status": "mutant", "bmi_kg_m2": 29.9},
    {"age_years": 81, "sex": "male", "ras_status": "not_tested", "weight_kg": 100.0, "height_cm": 170.0},
    {"age_years": 50, "sex": "other", "msi_status": "msi_h"},
]


@pytest.fixture
def found(spec):
    regimens = [
        spec.regimens.regimen(*plan)
        for plan in (("fulv", "none"), ("capox", "panitumumab"), ("folfoxiri", "bevacizumab"), ("folfiri", "cetuximab"))
    ]
    site = np.array(["B", "A", "B", "B"])
    return groups(spec, Patients.from_records(spec, RECORDS), regimens, site)


def members(group):
    return {label: np.flatnonzero(mask).tolist() for label, mask in group.items() if mask.any()}


def test_every_patient_is_in_exactly_one_level_of_every_group(found):
    for label, levels in found.items():
        assert np.sum(list(levels.values()), axis=0).tolist() == [1, 1, 1, 1], label


def test_the_groups_of_the_model_card_are_all_there(found):
    assert list(found) == [
        "Age",
        "Sex",
        "Side of the primary",
        "RAS",
        "Microsatellite status",
        "Body mass index",
        "Regimen",
        "Site",
    ]


def test_levels_begin_at_their_bounds(found):
    assert members(found["Age"]) == {"under 70": [0, 3], "70 and over": [1, 2]}
    assert members(found["Body mass index"]) == {"under 30": [1], "30 and over": [0, 2], "not known": [3]}


def test_what_is_not_known_is_a_level_of_its_own(found):
    assert members(found["Sex"]) == {"Female": [0], "Male": [2], "Other": [3], "not known": [1]}
    assert members(found["RAS"])["not known"] == [2, 3]
    assert members(found["Side of the primary"])["not known"] == [2, 3]
    assert not found["Age"]["not known"].any()


def test_regimens_are_grouped_by_class_of_backbone_and_antibody(found):
    assert members(found["Regimen"]) == {
        "5-FU alone + no antibody": [0],
        "oxaliplatin doublet + anti-EGFR": [1],
        "triplet + bevacizumab": [2],
        "irinotecan doublet + anti-EGFR": [3],
    }


def test_every_regimen_of_the_catalogue_has_a_class_and_the_classes_are_fewer(spec):
    classes = {load_subgroups(spec).regimen.of(regimen) for regimen in spec.regimens.all()}
    assert len(classes) == 12 < len(spec.regimens.all())


def test_sites_are_levels(found):
    assert members(found["Site"]) == {"A": [1], "B": [0, 2, 3]}


def test_what_does_not_fit_the_specification_is_named_at_once(spec):
    data = yaml.safe_load((files("validation") / "subgroups.yaml").read_text("utf-8"))
    data["groups"][1]["of"] = "age_years"
    data["groups"][0]["levels"][0]["when"] = {"fact": "no_such", "above": 1}
    data["regimen"]["biologic"][1]["when"] = {"fact": "anti_egfr", "is": 1}
    with pytest.raises(SpecificationError) as refused:
        parse_subgroups(data, spec)
    for part in ("age_years is not a coded field", "no_such is not a field", "falls into 2 of", "falls into 0 of"):
        assert part in str(refused.value)

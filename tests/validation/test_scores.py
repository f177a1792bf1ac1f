"""Published risk scores are computed as published, and only where their inputs are known."""

import datetime as dt
from importlib.resources import files

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from features import Patients, SpecificationError
from validation.scores import load_scores, parse_scores

# Every input of every score, none of which earns a point but the one extra metastasis of `tumour_burden`.
LOW = {
    "primary_nodal_status": "n0",
    "synchronous": False,
    "primary_diagnosis_date": dt.date(2018, 1, 1),
    "liver_metastases_date": dt.date(2020, 1, 1),
    "n_liver_metastases": 1,
    "cea_ng_ml": 5.0,
    "largest_met_diameter_mm": 20.0,
    "ras_status": "wt",
    "extrahepatic_disease": ["none"],
}


@pytest.fixture
def points(spec):
    scores = {score.name: score for score in load_scores(spec)}

    def of(name, **changes):
        return float(scores[name].points(Patients.from_records(spec, [{**LOW, **changes}]))[0])

    return of


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"primary_nodal_status": "n_positive"}, 1),
        ({"synchronous": True}, 1),
        ({"liver_metastases_date": dt.date(2018, 12, 20)}, 1),
        ({"liver_metastases_date": dt.date(2019, 1, 5)}, 0),
        ({"n_liver_metastases": 2}, 1),
        ({"cea_ng_ml": 200.0}, 0),
        ({"cea_ng_ml": 200.1}, 1),
        ({"largest_met_diameter_mm": 50.0}, 0),
        ({"largest_met_diameter_mm": 51.0}, 1),
        ({"n_liver_metastases": 99, "cea_ng_ml": 900.0, "largest_met_diameter_mm": 80.0, "synchronous": True}, 4),
    ],
)
def test_fong_gives_a_point_for_each_of_its_five_criteria(points, changes, expected):
    assert points("fong", **changes) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"ras_status": "mutant"}, 1),
        ({"cea_ng_ml": 20.0}, 1),
        ({"primary_nodal_status": "n_positive"}, 1),
        ({"n_liver_metastases": 3}, 1),  # tumour burden 3.6
        ({"n_liver_metastases": 9}, 2),  # 9.2
        ({"n_liver_metastases": 8}, 1),  # 8.2
        ({"extrahepatic_disease": ["lung"]}, 2),
        (
            {
                "ras_status": "mutant",
                "cea_ng_ml": 20.0,
                "primary_nodal_status": "n_positive",
                "n_liver_metastases": 12,
                "extrahepatic_disease": ["lung", "nodal"],
            },
            7,
        ),
    ],
)
def test_game_gives_its_published_points(points, changes, expected):
    assert points("game", **changes) == expected


def test_the_tumour_burden_score_is_the_distance_from_none(points):
    assert points("tumour_burden", largest_met_diameter_mm=30.0, n_liver_metastases=4) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("fong", "primary_nodal_status"),
        ("fong", "cea_ng_ml"),
        ("fong", "liver_metastases_date"),
        ("tumour_burden", "n_liver_metastases"),
        ("game", "extrahepatic_disease"),
        ("game", "largest_met_diameter_mm"),
    ],
)
def test_a_score_is_not_known_without_one_of_its_inputs(points, name, missing):
    assert np.isnan(points(name, **{missing: None}))


def test_nodes_not_assessed_and_ras_not_tested_leave_a_score_unknown(points):
    assert np.isnan(points("fong", primary_nodal_status="nx"))
    assert np.isnan(points("game", ras_status="not_tested"))


def test_synchronous_metastases_settle_the_interval_without_dates(points):
    assert points("fong", synchronous=True, primary_diagnosis_date=None) == 1


def test_every_score_names_its_source_and_what_it_was_made_for(spec):
    for score in load_scores(spec):
        assert score.source.year > 1990
        assert str(score.source.year) in str(score.source)
        assert "Survival" in score.made_for
        assert score.missing


@pytest.fixture
def data():
    return yaml.safe_load((files("validation") / "scores.yaml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"when": {"fact": "no_such", "above": 1}}, "no_such is not a field"),
        ({"when": {"fact": "ras_status", "is": "cat"}}, "cat is not a code of ras_status"),
        ({"when": {"fact": "clavien_dindo_max", "is": "v"}}, "clavien_dindo_max is known only at outcome"),
    ],
)
def test_an_item_that_does_not_fit_the_specification_is_named(spec, data, change, named):
    data["scores"][0]["items"][0] |= change
    with pytest.raises(SpecificationError, match=named):
        parse_scores(data, spec)


def test_a_value_that_is_no_number_an_interval_of_no_dates_and_a_twin_are_named_at_once(spec, data):
    data["scores"][1]["value"] = "sex"
    data["intervals"][0]["from"] = "sex"
    data["scores"][2]["name"] = data["scores"][0]["name"]
    with pytest.raises(SpecificationError) as refused:
        parse_scores(data, spec)
    for part in ("sex is not a numeric field", "sex is not a date field", "declared twice"):
        assert part in str(refused.value)


def test_a_score_with_both_items_and_a_value_is_refused(spec, data):
    data["scores"][0]["value"] = data["scores"][1]["value"]
    with pytest.raises(ValidationError, match="either items or a value"):
        parse_scores(data, spec)

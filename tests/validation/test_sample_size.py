"""Riley's criteria say how many patients a model needs."""

import json
from pathlib import Path

import pytest

from validation.sample_size import CRITERIA, cox_snell_from_c, required, verdict

GOLDEN = json.loads((Path(__file__).parent / "golden" / "sample_size.json").read_text("utf-8"))


def named(case):
    return f"{case['prevalence']}-{case['c_statistic']}-{case['parameters']}"


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=named)
def test_each_criterion_agrees_with_pmsampsize(case):
    found = required(case["prevalence"], None, case["parameters"], cox_snell=case["cox_snell"])
    assert found.criteria == {name: case[name] for name in CRITERIA}
    assert found.n == case["n"]
    assert found.events_per_parameter == pytest.approx(case["events_per_parameter"], abs=0.005)
    assert found.max_cox_snell == pytest.approx(case["max_cox_snell"], abs=1e-6)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=named)
def test_the_integral_gives_the_r2_that_pmsampsize_simulates(case):
    found, _ = cox_snell_from_c(case["c_statistic"], case["prevalence"])
    # Half a unit of its fourth decimal, and three standard errors of its simulation.
    assert found == pytest.approx(case["cox_snell"], abs=5e-5 + 0.012 * case["cox_snell"])


@pytest.mark.parametrize("case", GOLDEN["domain_5_4"], ids=named)
def test_the_table_of_the_domain_brief_is_met_within_its_simulation_error(case):
    found = required(case["prevalence"], case["c_statistic"], case["parameters"])
    assert found.n == pytest.approx(case["n"], rel=0.05)
    assert found.events == pytest.approx(case["events"], rel=0.05)
    assert found.binding == "shrinkage"


def test_with_few_strong_predictors_the_overall_risk_binds():
    assert required(0.5, 0.8, 3).binding == "overall_risk"


def test_more_parameters_and_weaker_predictors_need_more_patients():
    assert required(0.2, 0.7, 20).n > required(0.2, 0.7, 10).n
    assert required(0.2, 0.65, 10).n > required(0.2, 0.7, 10).n


def test_a_registry_below_the_need_is_called_underpowered_and_one_above_is_not():
    assert verdict(1442, 577, 0.70, 20).label == "underpowered"
    assert verdict(1460, 584, 0.70, 20).label == "sufficient"
    assert "1,44" in verdict(500, 200, 0.70, 20).text


@pytest.mark.parametrize(("patients", "events", "c"), [(100, 0, 0.7), (100, 100, 0.7), (100, 20, None), (100, 20, 0.5)])
def test_where_nothing_can_be_worked_out_the_verdict_says_so(patients, events, c):
    found = verdict(patients, events, c, 10)
    assert found.label == "not judged"
    assert found.needed is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((0.0, 0.7, 5), "prevalence"), ((0.2, 0.5, 5), "C statistic"), ((0.2, 0.7, 0), "parameters")],
)
def test_an_impossible_question_is_refused_by_name(arguments, named):
    with pytest.raises(ValueError, match=named):
        required(*arguments)
    with pytest.raises(ValueError, match="Cox-Snell"):
        required(0.2, None, 5, cox_snell=0.9)

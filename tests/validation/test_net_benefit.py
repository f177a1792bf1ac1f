"""Net benefit agrees with dcurves, and decisions are held to the specification."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from validation.decision import Decision, Decisions, load_decisions
from validation.net_benefit import net_benefit, treat_all

GOLDEN = Path(__file__).parent / "golden"
PATIENTS = pd.read_csv(GOLDEN / "patients.csv")
CURVES = json.loads((GOLDEN / "net_benefit.json").read_text("utf-8"))
Y = PATIENTS["y"].to_numpy(float)
THRESHOLDS = np.array(CURVES["thresholds"])


def decision(**changes):
    usual = {
        "outcome": "conversion_12m",
        "decision": "Put on the pathway",
        "low": 0.05,
        "high": 0.3,
        "harm": "at {threshold} accept {patients} in vain",
        "source": "DOMAIN 5.3",
    }
    return Decision(**{**usual, **changes})


@pytest.mark.parametrize("model", ["a", "b"])
def test_net_benefit_is_what_another_implementation_gives(model):
    found = net_benefit(Y, PATIENTS[model].to_numpy(), THRESHOLDS)
    assert found == pytest.approx(CURVES["net_benefit"][model], abs=1e-9), CURVES["by"]


def test_acting_on_everyone_is_what_another_implementation_gives():
    assert treat_all(Y, THRESHOLDS) == pytest.approx(CURVES["net_benefit"]["all"], abs=1e-9), CURVES["by"]


def test_acting_on_no_one_has_no_net_benefit():
    assert (net_benefit(Y, np.zeros(500), THRESHOLDS) == 0).all()


@pytest.mark.parametrize(
    ("outcome", "low", "high"),
    [
        ("conversion_12m", 0.05, 0.30),
        ("major_complication", 0.10, 0.35),
        ("phlf_bc", 0.03, 0.15),
        ("mortality_90d", 0.01, 0.08),
    ],
)
def test_thresholds_span_the_sensible_range(spec, outcome, low, high):
    found = load_decisions(spec).on(outcome)
    assert (found.thresholds[0], found.thresholds[-1]) == (low, high)
    assert found.thresholds[found.middle] == pytest.approx((low + high) / 2)


def test_every_headline_outcome_informs_a_decision(spec):
    decisions = load_decisions(spec)
    assert all(decisions.on(o.name) is not None for o in spec.outcomes.outcomes if o.headline)


def test_an_outcome_without_a_decision_has_none(spec):
    assert load_decisions(spec).on("steatosis") is None


def test_the_harm_is_said_in_words(spec):
    words = load_decisions(spec).on("major_complication").words(0.2)
    assert words == "at 20% you accept optimising 4 patients without a complication for each one with"


def test_a_decision_on_an_unknown_outcome_is_named(spec):
    with pytest.raises(
        ValueError, match=r"decisions\.yaml: survival_5y is not an outcome; known are objective_response"
    ):
        Decisions(decisions=(decision(outcome="survival_5y"),)).check(spec)


def test_two_decisions_on_one_outcome_are_named(spec):
    with pytest.raises(ValueError, match="conversion_12m is declared twice"):
        Decisions(decisions=(decision(), decision())).check(spec)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": 0.4}, "low 0.4 must be below high 0.3"),
        ({"harm": "some harm"}, "harm must hold {threshold} and {patients}"),
        ({"high": 1.0}, "less than 1"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(changes, words):
    with pytest.raises(ValidationError) as refused:
        decision(**changes)
    assert words in str(refused.value)

"""What an explanation says of each input: its own value, and of what is not known where its part comes from."""

import pytest

from features import load_specification
from serving.explanation import Explainer
from training.bundle.drivers import Driver, Drivers
from training.champion import evidence
from training.evidence import load_prior

REGIMEN = {"backbone": "folfox", "biologic": "cetuximab"}


@pytest.fixture(scope="module")
def told():
    """Values of the drivers, by label."""
    spec = load_specification()
    explainer = Explainer(evidence(spec, load_prior(spec)).bundle, spec)

    def ask(**patient):
        explained = explainer.explain({"patient": {"age_years": 61, **patient}, "regimen": REGIMEN})
        return {driver["label"]: driver["value"] for driver in explained["drivers"]}

    return ask


@pytest.mark.parametrize(
    ("entered", "shown"),
    [(23456.7, "23456.7 ng/mL"), (100000.0, "100000 ng/mL"), (0.05, "0.05 ng/mL"), (35.0, "35 ng/mL")],
)
def test_a_number_is_told_as_it_was_entered(told, entered, shown):
    assert told(cea_ng_ml=entered)["CEA"] == shown


def test_a_derived_number_has_four_digits_and_never_an_exponent(told):
    assert told(ldh_u_l=20000.0, ldh_uln_u_l=245.0)["LDH over its upper limit of normal"] == "81.63"
    values = told(ast_u_l=10000.0, platelets_10e9_l=5.0, ldh_u_l=20000.0, ldh_uln_u_l=80.0)
    assert not [value for value in values.values() if "e+" in value]


def test_of_a_derived_value_the_input_that_is_missing_is_named_and_the_entered_one_told(told):
    value = told(ldh_u_l=12345.0)["LDH over its upper limit of normal"]
    assert value == "LDH 12345 U/L; upper limit of normal of LDH not known"


def test_what_is_not_known_and_yet_moves_the_estimate_says_from_what_it_is_inferred(told):
    for unknown in ({}, {"braf_status": "not_tested"}):
        values = told(ras_status="mutant", **unknown)
        assert values["RAS (KRAS and NRAS)"] == "Mutant"
        assert values["BRAF"] == "not known, chances inferred from RAS (KRAS and NRAS)"
        assert values["RAS (KRAS and NRAS) and BRAF"] == "Mutant; not known, chances inferred from RAS (KRAS and NRAS)"


def test_no_driver_is_not_known_and_nothing_else(told):
    values = told(ras_status="mutant", bilobar=True, synchronous=False, ldh_u_l=300.0, weight_kg=120.0, ast_u_l=90.0)
    assert "not known" not in values.values()


def test_an_input_of_which_nothing_tells_and_that_a_model_weighs_all_the_same_is_no_finding(told, monkeypatch):
    found = Drivers(typical=0.3, probability=0.32, drivers=(Driver(("msi_status",), 0.02),), open=())
    monkeypatch.setattr("serving.explanation.explain", lambda *_: found)
    assert told() == {"Microsatellite status": "not known, weighed by the other inputs"}

"""What is found out about a bundle: sound answers, settled orderings, coverage; and what spoils each."""

from dataclasses import replace

import numpy as np
import pytest

from training.bundle import Bundle, Manifest, OutcomeModel, TrainedOn, save_bundle
from training.bundle.support import Support
from training.checks import GROUPS, check_bundle, check_folder, coverage, orderings, smoke, smoke_panel
from validation.gates import GateFacts

HEADLINE = ("resection_12m", "conversion_12m", "major_complication")


class Moved:
    """A learned model that adds to the prior's log-odds what a function of the patients says."""

    def __init__(self, add):
        self.add = add

    def log_odds(self, patients, regimens, base_margin):
        return base_margin + np.reshape(self.add(patients), (-1, 1))


@pytest.fixture(scope="module")
def manifest(spec):
    return Manifest(
        name="resecta",
        learner="evidence",
        created="2026-01-01",
        code_version="test",
        spec_digest=spec.digest,
        trained_on=TrainedOn(kind="evidence", text="Published evidence", data_digest="0" * 64),
        outcomes=tuple(OutcomeModel(outcome=n, learner="evidence") for n in spec.outcomes.names),
    )


@pytest.fixture(scope="module")
def bundle(manifest, prior, spec):
    return Bundle(manifest, prior, spec)


@pytest.fixture(scope="module")
def moved(manifest, prior, spec):
    return lambda **adds: Bundle(manifest, prior, spec, {name: Moved(add) for name, add in adds.items()})


@pytest.fixture(scope="module")
def panel(bundle, spec):
    return smoke_panel(bundle, spec, 24)


def test_the_evidence_gives_sound_answers_and_keeps_every_settled_ordering(bundle, spec):
    facts = check_bundle(bundle, spec)
    assert (facts.loads.value, facts.spec_digest.value, facts.smoke.value) == (1.0, 1.0, 1.0)
    settled = {f"{o.name}/{factor}" for o in spec.outcomes.outcomes for factor in o.settled}
    assert settled and set(facts.orderings) == settled
    assert {f.value for f in facts.orderings.values()} == {1.0}


def test_facts_survive_json(bundle, spec, panel):
    facts = GateFacts(model="evidence", smoke=smoke(bundle, panel), orderings=orderings(bundle, panel))
    assert GateFacts.model_validate_json(facts.model_dump_json()) == facts


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_an_answer_that_is_no_probability_is_found(moved, panel, broken):
    some = np.where(np.arange(24) < 6, broken, 0.0)
    figure = smoke(moved(resection_12m=lambda patients: some), panel)
    assert figure.value == pytest.approx(18 / 24)
    assert "120 of 480 answers are not sound" in figure.reason


def test_a_model_that_turns_a_settled_ordering_round_is_found_and_only_there(moved, panel):
    turned = orderings(moved(phlf_bc=lambda patients: 0.3 * patients["flr_percent"]), panel)
    assert turned["phlf_bc/flr"].value < 0.5
    assert {figure.value for name, figure in turned.items() if name != "phlf_bc/flr"} == {1.0}


def test_an_ordering_turned_round_for_some_patients_is_found_for_those(moved, panel):
    def add(patients):
        return np.where(patients["sex"] == 0, -0.5 * patients["bmi_kg_m2"], 0.0)

    figure = orderings(moved(steatosis=add), panel)["steatosis/bmi"]
    assert figure.value == pytest.approx(float((panel["sex"] != 0).mean()), abs=1e-9)


def test_a_bundle_with_a_changed_file_or_another_specification_has_facts_that_pass_no_gate(
    manifest, prior, spec, tmp_path
):
    save_bundle(tmp_path / "a", manifest, prior.parameters, spec, Support())
    assert check_folder(tmp_path / "a", spec).loads.value == 1.0
    (tmp_path / "a" / "support.json").write_text("{}", "utf-8")
    spoilt = check_folder(tmp_path / "a", spec)
    assert spoilt.loads.value == 0.0 and "support.json was changed" in spoilt.loads.reason
    assert spoilt.smoke.value is None
    other = manifest.model_copy(update={"spec_digest": "another"})
    save_bundle(tmp_path / "b", other, prior.parameters, spec, Support())
    assert check_folder(tmp_path / "b", spec).spec_digest.value == 0.0


@pytest.fixture(scope="module")
def as_the_bundle_says(bundle, cohort, spec):
    """The same patients with the outcomes that the bundle expects of them."""
    rng = np.random.default_rng(2)
    within = 1 / (1 + np.exp(-bundle.prior.received(cohort.patients, cohort.regimens)))
    outcomes = {}
    for name, p in zip(spec.outcomes.names, within.T, strict=True):
        happened = (rng.random(len(p)) < p).astype(float)
        parent, given = spec.outcomes[name].within, spec.outcomes[name].given
        if parent is not None:
            happened *= np.nan_to_num(outcomes[parent])
        outcomes[name] = happened if given is None else np.where(outcomes[given] == 1, happened, np.nan)
    return replace(cohort, outcomes=outcomes)


def test_events_as_predicted_come_within_the_intervals_and_half_as_many_do_not(bundle, moved, as_the_bundle_says):
    sound = coverage(bundle, as_the_bundle_says)
    assert set(sound) == set(HEADLINE)
    assert all(figure.value >= 0.9 for figure in sound.values())
    off = moved(resection_12m=lambda patients: np.full(patients.n, 3.0))
    wrong = coverage(off, as_the_bundle_says)["resection_12m"]
    assert wrong.value <= 0.5
    assert f"of {GROUPS} groups" in wrong.reason


def test_too_few_patients_give_a_reason_in_place_of_a_coverage(bundle, cohort):
    few = coverage(bundle, cohort.take(np.arange(60)))
    assert {f.value for f in few.values()} == {None}
    assert all("100 are needed" in f.reason for f in few.values())

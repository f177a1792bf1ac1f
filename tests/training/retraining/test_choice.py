"""What is done with a registry, against which champion."""

from dataclasses import replace

import numpy as np
import pytest

from training.bundle import Bundle, TrainedOn
from training.champion import Champion, evidence
from training.closed_cohort import newest_date
from training.evidence import load_prior
from training.registry import build_cohort, read_registry
from training.retraining.choice import Size, Update, choose_update, closed_patients, refitted
from training.retraining.recalibrated import crossfitted
from training.simulator import simulate, write_registry


@pytest.fixture(scope="module")
def frame(spec, tmp_path_factory):
    path = tmp_path_factory.mktemp("choice") / "registry.csv"
    write_registry(simulate(spec, patients=1500, seed=21, sites=3)[0], path)
    return read_registry(path, spec).frame


@pytest.fixture(scope="module")
def cohort(frame, spec):
    return build_cohort(frame, spec)


@pytest.fixture(scope="module")
def as_of(frame, spec):
    return newest_date(frame, spec)


@pytest.fixture(scope="module")
def fresh(spec):
    return evidence(spec, load_prior(spec))


def learned(champion: Champion, patients: int, kind: str = "registry", learner: str = "xgboost_prior") -> Champion:
    """The evidence, said to have learned from patients who began before 2012."""
    data = TrainedOn(
        kind=kind,
        text="a ward",
        patients=patients,
        sites=2,
        first_date="2010-01-01",
        last_date="2011-12-31",
        data_digest="0",
    )
    bundle = champion.bundle
    manifest = bundle.manifest.model_copy(update={"trained_on": data, "learner": learner})
    return Champion("7", Bundle(manifest, bundle.prior, bundle.spec), None)


def choose(champion, cohort, as_of, spec, update=Update.AUTO, simulated=False):
    return choose_update(champion, cohort, simulated, as_of, update, spec)


def test_a_champion_that_learned_from_no_patient_gives_way_to_a_full_selection(fresh, cohort, as_of, spec):
    found = choose(fresh, cohort, as_of, spec)
    assert found.size is Size.FULL
    assert found.learners == ()
    assert "learned from no patient" in found.reason


def test_simulated_patients_count_as_none_where_the_registry_is_real(fresh, cohort, as_of, spec):
    champion = learned(fresh, 1400, kind="simulated")
    assert choose(champion, cohort, as_of, spec, simulated=False).size is Size.FULL
    assert choose(champion, cohort, as_of, spec, simulated=True).size is not Size.FULL


def test_a_champion_that_cannot_be_read_gives_way_to_a_full_selection(cohort, as_of, spec):
    found = choose(None, cohort, as_of, spec)
    assert found.size is Size.FULL and "cannot be read" in found.reason


def test_too_few_events_for_anything_do_nothing_and_name_the_events(fresh, cohort, as_of, spec):
    for update in Update:
        found = choose(fresh, cohort.take(np.arange(15)), as_of, spec, update)
        assert found.size is Size.NOTHING
        assert all(o.step == "evidence" and o.reason for o in found.outcomes)


def test_twice_the_patients_ask_for_a_refit_of_the_champions_learner(fresh, cohort, as_of, spec):
    count = closed_patients(cohort, as_of, spec)
    found = choose(learned(fresh, count // 2), cohort, as_of, spec)
    assert found.size is Size.REFIT
    assert found.learners == ("evidence", "xgboost_prior")
    assert "at least twice" in found.reason
    assert "at least twice" not in choose(learned(fresh, count // 2 + 1), cohort, as_of, spec).reason


@pytest.mark.parametrize(("learner", "wanted"), [("logistic", "logistic"), ("evidence", "xgboost_prior")])
def test_a_refit_is_of_the_champions_learner_or_of_the_update_of_the_evidence(fresh, learner, wanted):
    assert refitted(learned(fresh, 100, learner=learner)) == ("evidence", wanted)


def test_patients_whom_the_champion_foretells_are_left_at_that(fresh, cohort, as_of, spec):
    found = choose(learned(fresh, 1400), foretold(fresh, cohort, 0.0), as_of, spec)
    assert found.size is Size.NOTHING, found.outcomes
    assert {o.step for o in found.outcomes} == {"nothing"}
    assert all("closed patients" in o.reason for o in found.outcomes)


def test_a_shift_of_one_outcome_asks_for_its_intercept_and_says_so(fresh, cohort, as_of, spec):
    found = choose(learned(fresh, 1400), foretold(fresh, cohort, -0.8), as_of, spec)
    assert found.size is Size.RECALIBRATION, found.outcomes
    steps = {o.outcome: o.step for o in found.outcomes}
    shifted = [n for n in spec.outcomes.names if spec.outcomes[n].within is None and n == _primary(spec)]
    assert [n for n, step in steps.items() if step != "nothing"] == shifted
    assert found.decision.chosen[shifted[0]].intercept == pytest.approx(-0.8, abs=0.25)


def test_what_is_asked_for_sets_a_limit_to_what_is_tested_for(fresh, cohort, as_of, spec):
    found = choose(learned(fresh, 1400), foretold(fresh, cohort, -0.8), as_of, spec, Update.INTERCEPT)
    assert found.size is Size.RECALIBRATION
    assert {o.step for o in found.outcomes} == {"nothing", "intercept"}
    assert "was not asked for" in found.outcomes[0].reason and "1000000000" not in str(found.outcomes)


def test_a_recalibration_is_judged_by_fits_that_had_no_part_of_the_patient(fresh, cohort, as_of, spec):
    name = _primary(spec)
    choice = choose(learned(fresh, 1400), foretold(fresh, cohort, -0.8), as_of, spec)
    before = crossfitted(choice.decision, cohort)[name]
    first = np.argsort(cohort.index_date, kind="stable")[:150]
    outcomes = {k: v.copy() for k, v in cohort.outcomes.items()}
    outcomes[name][first] = 1.0
    changed = crossfitted(choice.decision, replace(cohort, outcomes=outcomes))[name]
    assert changed[first] == pytest.approx(before[first]), "their own outcomes had a part"
    assert not np.allclose(np.delete(changed, first), np.delete(before, first))


def _primary(spec):
    return next(o.name for o in spec.outcomes.outcomes if o.within is None and o.headline)


def foretold(champion, cohort, shift):
    """The same patients with outcomes drawn from the champion, one of them with its log-odds shifted."""
    from scipy.special import expit

    from training.champion import predict

    spec, rng = cohort.spec, np.random.default_rng(8)
    log_odds = predict(champion.bundle, cohort).log_odds
    drawn: dict[str, np.ndarray] = {}
    for outcome in spec.outcomes.outcomes:
        p = expit(log_odds[outcome.name] + (shift if outcome.name == _primary(spec) else 0.0))
        y = (rng.random(len(cohort)) < p).astype(float)
        if outcome.within is not None:
            parent = drawn[outcome.within]
            y = np.where(parent == 1, y, np.where(np.isnan(parent), np.nan, 0.0))
        if outcome.given is not None:
            y = np.where(drawn[outcome.given] == 1, y, np.nan)
        drawn[outcome.name] = np.where(np.isnan(cohort.outcomes[outcome.name]) & (outcome.within is None), np.nan, y)
    return replace(cohort, outcomes=drawn).take(np.arange(len(cohort)))

"""Challengers made worse on purpose are each stopped by a named gate, and a sound refit is not."""

import pytest

from benchmarks import promotion
from benchmarks.promotion import FAULTS, decide, hospital, stopped_by
from features import Part
from training.checks import check_bundle

SEED = 101
# The gate that speaks of the fault itself; others may stop it too.
NAMED = {
    "labels shuffled": "log_loss",
    "leaking column": "leakage",
    "surgery 0.7 too low": "calibration_intercept",
    "too low from 70 years": "subgroup_log_loss",
}


@pytest.fixture(scope="module")
def network():
    return hospital(SEED, every_outcome=False)


@pytest.fixture(scope="module")
def facts(network):
    return check_bundle(network.sound, network.spec)


@pytest.fixture
def checked_once(facts, monkeypatch):
    # What is found without outcomes is the subject of test_checks.py, and takes as long as all the rest.
    monkeypatch.setattr(promotion, "check_bundle", lambda bundle, spec: facts)


def failed(verdicts):
    return {v.gate for v in verdicts if not v.passed}


@pytest.mark.parametrize("fault", sorted(NAMED))
def test_a_fault_is_stopped_by_the_gate_that_is_meant_for_it(network, checked_once, fault):
    surgery = network.spec.outcomes.part(Part.RESECTION).name
    assert f"{surgery}/{NAMED[fault]}" in failed(FAULTS[fault](network))


def test_a_sound_refit_on_twice_the_patients_passes_every_gate(network, checked_once):
    verdicts = decide(network, network.sound)
    assert not stopped_by(verdicts)
    assert len(verdicts) > 30


@pytest.mark.slow
def test_every_fault_is_stopped_and_sound_refits_are_promoted_in_at_least_eight_of_ten_hospitals():
    promoted = 0
    for seed in range(100, 110):
        here = hospital(seed)
        promoted += not stopped_by(decide(here, here.sound))
        if seed == SEED:
            for name, fault in FAULTS.items():
                assert failed(fault(here)), name
    assert promoted >= 8

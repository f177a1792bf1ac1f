"""Each gate stops its own fault."""

import pytest

from validation.discrimination import Metric
from validation.gates import judge, load_gates

HEADLINE = {"log_loss": 0.5, "auroc": 0.7, "calibration_slope": 1.0, "calibration_intercept": 0.0}


def figures(**changes):
    return {"o": {k: Metric(v) if v is not None else Metric(None, "why") for k, v in {**HEADLINE, **changes}.items()}}


def failed(**changes):
    return {v.gate for v in judge(load_gates(), figures(**changes), figures()) if not v.passed}


def test_a_sound_model_passes_every_gate():
    assert failed() == set()


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"log_loss": 0.51}, "o/log_loss"),
        ({"calibration_slope": 0.5}, "o/calibration_slope"),
        ({"calibration_intercept": 0.7}, "o/calibration_intercept"),
        ({"auroc": 0.95}, "o/auroc_leakage"),
        ({"calibration_slope": None}, "o/calibration_slope"),
        ({"log_loss": None}, "o/log_loss"),
    ],
)
def test_each_fault_is_stopped_by_its_own_gate_and_none_never_passes(changes, gate):
    assert failed(**changes) == {gate}

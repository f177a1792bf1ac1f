"""The champion moves by gates or by an explicit permission, and the decision is written down."""

import pytest

from training.promotion import PromotionRefused, promote
from training.registration import alias_version
from training.store import CHAMPION, MODEL, PREVIOUS
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


def test_a_simulated_model_is_refused_without_permission_and_the_champion_stays(challenger, store, spec):
    before = alias_version(store, CHAMPION)
    with pytest.raises(PromotionRefused, match="--allow-simulated"):
        promote(store, spec, challenger.version, False, "tester", "try")
    assert alias_version(store, CHAMPION) == before


def test_a_permitted_promotion_moves_the_aliases_and_records_who_and_why(challenger, champion, store, spec):
    done = promote(store, spec, challenger.version, True, "Dr Example", "demonstration")
    try:
        assert alias_version(store, CHAMPION) == challenger.version
        assert alias_version(store, PREVIOUS) == champion.version == done.replaced
        tags = store.open().get_model_version(MODEL, challenger.version).tags
        assert "by Dr Example: demonstration" in tags["decision"]
    finally:
        promote(store, spec, champion.version, False, "tester", "restore")
    assert alias_version(store, CHAMPION) == champion.version


def test_a_model_from_a_real_registry_is_judged_by_gates_whose_figures_are_kept(as_if_real, champion, store, spec):
    try:
        promote(store, spec, as_if_real.version, False, "tester", "gates")
    except PromotionRefused as refused:
        assert "gates not passed" in str(refused)
    finally:
        promote(store, spec, champion.version, False, "tester", "restore")
    tags = store.open().get_model_version(MODEL, as_if_real.version).tags
    assert any(k.startswith("gate.resection_12m.") for k in tags)

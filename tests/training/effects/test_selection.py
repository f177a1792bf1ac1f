import numpy as np
import pytest

from training.effects.compared import Adjusted
from training.effects.declared import Selection
from training.effects.selection import net_benefit
from validation.aipw import weighted_mean

DECISION = Selection(contrast="any", decision="Choose the first arm", points=(3, 15))


def trial(effect, noise=0.0, weight=None):
    """Scores of patients whose true effects are given, as a trial of everyone under both arms would have them."""
    n = len(effect)
    rng = np.random.default_rng(1)
    nothing = weighted_mean(np.zeros(n), np.ones(n))
    return Adjusted(
        *[nothing] * 6,
        either=np.arange(n),
        kept=np.arange(n),
        first_scores=0.4 + effect + noise * rng.standard_normal(n),
        second_scores=np.full(n, 0.4),
        weight=np.ones(n) if weight is None else weight,
    )


def test_net_benefit_is_the_gain_of_the_chosen_less_the_threshold_for_each():
    effect = np.array([0.20, 0.10, -0.10, 0.0])
    curve = net_benefit(DECISION, "any", trial(effect), gain=effect)
    at = dict(zip(np.round(100 * np.array(curve.thresholds)).astype(int).tolist(), curve.net_benefit, strict=True))
    assert at[5] == pytest.approx((0.15 + 0.05) / 4)
    assert at[12] == pytest.approx(0.08 / 4)
    assert curve.treat_all[0] == pytest.approx(0.05 - 0.03)


def test_choosing_everyone_equals_treating_all_and_no_one_gains_nothing():
    effect = np.linspace(-0.1, 0.3, 50)
    everyone = net_benefit(DECISION, "any", trial(effect), gain=np.full(50, 1.0))
    assert everyone.net_benefit == pytest.approx(everyone.treat_all)
    no_one = net_benefit(DECISION, "any", trial(effect), gain=np.full(50, -1.0))
    assert set(no_one.net_benefit) == {0.0}


def test_choosing_by_the_true_gain_is_never_worse_than_all_or_none():
    effect = np.random.default_rng(2).normal(0.08, 0.08, 4000)
    curve = net_benefit(DECISION, "any", trial(effect), gain=effect)
    for value, everyone in zip(curve.net_benefit, curve.treat_all, strict=True):
        assert value >= max(everyone, 0.0) - 1e-12


def test_the_interval_has_the_width_of_the_standard_error():
    effect = np.full(900, 0.10)
    curve = net_benefit(DECISION, "any", trial(effect, noise=1.0), gain=np.full(900, 1.0))
    width = curve.high[0] - curve.low[0]
    assert width == pytest.approx(2 * 1.96 / 30, rel=0.15)


def test_patients_without_a_prediction_are_left_out():
    effect = np.array([0.2, 0.2, 0.9])
    gain = np.array([0.2, 0.2, np.nan])
    curve = net_benefit(DECISION, "any", trial(effect), gain)
    assert curve.patients == 2
    assert curve.net_benefit[0] == pytest.approx(0.17)

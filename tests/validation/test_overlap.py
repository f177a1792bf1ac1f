import numpy as np
import pytest

from validation.overlap import diagnose, effective_size, standardised_differences, within

LABELS = ("the new", "the old")


def judged(chance, seed=6, covariate=None, names=("age",)):
    rng = np.random.default_rng(seed)
    first = rng.random(len(chance)) < chance
    covariate = chance[:, None] if covariate is None else covariate
    return diagnose(covariate, names, first, ~first, chance, 1 - chance, LABELS)


def test_equal_weights_weigh_as_many_as_they_are():
    assert effective_size(np.full(40, 3.0)) == pytest.approx(40)
    assert effective_size(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_size(np.zeros(3)) == 0


def test_a_standardised_difference_is_in_standard_deviations():
    rng = np.random.default_rng(7)
    first = np.arange(20_000) < 10_000
    values = rng.standard_normal((20_000, 1)) * 4 + 2 * first[:, None]
    assert standardised_differences(values, first, ~first, np.ones(20_000))[0] == pytest.approx(0.5, abs=0.03)


def test_weighting_balances_what_decided_the_choice():
    x = np.random.default_rng(8).standard_normal(6000)
    found = judged(1 / (1 + np.exp(-0.7 * x)), covariate=x[:, None])
    assert found.worst_before > 0.5
    assert found.worst_weighted < 0.1
    assert found.worst_overlap_weighted < 0.1
    assert found.estimable
    assert "balanced" in found.verdict


def test_patients_are_compared_who_could_have_received_either_arm():
    first = np.array([0.02, 0.05, 0.5, 0.95, 0.97])
    assert within(first, 1 - first).tolist() == [False, True, True, True, False]
    # With three arms, a small chance of either is enough to leave a patient out.
    assert within(np.array([0.5]), np.array([0.01])).tolist() == [False]


def test_too_few_patients_in_an_arm_are_named():
    found = judged(np.full(400, 0.03))
    assert not found.estimable
    assert not found.overlap_estimable
    assert found.verdict.startswith("Not estimable: only")
    assert "the new" in found.verdict


def test_no_overlap_is_said_in_words():
    chance = np.where(np.arange(600) < 300, 0.01, 0.99)
    found = judged(chance)
    assert not found.estimable
    assert "lack of overlap" in found.verdict
    assert found.share_below == 1.0
    assert found.kept == 0


def test_the_histograms_hold_every_patient():
    found = judged(np.random.default_rng(9).uniform(0.1, 0.9, 500))
    assert sum(found.propensity.first) == found.first
    assert sum(found.propensity.second) == found.second
    assert found.first + found.second == 500

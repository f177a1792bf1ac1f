import numpy as np
import pytest

from validation.propensity import balanced_folds, cross_fitted, group_small


@pytest.fixture(scope="module")
def chosen():
    rng = np.random.default_rng(4)
    n = 4000
    x = rng.standard_normal((n, 3))
    utility = np.column_stack([np.zeros(n), x[:, 0], -0.5 + x[:, 1], np.full(n, -4.5)])
    chance = np.exp(utility) / np.exp(utility).sum(axis=1, keepdims=True)
    received = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return x, received, chance


def test_propensities_are_close_to_the_chances_behind_the_choice(chosen):
    x, received, chance = chosen
    found = cross_fitted(x, received, 4, [(0,), (1,), (2, 3)], balanced_folds(received))
    assert np.abs(found.probability - chance).mean() < 0.02
    assert np.allclose(found.probability.sum(axis=1), 1)


def test_a_rare_component_shares_the_propensity_of_the_one_it_is_alike_to(chosen):
    x, received, _ = chosen
    assert 0 < (received == 3).sum() < 50
    found = cross_fitted(x, received, 4, [(0,), (1,), (2, 3)], balanced_folds(received))
    assert found.grouped == ((2, 3),)
    ratio = found.probability[:, 3] / found.probability[:, 2]
    assert np.ptp(ratio) < 1e-9
    assert ratio[0] == pytest.approx((received == 3).sum() / (received == 2).sum())


def test_no_patient_is_predicted_by_a_model_that_saw_the_patient(chosen):
    _, received, _ = chosen
    noise = np.random.default_rng(5).standard_normal((300, 80))
    few = received[:300] % 2
    found = cross_fitted(noise, few, 2, [(0,), (1,)], balanced_folds(few), strength=100.0)
    own = found.probability[np.arange(300), few]
    assert own.mean() < 0.56  # in-sample it would be near 1


def test_every_fold_has_its_share_of_each_component():
    received = np.array([0] * 53 + [1] * 12)
    fold = balanced_folds(received)
    for component in (0, 1):
        counts = np.bincount(fold[received == component], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_the_most_frequent_keeps_its_own_class():
    classes = group_small(np.array([0] * 60 + [1] * 5 + [2] * 80), 3, [(0, 1), (2,)])
    assert classes.tolist() == [0, 0, 2]


def test_a_mix_within_an_arm_sums_to_one_even_where_nobody_received_it(chosen):
    x, received, _ = chosen
    found = cross_fitted(x, np.where(received == 3, 2, received), 4, [(0,), (1,), (2,), (3,)], balanced_folds(received))
    assert np.allclose(found.mix((1, 2)).sum(axis=1), 1)
    assert np.allclose(found.mix((3,)), 1)
    assert not found.arm((3,)).any()

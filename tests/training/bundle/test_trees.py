"""Trees walked as arrays say what XGBoost says."""

import numpy as np
import pytest
import xgboost as xgb

from training.bundle.trees import FEW, Trees

SETTINGS = {"objective": "binary:logistic", "base_score": 0.3, "nthread": 1}


def trained(rounds=40, features=9, seed=0, **settings):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1500, features)).round(2)  # rounded, so that values fall on limits
    x[rng.random(x.shape) < 0.25] = np.nan
    y = (np.nan_to_num(x[:, 0]) - np.nan_to_num(x[:, 1]) * np.isnan(x[:, 2]) + rng.normal(size=len(x)) > 0).astype(
        float
    )
    margin = rng.normal(size=len(x))
    booster = xgb.train({**SETTINGS, **settings}, xgb.DMatrix(x, y, base_margin=margin), rounds)
    return booster, x


@pytest.mark.parametrize("depth", [1, 3, 6])
@pytest.mark.parametrize("policy", ["depthwise", "lossguide"])
def test_few_rows_add_up_to_what_xgboost_answers(depth, policy):
    booster, x = trained(max_depth=depth, grow_policy=policy, tree_method="hist", seed=depth)
    for start in range(0, 10 * FEW, FEW):
        rows = x[start : start + FEW]
        margin = np.linspace(-2, 2, len(rows))
        theirs = booster.inplace_predict(rows, base_margin=margin, predict_type="margin", missing=np.nan)
        assert margin + Trees(booster).sum(rows) == pytest.approx(theirs, abs=1e-5)  # XGBoost adds in single precision


def test_all_missing_follows_the_default_directions():
    booster, x = trained(max_depth=4)
    nothing = np.full((1, x.shape[1]), np.nan)
    theirs = booster.inplace_predict(nothing, base_margin=np.zeros(1), predict_type="margin", missing=np.nan)
    assert Trees(booster).sum(nothing) == pytest.approx(theirs, abs=2e-6)


def test_a_booster_whose_trees_found_nothing_adds_nothing():
    booster, x = trained(rounds=3, gamma=1e9)
    theirs = booster.inplace_predict(x[:4], base_margin=np.zeros(4), predict_type="margin", missing=np.nan)
    assert Trees(booster).sum(x[:4]) == pytest.approx(theirs, abs=2e-6)


def test_other_boosters_are_left_to_xgboost():
    with pytest.raises(ValueError, match="plain"):
        Trees(trained(rounds=2, booster="dart")[0])

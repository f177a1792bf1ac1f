"""Golden tests against statsmodels.treatment.TreatmentEffect, and known answers."""

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.treatment.treatment_effects import TreatmentEffect

from validation.aipw import (
    aipw,
    arm_contrast,
    log_risk_ratio,
    overlap_weighted,
    scores,
    weighted_mean,
)


@pytest.fixture(scope="module")
def binary():
    rng = np.random.default_rng(1)
    n = 800
    x = rng.standard_normal((n, 2))
    treated = rng.random(n) < 1 / (1 + np.exp(-(0.6 * x[:, 0] - 0.3 * x[:, 1])))
    y = 0.5 * treated + x @ [0.7, -0.4] + rng.standard_normal(n)
    exog = sm.add_constant(x)
    selection = sm.Probit(treated.astype(float), exog).fit(disp=False)
    effect = TreatmentEffect(sm.OLS(y, exog), treated.astype(float), results_select=selection)
    return y, treated, exog, selection.predict(exog), effect


def test_aipw_equals_statsmodels_on_the_same_nuisances(binary):
    y, treated, exog, propensity, effect = binary
    first = scores(y, treated, propensity, sm.OLS(y[treated], exog[treated]).fit().predict(exog))
    second = scores(y, ~treated, 1 - propensity, sm.OLS(y[~treated], exog[~treated]).fit().predict(exog))
    found = aipw(first, second, np.ones(len(y)))
    theirs = effect.aipw().results_gmm
    assert found.value == pytest.approx(theirs.params[0], rel=1e-10)
    # Theirs also counts the estimation of the nuisance models, which does not matter to first order.
    assert found.se() == pytest.approx(theirs.bse[0], rel=0.03)


def test_inverse_probability_weighting_equals_statsmodels(binary):
    y, treated, _, propensity, effect = binary
    weight = np.where(treated, 1 / propensity, 1 / (1 - propensity))
    assert arm_contrast(y, treated, ~treated, weight).value == pytest.approx(
        effect.ipw(return_results=False)[0], rel=1e-10
    )


def test_overlap_weighting_equals_the_regression_of_residuals_in_statsmodels(binary):
    y, treated, exog, propensity, _ = binary
    models = [sm.OLS(y[a], exog[a]).fit().predict(exog) for a in (treated, ~treated)]
    found = overlap_weighted(y, treated, propensity, *models, np.ones(len(y)))
    expected = propensity * models[0] + (1 - propensity) * models[1]
    theirs = sm.OLS(y - expected, treated - propensity).fit(cov_type="HC0")
    assert found.value == pytest.approx(theirs.params[0], rel=1e-10)
    assert found.se() == pytest.approx(theirs.bse[0], rel=0.002)


def test_the_crude_contrast_has_the_standard_error_of_two_proportions():
    y = np.array([1.0] * 30 + [0.0] * 70 + [1.0] * 10 + [0.0] * 40)
    first = np.arange(150) < 100
    found = arm_contrast(y, first, ~first, np.ones(150))
    assert found.value == pytest.approx(0.1)
    assert found.se() == pytest.approx(np.sqrt(0.3 * 0.7 / 100 + 0.2 * 0.8 / 50), rel=0.01)


def test_the_log_risk_ratio_has_the_standard_error_of_the_textbook():
    y = np.array([1.0] * 30 + [0.0] * 70 + [1.0] * 20 + [0.0] * 80)
    first = np.arange(200) < 100
    propensity, guess = np.full(200, 0.5), np.zeros(200)
    found = log_risk_ratio(
        scores(y, first, propensity, guess + 0.3), scores(y, ~first, propensity, guess + 0.2), np.ones(200)
    )
    assert found.value == pytest.approx(np.log(1.5))
    assert found.se() == pytest.approx(np.sqrt(1 / 30 - 1 / 100 + 1 / 20 - 1 / 100), rel=0.01)


def test_either_a_right_propensity_or_a_right_prediction_is_enough():
    rng = np.random.default_rng(2)
    n = 200_000
    x = rng.standard_normal(n)
    propensity = 1 / (1 + np.exp(-x))
    treated = rng.random(n) < propensity
    y = 0.3 * treated + x + rng.standard_normal(n)
    for chance, first, second in ((propensity, 0 * x, 0 * x), (np.full(n, 0.5), x + 0.3, x)):
        found = aipw(scores(y, treated, chance, first), scores(y, ~treated, 1 - chance, second), np.ones(n))
        assert abs(found.value - 0.3) < 4 * found.se()
    crude = arm_contrast(y, treated, ~treated, np.ones(n))
    assert crude.value > 0.9


def test_patients_of_one_site_count_as_one_when_asked():
    values = np.repeat(np.random.default_rng(3).standard_normal(40), 25)
    site = np.repeat(np.arange(40), 25).astype(str)
    mean = weighted_mean(values, np.ones(1000))
    alone = weighted_mean(values[::25], np.ones(40))
    assert mean.se(site) == pytest.approx(alone.se(), rel=1e-6)
    assert mean.se() < mean.se(site) / 4


def test_weights_make_a_patient_stand_for_others():
    values = np.array([1.0, 0.0, 0.0])
    assert weighted_mean(values, np.array([3.0, 1.0, 0.0])).value == pytest.approx(0.75)


def test_no_figure_is_made_of_nothing():
    empty = weighted_mean(np.array([0.4]), np.array([1.0])).estimate()
    assert empty.value is None
    assert empty.reason

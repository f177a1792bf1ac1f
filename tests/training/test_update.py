"""A registry moves the evidence as far as its size allows."""

import numpy as np
import pytest
from scipy.special import expit

from training.learners.update import CONFOUNDING_SD, update

TERMS = ("intercept", "age", "metastases", "bevacizumab")
MEAN = np.array([-0.5, -0.1, -0.4, 0.3])
COVARIANCE = np.diag([0.2, 0.1, 0.1, 0.3]) ** 2


def patients(n, beta, seed=1):
    rng = np.random.default_rng(seed)
    values = np.column_stack([np.ones(n), rng.normal(size=n), rng.normal(size=n), rng.integers(0, 2, n)])
    return values, (rng.random(n) < expit(values @ beta)).astype(float)


def moved(spec, n, beta, covariance=COVARIANCE, seed=1):
    values, y = patients(n, np.asarray(beta), seed)
    return update(MEAN, covariance, TERMS, values, y, spec)


def test_no_patients_leave_the_effects_where_the_evidence_put_them(spec):
    unmoved = update(MEAN, COVARIANCE, TERMS, np.ones((1, 4)), np.array([0.5]), spec)
    assert unmoved.mean == pytest.approx(MEAN, abs=0.05)


def test_many_patients_outweigh_the_evidence_on_the_prognosis(spec):
    truth = [0.3, 0.4, -0.9, 0.3]
    assert moved(spec, 20000, truth).mean[:3] == pytest.approx(truth[:3], abs=0.08)


def test_few_patients_move_the_evidence_little(spec):
    truth = [-0.5, 0.6, -0.4, 0.3]
    few, many = (abs(moved(spec, n, truth).mean[1] - MEAN[1]) for n in (60, 5000))
    assert few < 0.5 * many


def test_a_regimen_contrast_never_becomes_more_certain_than_confounding_allows(spec):
    enormous = moved(spec, 200_000, MEAN)
    evidence, doubt = COVARIANCE[3, 3], CONFOUNDING_SD**2
    assert enormous.covariance[3, 3] >= 0.98 * evidence * doubt / (evidence + doubt)


def test_an_effect_without_doubt_in_the_evidence_is_not_moved(spec):
    fixed = COVARIANCE.copy()
    fixed[3, 3] = 0.0
    assert moved(spec, 5000, [-0.5, -0.1, -0.4, 1.5], fixed).mean[3] == pytest.approx(MEAN[3], abs=1e-6)


def test_the_posterior_equals_a_direct_maximisation(spec):
    from scipy.optimize import minimize

    from training.learners.update import HOSPITAL_SD, SLOPE_SD

    values, y = patients(400, np.array([0.0, 0.2, -0.6, 0.3]))
    got = update(MEAN, COVARIANCE, TERMS, values, y, spec)
    prognostic = MEAN * np.array([0, 1, 1, 0])
    prognostic[0] = -values.mean(axis=0) @ prognostic
    widened = COVARIANCE + SLOPE_SD**2 * np.outer(prognostic, prognostic)
    widened[0, 0] += HOSPITAL_SD**2
    widened = np.block([[widened, np.zeros((4, 1))], [np.zeros((1, 4)), np.array([[CONFOUNDING_SD**2]])]])
    design, mean = np.column_stack([values, values[:, 3]]), np.append(MEAN, 0.0)
    precision = np.linalg.inv(widened)

    def objective(beta):
        eta = design @ beta
        return -np.sum(y * eta - np.logaddexp(0, eta)) + 0.5 * (beta - mean) @ precision @ (beta - mean)

    direct = minimize(objective, mean, method="BFGS", options={"gtol": 1e-6}).x
    assert got.mean == pytest.approx(direct[:4], abs=1e-3)


def test_the_rate_of_a_selectively_recorded_outcome_is_never_believed_outright(spec):
    values, y = patients(50_000, np.array([1.0, -0.1, -0.4, 0.3]))
    believed, doubted = (update(MEAN, COVARIANCE, TERMS, values, y, spec, selective) for selective in (False, True))
    assert believed.mean[0] == pytest.approx(1.0, abs=0.05)
    assert MEAN[0] < doubted.mean[0] < believed.mean[0]
    assert doubted.covariance[0, 0] > 10 * believed.covariance[0, 0]

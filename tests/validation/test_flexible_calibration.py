"""The flexible curve and its distances agree with R, by the same smoother to the last digits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from statsmodels.nonparametric.smoothers_lowess import lowess

from validation.calibration import log_odds
from validation.flexible_calibration import SUMMARIES, Smoother, fit_smooth, flexible_metrics, summarize

GOLDEN = Path(__file__).parent / "golden"
PATIENTS = pd.read_csv(GOLDEN / "patients.csv")
FIGURES = json.loads((GOLDEN / "figures.json").read_text("utf-8"))
Y = PATIENTS["y"].to_numpy(float)
#: Between spline and loess. Two smoothers of 500 patients differ by about their standard errors in the middle (0.02),
#: and by far more at the ends, where Emax is read: it is compared by the same smoother only.
BETWEEN_SMOOTHERS = 0.02


@pytest.mark.parametrize("model", ["a", "b"])
@pytest.mark.parametrize("metric", SUMMARIES)
def test_the_distance_is_the_one_that_another_implementation_gives_for_the_same_spline(metric, model):
    golden = FIGURES[model][metric]
    found = flexible_metrics(Y, PATIENTS[model].to_numpy())[metric]
    assert found.value == pytest.approx(golden["value"], abs=1e-5), golden["by"]


@pytest.mark.parametrize("model", ["a", "b"])
def test_the_curve_is_the_one_that_another_implementation_draws(model):
    golden = FIGURES[model]["curve"]
    drawn = fit_smooth(Y, PATIENTS[model].to_numpy()).observed(np.array([0.1, 0.2, 0.3, 0.5, 0.7]))
    assert drawn == pytest.approx(golden["value"], abs=1e-5), golden["by"]


@pytest.mark.parametrize("model", ["a", "b"])
def test_with_the_other_smoother_the_distances_are_those_of_val_prob(model):
    p = PATIENTS[model].to_numpy()
    smoothed = lowess(Y, p, frac=2 / 3, it=0, delta=0.01 * np.ptp(p), return_sorted=False)
    found = summarize(np.abs(p - smoothed))
    for metric in ("ici", "e90", "emax"):
        golden = FIGURES[model][f"{metric}_lowess"]
        assert found[metric] == pytest.approx(golden["value"], abs=2e-4), golden["by"]


@pytest.mark.parametrize("model", ["a", "b"])
@pytest.mark.parametrize("metric", ["ici", "e90"])
def test_the_spline_tells_of_the_same_miscalibration_as_loess(metric, model):
    golden = FIGURES[model][f"{metric}_lowess"]
    found = flexible_metrics(Y, PATIENTS[model].to_numpy())[metric].value
    assert found == pytest.approx(golden["value"], abs=BETWEEN_SMOOTHERS), golden["by"]


def test_a_bend_that_no_line_can_see_is_seen():
    rng = np.random.default_rng(8)
    x = rng.normal(0, 1.2, 8_000)
    y = (rng.random(8_000) < expit(x + 0.5 * (x**2 - 1.44))).astype(float)
    assert flexible_metrics(y, expit(x))["ici"].value > 0.06
    calibrated = (rng.random(8_000) < expit(x)).astype(float)
    assert flexible_metrics(calibrated, expit(x))["ici"].value < 0.02


def test_ninety_nine_events_are_too_few_for_a_curve():
    y = np.repeat([1.0, 0.0], [99, 401])
    found = flexible_metrics(y, PATIENTS["a"].to_numpy())
    assert {m.reason for m in found.values()} == {"only 99 events or non-events; 100 are needed"}


def test_beyond_the_outer_knots_the_spline_is_a_straight_line():
    smoother = Smoother.for_predictions(log_odds(PATIENTS["a"].to_numpy()))
    beyond = smoother.design(smoother.knots[-1] + np.array([1.0, 2.0, 3.0]))
    assert np.diff(beyond, n=2, axis=0) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("p", "columns"),
    [(np.tile([0.30, 0.302], 250), 1), (np.tile([0.1, 0.2, 0.3, 0.4, 0.5], 100), 2)],
    ids=["one chance for all", "a score of five values"],
)
def test_predictions_of_few_values_get_a_simpler_curve_instead_of_a_wild_one(p, columns):
    smooth = fit_smooth(Y, p)
    assert smooth.coefficients.shape == (columns,)
    assert summarize(np.abs(p - smooth.observed(p)))["emax"] < 0.45


def test_one_chance_for_all_is_off_by_the_difference_of_the_rates():
    p = np.full(500, 0.2)
    assert flexible_metrics(Y, p)["ici"].value == pytest.approx(abs(Y.mean() - 0.2), abs=1e-6)

"""Calibration in the large and its slope agree with R, and notice what they are for."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from validation.calibration import (
    calibration_intercept,
    calibration_line,
    calibration_slope,
    fit_intercept,
    log_odds,
    observed_to_expected,
    solve_intercept,
)

GOLDEN = Path(__file__).parent / "golden"
PATIENTS = pd.read_csv(GOLDEN / "patients.csv")
FIGURES = json.loads((GOLDEN / "figures.json").read_text("utf-8"))
Y = PATIENTS["y"].to_numpy(float)


@pytest.mark.parametrize("model", ["a", "b"])
@pytest.mark.parametrize(
    "metric", [calibration_intercept, calibration_slope, observed_to_expected], ids=lambda m: m.__name__
)
def test_the_figure_is_the_one_that_another_implementation_gives(metric, model):
    golden = FIGURES[model][metric.__name__]
    assert metric(Y, PATIENTS[model].to_numpy()).value == pytest.approx(golden["value"], abs=1e-7), golden["by"]


@pytest.mark.parametrize("model", ["a", "b"])
def test_the_intercept_of_the_line_is_the_one_that_another_implementation_gives(model):
    golden = FIGURES[model]["line_intercept"]
    line = calibration_line(Y, PATIENTS[model].to_numpy())
    assert line[0].value == pytest.approx(golden["value"], abs=1e-7), golden["by"]


@pytest.mark.parametrize("shift", [-3.0, 0.0, 0.7, 4.0])
def test_the_quick_intercept_is_the_library_s(shift):
    x = log_odds(PATIENTS["a"].to_numpy()) + shift
    assert solve_intercept(Y, x) == pytest.approx(fit_intercept(Y, x), abs=1e-7)


def test_chances_all_too_low_show_as_an_intercept_and_exaggerated_ones_as_a_slope():
    rng = np.random.default_rng(3)
    x = rng.normal(-0.5, 1.0, 20_000)
    y = (rng.random(20_000) < expit(x)).astype(float)
    assert calibration_intercept(y, expit(x - 0.7)).value == pytest.approx(0.7, abs=0.06)
    assert calibration_slope(y, expit(2 * x)).value == pytest.approx(0.5, abs=0.03)
    assert observed_to_expected(y, expit(x)).value == pytest.approx(1.0, abs=0.03)


def test_nine_events_are_too_few_for_an_intercept_or_a_slope():
    y = np.repeat([1.0, 0.0], [9, 91])
    p = np.linspace(0.05, 0.5, 100)
    for metric in (calibration_intercept, calibration_slope):
        assert metric(y, p).reason == "only 9 events or non-events; 10 are needed"


def test_one_chance_for_everyone_has_no_slope_even_when_folds_shift_it_a_little():
    p = np.tile([0.300, 0.302, 0.305, 0.299], 125)
    assert calibration_slope(Y, p).reason == "predictions are all but equal"


def test_predictions_that_never_fail_have_no_slope():
    assert "without fail" in (calibration_slope(Y, np.where(Y == 1, 0.8, 0.2)).reason or "")


def test_nothing_expected_gives_no_ratio():
    assert observed_to_expected(np.ones(3), np.zeros(3)).reason == "nothing was expected"

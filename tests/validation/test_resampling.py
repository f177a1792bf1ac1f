"""Resampled figures equal the plain ones on the patients themselves, and their intervals cover the truth."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from validation.calibration import fit_intercept, fit_line, log_odds
from validation.decision import load_decisions
from validation.discrimination import Metric, auroc, placements
from validation.flexible_calibration import SUMMARIES, fit_smooth, summarize
from validation.measured import measure
from validation.resampling import MIN_SITES, Resamples, bounds, figure, paired
from validation.reweighted import (
    auroc_columns,
    intercept_columns,
    resampled_auroc,
    resampled_coefficients,
    resampled_distances,
    resampled_intercept,
)

GOLDEN = Path(__file__).parent / "golden"
PATIENTS = pd.read_csv(GOLDEN / "patients.csv")
FIGURES = json.loads((GOLDEN / "figures.json").read_text("utf-8"))
Y = PATIENTS["y"].to_numpy(float)
#: The distances are looked for in bins of predictions where there are more patients than bins.
BINNED = {"ici": 1e-3, "e50": 2e-3, "e90": 2e-3, "emax": 1e-9}


def drawn(n, replicates=200, seed=0, sites=1):
    return Resamples.draw(np.arange(n) % sites, replicates, seed)


def weights(n, replicates=200, seed=0):
    return drawn(n, replicates, seed).weights(np.arange(n))


@pytest.mark.parametrize("model", ["a", "b"])
def test_with_every_patient_drawn_once_each_resampled_figure_is_the_plain_one(spec, model):
    found = measure(Y, PATIENTS[model].to_numpy(), np.ones((500, 1)), load_decisions(spec).on("conversion_12m"))
    assert set(found.points) == set(found.replicates) and len(found.points) == 12
    for name, metric in found.points.items():
        assert found.replicates[name][0] == pytest.approx(metric.value, abs=BINNED.get(name, 1e-7)), name


def test_with_fewer_patients_than_bins_the_distances_are_exact():
    y, p = Y[:300], PATIENTS["a"].to_numpy()[:300]
    smooth = fit_smooth(y, p)
    found = resampled_distances(smooth, p, smooth.coefficients[:, None], np.ones((300, 1)))
    exact = summarize(np.abs(p - smooth.observed(p)))
    for name in SUMMARIES:
        assert found[name][0] == pytest.approx(exact[name], abs=1e-12)


def test_a_resampled_figure_is_the_plain_figure_of_the_patients_drawn():
    p = PATIENTS["a"].to_numpy()
    w = weights(500, 50)
    area = roc_auc_score(Y, p)
    areas = resampled_auroc(auroc_columns(Y, placements(Y, p)) @ w, area)
    x = log_odds(p)
    level = fit_intercept(Y, x)
    levels = resampled_intercept(intercept_columns(Y, expit(x + level)) @ w, level)
    design = np.column_stack([np.ones(500), x])
    slopes = resampled_coefficients(design, Y, np.zeros(500), np.array(fit_line(Y, x)), w)[1]
    for k in range(12):
        rows = np.repeat(np.arange(500), w[:, k].astype(int))
        assert areas[k] == pytest.approx(roc_auc_score(Y[rows], p[rows]), abs=2e-3)
        assert levels[k] == pytest.approx(fit_intercept(Y[rows], x[rows]), abs=1e-4)
        assert slopes[k] == pytest.approx(fit_line(Y[rows], x[rows])[1], abs=2e-3)


def test_distances_of_a_resample_are_those_of_the_list_of_patients_drawn():
    y, p = Y[:200], PATIENTS["a"].to_numpy()[:200]
    smooth = fit_smooth(y, p)
    w = weights(200, 50)
    found = resampled_distances(smooth, p, np.repeat(smooth.coefficients[:, None], 50, 1), w)
    for k in range(5):
        distance = np.abs(p - smooth.observed(p))[np.repeat(np.arange(200), w[:, k].astype(int))]
        expected = (distance.mean(), *np.quantile(distance, (0.5, 0.9, 1.0)))
        assert [found[name][k] for name in SUMMARIES] == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_the_area_is_near_that_of_delong():
    golden = FIGURES["a"]["auroc_interval"]
    found = measure(Y, PATIENTS["a"].to_numpy(), weights(500, 2000), None).figures()["auroc"]
    assert (found.low, found.high) == pytest.approx(golden["value"], abs=0.006), golden["by"]


def test_the_interval_of_a_difference_in_area_is_near_that_of_delong_s_paired_test():
    area, interval = FIGURES["a_minus_b"]["auroc"], FIGURES["a_minus_b"]["auroc_interval"]
    w = weights(500, 2000)
    a, b = (measure(Y, PATIENTS[m].to_numpy(), w, None) for m in ("a", "b"))
    found = paired(a.points["auroc"], b.points["auroc"], (a.replicates["auroc"], b.replicates["auroc"]))
    assert found.value == pytest.approx(area["value"], abs=1e-9), area["by"]
    assert (found.low, found.high) == pytest.approx(interval["value"], abs=0.006), interval["by"]


def test_pairing_makes_the_interval_of_a_difference_narrower():
    w = weights(500, 500)
    a, b = (measure(Y, PATIENTS[m].to_numpy(), w, None) for m in ("a", "b"))
    alone = measure(Y, PATIENTS["b"].to_numpy(), weights(500, 500, seed=1), None)
    metric = (a.points["log_loss"], b.points["log_loss"])
    together = paired(*metric, (a.replicates["log_loss"], b.replicates["log_loss"]))
    apart = paired(*metric, (a.replicates["log_loss"], alone.replicates["log_loss"]))
    assert together.high - together.low < 0.9 * (apart.high - apart.low)


def test_whole_sites_are_drawn_together_where_there_are_enough():
    resamples = drawn(200, sites=MIN_SITES)
    w = resamples.weights(np.arange(200))
    assert all((w[i] == w[i + MIN_SITES]).all() for i in range(MIN_SITES))
    assert f"whole sites of {MIN_SITES}" in resamples.words


def test_patients_are_drawn_where_sites_are_few_and_within_one_site():
    few, many = drawn(200, sites=MIN_SITES - 1), drawn(200, sites=MIN_SITES)
    assert not few.whole_sites(np.arange(200)) and "too few to resample" in few.words
    one_site = np.flatnonzero(many.site == 3)
    assert not many.whole_sites(one_site)
    assert many.weights(one_site).std() > 0.5


def test_resampling_sites_shows_that_patients_of_one_site_are_alike():
    rng = np.random.default_rng(5)
    site = np.repeat(np.arange(30), 40)
    y = (rng.random(1200) < expit(-0.5 + rng.normal(0, 0.8, 30))[site]).astype(float)
    p = np.full(1200, y.mean())
    clustered = measure(y, p, Resamples.draw(site, 400, 0).weights(np.arange(1200)), None).figures()["brier"]
    plain = measure(y, p, weights(1200, 400), None).figures()["brier"]
    assert clustered.high - clustered.low > 1.4 * (plain.high - plain.low)


def test_the_same_seed_gives_the_same_interval():
    assert (weights(50, 60, seed=4) == weights(50, 60, seed=4)).all()
    assert (weights(50, 60, seed=4) != weights(50, 60, seed=5)).any()


def test_a_figure_missing_in_many_resamples_has_no_interval_but_a_reason():
    values = np.linspace(0, 1, 200)
    values[:30] = np.nan
    found = figure(Metric(0.5), values)
    assert found.value == 0.5 and found.low is None and "too many resamples" in (found.reason or "")


def test_a_figure_missing_in_a_few_resamples_is_bounded_by_the_others():
    values = np.concatenate([[np.nan] * 5, np.linspace(0, 1, 195)])
    low, high = bounds(values)
    assert (low, high) == pytest.approx(np.quantile(values[5:], (0.025, 0.975)))


def test_what_could_not_be_computed_stays_without_a_figure():
    assert figure(auroc(np.ones(5), np.full(5, 0.4)), None).value is None
    assert paired(Metric(None, "why"), Metric(0.1), (None, None)).reason == "why"


@pytest.fixture(scope="module")
def covered(spec):
    """Share of 150 simulated evaluations of 500 patients whose interval holds the truth, by metric."""
    rng = np.random.default_rng(11)

    def patients(n):
        x = rng.normal(-0.8, 1.0, n)
        return (rng.random(n) < expit(0.3 + 0.8 * x)).astype(float), expit(x)

    decision = load_decisions(spec).on("conversion_12m")
    truth = {n: m.value for n, m in measure(*patients(200_000), np.ones((200_000, 1)), decision).points.items()}
    truth |= {"calibration_slope": 0.8}
    held = dict.fromkeys(truth, 0)
    runs = 150
    for run in range(runs):
        y, p = patients(500)
        for name, found in measure(y, p, weights(500, 200, seed=run), decision).figures().items():
            held[name] += found.low <= truth[name] <= found.high
    return {name: count / runs for name, count in held.items()}


@pytest.mark.parametrize(
    "metric",
    [
        "auroc",
        "brier",
        "scaled_brier",
        "log_loss",
        "observed_to_expected",
        "calibration_intercept",
        "calibration_slope",
        "net_benefit",
        "ici",
        "e50",
        "e90",
        "emax",
    ],
)
def test_95_percent_intervals_cover_the_truth(covered, metric):
    # 150 runs: 0.95 has a standard error of 0.018, and 200 resamples cost up to one point.
    assert covered[metric] >= 0.89, covered


def test_a_true_difference_is_covered_and_none_is_seen_where_there_is_none():
    rng = np.random.default_rng(12)
    held = seen = 0
    x = rng.normal(-0.8, 1.0, 100_000)
    noisy = x + rng.normal(0, 0.5, 100_000)
    other = x + rng.normal(0, 0.5, 100_000)
    y = (rng.random(100_000) < expit(x)).astype(float)
    truth = roc_auc_score(y, x) - roc_auc_score(y, noisy)
    for run in range(100):
        rows = slice(run * 500, run * 500 + 500)
        w = weights(500, 200, seed=run)
        area = {
            k: (auroc(y[rows], expit(v[rows])), placements(y[rows], v[rows]))
            for k, v in {"x": x, "noisy": noisy, "other": other}.items()
        }
        resampled = {k: resampled_auroc(auroc_columns(y[rows], placed) @ w, m.value) for k, (m, placed) in area.items()}
        first = paired(area["x"][0], area["noisy"][0], (resampled["x"], resampled["noisy"]))
        second = paired(area["noisy"][0], area["other"][0], (resampled["noisy"], resampled["other"]))
        held += first.low <= truth <= first.high
        seen += not second.low <= 0 <= second.high
    assert held >= 88 and seen <= 12


def test_the_distance_of_a_calibrated_model_may_be_almost_nothing():
    rng = np.random.default_rng(13)
    low = []
    for run in range(30):
        x = rng.normal(-0.8, 1.0, 800)
        y = (rng.random(800) < expit(x)).astype(float)
        low.append(measure(y, expit(x), weights(800, 100, seed=run), None).figures()["ici"].low)
    assert np.mean(np.array(low) < 0.005) > 0.7

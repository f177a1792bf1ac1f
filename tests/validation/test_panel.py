"""A panel gives every model its figures on the same patients, and hides cells that could identify someone."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from features.outcome import Part
from validation.calibration import fit_intercept, log_odds
from validation.discrimination import auroc, brier, log_loss
from validation.panel import REGIMEN, Panel, PanelError, evaluate
from validation.subgroup_figures import MIN_PATIENTS

N, SITES = 900, 5
METRICS = {
    "log_loss",
    "auroc",
    "brier",
    "scaled_brier",
    "calibration_slope",
    "calibration_intercept",
    "observed_to_expected",
    "ici",
    "e50",
    "e90",
    "emax",
}


@pytest.fixture(scope="module")
def names(spec):
    """The outcome decided on first, and one that is given it."""
    resection = spec.outcomes.part(Part.RESECTION).name
    return resection, spec.outcomes.part(Part.COMPLICATION).name


@pytest.fixture(scope="module")
def panel(names):
    resection, complication = names
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, N)
    p, q = expit(-0.2 + x), expit(-1.0 - 0.7 * x)
    y = (rng.random(N) < p).astype(float)
    later = np.where(y == 1, (rng.random(N) < q).astype(float), np.nan)
    male = rng.random(N) < 0.5
    worse_in_men = expit(logit(p) + np.where(male, 1.2, 0.0))
    few = np.arange(N) < 12
    return Panel(
        outcomes={resection: y, complication: later},
        rows={resection: np.ones(N, bool), complication: y == 1},
        predictions={
            "sound": {resection: p, complication: q},
            "noisy": {resection: expit(logit(p) + rng.normal(0, 1, N)), complication: q},
            "unfair": {resection: worse_in_men},
            "leaking": {resection: np.where(y == 1, 0.9, 0.1)},
            "part": {resection: np.where(np.arange(N) % 3 == 0, np.nan, p)},
            "rate": {resection: np.full(N, y.mean())},
        },
        kinds={
            "sound": "champion",
            "noisy": "candidate",
            "unfair": "candidate",
            "leaking": "candidate",
            "part": "baseline",
            "rate": "baseline",
        },
        groups={"Sex": {"Male": male, "Female": ~male}, "Rare": {"Yes": few, "No": ~few}},
        regimens={"A": np.arange(N) % 2 == 0, "B": np.arange(N) % 2 == 1},
        cluster=rng.integers(SITES, size=N),
        how="held out by site",
    )


@pytest.fixture(scope="module")
def evaluation(panel, spec):
    return evaluate(panel, spec, against=("sound",), replicates=200, seed=1)


@pytest.fixture
def cell(evaluation, names):
    def one(model, group, level, outcome=names[0]):
        cells = evaluation.model(model).outcomes[outcome].cells
        return next(c for c in cells if (c.group, c.level) == (group, level))

    return one


def difference(evaluation, model, metric, outcome, group=None, level=None):
    wanted = (model, metric, outcome, group, level)
    found = [d for d in evaluation.differences if (d.model, d.metric, d.outcome, d.group, d.level) == wanted]
    assert len(found) == 1, wanted
    return found[0].figure


def test_every_metric_has_a_figure_with_an_interval_around_it(evaluation, names):
    metrics = evaluation.model("noisy").outcomes[names[0]].metrics
    assert set(metrics) == METRICS | {"net_benefit"}
    for name, figure in metrics.items():
        assert figure.low <= figure.value <= figure.high, name


def test_figures_are_those_of_the_patients_judged(evaluation, panel, names):
    _, complication = names
    rows = panel.rows[complication]
    y, p = panel.outcomes[complication][rows], panel.predictions["sound"][complication][rows]
    judged = evaluation.model("sound").outcomes[complication]
    assert (judged.patients, judged.events) == (rows.sum(), y.sum())
    for metric in (auroc, brier, log_loss):
        assert judged.metrics[metric.__name__].value == pytest.approx(metric(y, p).value)


def test_curves_have_bands_and_the_decision_is_said_in_words(evaluation, names):
    judged = evaluation.model("sound").outcomes[names[0]]
    curve, decision = judged.calibration, judged.decision
    assert np.all(np.array(curve.low) <= np.array(curve.observed)) and np.all(np.diff(curve.predicted) > 0)
    assert np.mean((np.array(curve.low) < curve.predicted) & (curve.predicted < np.array(curve.high))) > 0.8
    assert len(decision.treat_all) == len(decision.thresholds) == len(decision.low)
    assert len(decision.harm) == 3 and decision.harm[0].startswith("at 5% you accept following 19 patients")


def test_a_model_may_lack_an_outcome(evaluation, names):
    assert set(evaluation.model("unfair").outcomes) == {names[0]}


def test_a_worse_model_is_reliably_worse_in_a_paired_difference(evaluation, names):
    assert difference(evaluation, "noisy", "log_loss", names[0]).low > 0
    assert difference(evaluation, "noisy", "auroc", names[0]).high < 0
    found = difference(evaluation, "noisy", "log_loss", names[1])
    assert (found.value, found.low, found.high) == (0, 0, 0)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "auroc", "ici", "net_benefit"])
def test_every_compared_metric_has_a_difference_against_each_wanted_model(evaluation, names, metric):
    assert difference(evaluation, "noisy", metric, names[0]).low is not None


def test_a_model_that_fails_one_sex_is_found_by_its_subgroup_and_only_there(evaluation, cell, names):
    assert difference(evaluation, "unfair", "log_loss", names[0], "Sex", "Male").low > 0
    assert difference(evaluation, "unfair", "log_loss", names[0], "Sex", "Female").value == pytest.approx(0, abs=1e-12)
    assert cell("unfair", "Sex", "Male").metrics["observed_to_expected"].high < 1
    assert cell("unfair", "Sex", "Male").metrics["calibration_intercept"].high < -0.8


def test_figures_of_a_subgroup_are_those_of_its_patients(cell, panel, names):
    men = panel.groups["Sex"]["Male"]
    y, p = panel.outcomes[names[0]][men], panel.predictions["noisy"][names[0]][men]
    found = cell("noisy", "Sex", "Male")
    assert (found.patients, found.events) == (men.sum(), y.sum())
    expected = {
        "observed_to_expected": y.sum() / p.sum(),
        "calibration_intercept": fit_intercept(y, log_odds(p)),
        "brier": brier(y, p).value,
        "auroc": auroc(y, p).value,
        "log_loss": log_loss(y, p).value,
    }
    assert {k: f.value for k, f in found.metrics.items()} == pytest.approx(expected)
    assert all(f.low <= f.value <= f.high for f in found.metrics.values())


def test_calibration_within_regimen_is_reported_like_a_subgroup(cell):
    assert cell("sound", REGIMEN, "A").metrics["observed_to_expected"].low < 1


def test_a_small_cell_has_no_figures_and_says_why(cell):
    small = cell("sound", "Rare", "Yes")
    assert small.metrics == {} and small.suppressed == f"fewer than {MIN_PATIENTS} patients"


def test_a_cell_with_few_events_has_no_figures_and_says_why(panel, spec, names):
    y = panel.outcomes[names[0]]
    events = np.flatnonzero(y == 1)
    level = np.zeros(N, bool)
    level[events[:9]] = level[np.flatnonzero(y == 0)[:60]] = True
    found = evaluate(replace(panel, groups={"G": {"L": level}}), spec, replicates=50)
    cell = found.model("sound").outcomes[names[0]].cells[0]
    assert (cell.patients, cell.events, cell.metrics) == (69, 9, {})
    assert "fewer than 10 patients with the event" in cell.suppressed


@pytest.mark.parametrize("size", [3, 40])
def test_a_count_that_could_point_to_a_person_is_not_given_nor_the_one_it_follows_from(panel, spec, names, size):
    """Three patients; or forty of whom all but two had the event."""
    y = panel.outcomes[names[0]]
    rare = np.zeros(N, bool)
    rare[np.flatnonzero(y == 1)[: max(size - 2, 1)]] = rare[np.flatnonzero(y == 0)[:2]] = True
    third = ~rare & (np.arange(N) < 300)
    levels = {"rare": rare, "smaller": third, "larger": ~rare & ~third}
    found = evaluate(replace(panel, groups={"G": levels}, regimens={}), spec, replicates=50)
    cells = {c.level: c for c in found.model("sound").outcomes[names[0]].cells}
    assert cells["rare"].patients is None and cells["rare"].events is None
    assert cells["smaller"].patients is None and cells["smaller"].metrics
    assert cells["larger"].patients == levels["larger"].sum()


def test_an_empty_level_hides_no_other(panel, spec, names):
    groups = {"Sex": {**panel.groups["Sex"], "not known": np.zeros(N, bool)}}
    found = evaluate(replace(panel, groups=groups, regimens={}), spec, replicates=50)
    cells = {c.level: c for c in found.model("sound").outcomes[names[0]].cells}
    assert cells["Male"].patients + cells["Female"].patients == N and cells["not known"].patients is None


def test_a_model_that_knows_the_future_is_reported_as_leaking(evaluation):
    warned = [w for w in evaluation.warnings if "leakage" in w]
    assert len(warned) == 1 and "leaking has an AUROC of 1.00" in warned[0]


def test_a_model_without_answers_for_some_is_judged_on_the_others_and_compared_on_those(evaluation, panel, names):
    judged = evaluation.model("part").outcomes[names[0]]
    assert judged.patients == 600
    assert difference(evaluation, "part", "log_loss", names[0]).value == pytest.approx(0, abs=1e-12)
    assert any("part answers 600 of 900 patients" in w for w in evaluation.warnings)


def test_one_chance_for_everyone_has_no_slope_and_half_the_area(evaluation, names):
    metrics = evaluation.model("rate").outcomes[names[0]].metrics
    assert metrics["calibration_slope"].value is None and metrics["calibration_slope"].reason
    assert metrics["auroc"].value == pytest.approx(0.5)


def test_the_evaluation_says_how_patients_were_held_out_and_resampled(evaluation):
    assert evaluation.rows == (
        "held out by site; 95% intervals from 200 bootstrap resamples of patients (5 sites are too few to resample)"
    )
    assert evaluation.patients == N


def test_an_outcome_that_nobody_recorded_has_reasons_instead_of_figures(panel, spec, names):
    resection, _ = names
    empty = replace(panel, outcomes={resection: np.full(N, np.nan)}, rows={resection: np.ones(N, bool)})
    empty = replace(empty, predictions={"sound": {resection: panel.predictions["sound"][resection]}})
    judged = evaluate(empty, spec, replicates=50).model("sound").outcomes[resection]
    assert judged.patients == 0
    assert all(f.value is None and f.reason for f in judged.metrics.values())


def test_the_same_seed_gives_the_same_evaluation(panel, spec):
    small = replace(panel, groups={}, regimens={})
    assert evaluate(small, spec, replicates=50, seed=3) == evaluate(small, spec, replicates=50, seed=3)


def test_progress_is_told_after_each_outcome(panel, spec, names):
    told = []
    evaluate(replace(panel, groups={}, regimens={}), spec, replicates=50, tick=told.append)
    assert sorted(told) == sorted(names)


def test_everything_that_does_not_fit_is_named_at_once(panel, spec, names):
    resection, _ = names
    wrong = replace(
        panel,
        outcomes={**panel.outcomes, "survival": np.zeros(N)},
        predictions={**panel.predictions, "odd": {resection: np.full(N, 1.5)}, "short": {resection: np.zeros(3)}},
    )
    with pytest.raises(PanelError) as refused:
        evaluate(wrong, spec, against=("nobody",))
    for words in (
        "outcome survival: not in the specification",
        "outcome survival: rows say nothing of it",
        "model odd: kinds do not say what it is",
        f"model odd, {resection}: predictions must be probabilities from 0 to 1",
        f"model short, {resection}: has shape (3,); one entry for each of {N} patients is needed",
        "compared against nobody: no such model",
    ):
        assert words in str(refused.value)


@pytest.mark.bench
def test_twenty_thousand_patients_and_eight_models_take_less_than_forty_seconds(spec):
    n = 20_000
    rng = np.random.default_rng(6)
    x, site, regimen = rng.normal(0, 1, n), rng.integers(6, size=n), rng.integers(15, size=n)
    halves = rng.random((5, n)) < 0.5
    names = spec.outcomes.names
    outcomes = {name: (rng.random(n) < expit(x - 1)).astype(float) for name in names}
    panel = Panel(
        outcomes=outcomes,
        rows={o: np.ones(n, bool) if spec.outcomes[o].given is None else rng.random(n) < 0.4 for o in names},
        predictions={f"m{i}": {o: expit(x - 1 + rng.normal(0, 0.3, n)) for o in names} for i in range(8)},
        kinds={f"m{i}": "candidate" for i in range(8)},
        groups={
            **{f"G{i}": {"a": half, "b": ~half} for i, half in enumerate(halves)},
            "Site": {str(s): site == s for s in range(6)},
        },
        regimens={f"R{i}": regimen == i for i in range(15)},
        cluster=site,
        how="made up",
    )
    started = time.process_time()
    evaluate(panel, spec, against=("m0",))
    assert time.process_time() - started < 40

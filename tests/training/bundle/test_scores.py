"""The scoring path is coherent, and equals what was trained."""

import numpy as np
import pytest
import xgboost as xgb

from features import Patients
from training.bundle import STATES, Bundle, MissingBaseMargin, OutcomeModel
from training.bundle.learned import BoosterModel, LogisticModel, LogisticParameters

RECORDS = [
    {"age_years": 54, "n_liver_metastases": 9, "ras_status": "mutant", "bilobar": True},
    {"age_years": 71, "n_liver_metastases": 3, "ras_status": "wt", "braf_status": "wt", "primary_site": "sigmoid"},
    {"age_years": 40},
]


@pytest.fixture(scope="module")
def patients(spec):
    return Patients.from_records(spec, RECORDS)


@pytest.fixture(scope="module")
def booster(spec):
    rng = np.random.default_rng(1)
    columns = spec.encoding.learned
    x = rng.normal(size=(300, len(columns)))
    y = (x[:, 0] > 0).astype(float)
    trained = xgb.train(
        {"max_depth": 2, "objective": "binary:logistic"}, xgb.DMatrix(x, y, base_margin=np.zeros(300)), 5
    )
    return bytes(trained.save_raw("ubj"))


def test_children_never_exceed_parents_and_the_three_states_sum_to_one(spec, prior, patients, manifest_of):
    scores = Bundle(manifest_of(spec), prior, spec).score(patients, list(spec.regimens.all()))
    p = scores.probability
    assert (p["conversion_12m"] <= p["resection_12m"]).all()
    assert (p["r0_resection_12m"] <= p["conversion_12m"]).all()
    assert (p["major_complication"] <= p["any_complication"]).all()
    assert (p["mortality_90d"] <= p["major_complication"]).all()
    assert sum(scores.states[s] for s in STATES) == pytest.approx(np.ones((3, 20)))
    for name in p:
        assert (scores.low[name] <= p[name]).all() and (p[name] <= scores.high[name]).all()


def test_the_range_of_each_state_holds_it_and_is_that_of_its_own_draws(spec, prior, patients, manifest_of):
    bundle = Bundle(manifest_of(spec), prior, spec)
    regimens = list(spec.regimens.all())[:4]
    scores = bundle.score(patients, regimens)
    _, drawn = bundle.engine.reported(patients, regimens)
    resected = drawn[:, list(spec.outcomes.names).index("resection_12m")]
    both = resected * drawn[:, list(spec.outcomes.names).index("major_complication")]
    for i, (state, own) in enumerate(zip(STATES, (1 - resected, resected - both, both), strict=True)):
        low, high = scores.state_bounds[:, :, i]
        assert (low <= scores.states[state]).all() and (scores.states[state] <= high).all()
        expected = np.quantile(own, [0.05, 0.95], axis=1)
        assert high == pytest.approx(np.maximum(expected[1], scores.states[state]), abs=1e-6)
        assert low == pytest.approx(np.minimum(expected[0], scores.states[state]), abs=1e-6)
    without = bundle.score(patients, regimens, intervals=False)
    assert (without.state_bounds == np.stack(list(without.states.values()), axis=1)).all()


def test_the_order_and_the_company_of_regimens_change_no_answer(spec, prior, patients, manifest_of):
    bundle = Bundle(manifest_of(spec), prior, spec)
    regimens = list(spec.regimens.all())
    together = bundle.score(patients, regimens)
    backwards = bundle.score(patients, regimens[::-1])
    alone = bundle.score(patients.take(np.array([1])), regimens[3:4])
    for name in spec.outcomes.names:
        assert backwards.probability[name][:, ::-1] == pytest.approx(together.probability[name])
        assert alone.high[name][0, 0] == pytest.approx(together.high[name][1, 3])


def test_a_prior_started_booster_scores_as_xgboost_does_with_the_prior_as_base_margin(
    spec, prior, patients, booster, manifest_of
):
    learned = BoosterModel(booster, spec.encoding.learned, (), True, 0.0, spec)
    regimens = list(spec.regimens.all())[:4]
    models = tuple(
        OutcomeModel(outcome=n, learner="xgboost_prior" if n == "resection_12m" else "evidence")
        for n in spec.outcomes.names
    )
    bundle = Bundle(manifest_of(spec, models=models), prior, spec, {"resection_12m": learned})
    native = xgb.Booster()
    native.load_model(bytearray(booster))
    matrix = spec.encoding.patient_matrix(patients, spec.encoding.learned)
    for j, regimen in enumerate(regimens):
        margin = prior.log_odds(patients, [regimen], "resection_12m")[:, 0]
        expected = native.predict(xgb.DMatrix(matrix, base_margin=margin))
        assert bundle.score(patients, regimens).probability["resection_12m"][:, j] == pytest.approx(expected, abs=1e-6)


def test_a_prior_started_booster_without_its_base_margin_is_an_error(spec, patients, booster):
    learned = BoosterModel(booster, spec.encoding.learned, (), True, 0.0, spec)
    with pytest.raises(MissingBaseMargin, match="give its log-odds as base_margin"):
        learned.log_odds(patients, spec.regimens.all(), None)


def test_what_was_learned_moves_the_answer_but_never_narrows_the_evidence_s_interval(
    spec, prior, patients, booster, manifest_of
):
    learned = {n: BoosterModel(booster, spec.encoding.learned, (), True, 0.0, spec) for n in spec.outcomes.names}
    models = tuple(OutcomeModel(outcome=n, learner="xgboost_prior") for n in spec.outcomes.names)
    regimens = list(spec.regimens.all())
    evidence = Bundle(manifest_of(spec), prior, spec).score(patients, regimens)
    simulated = Bundle(manifest_of(spec, "simulated", models), prior, spec, learned).score(patients, regimens)
    name = "resection_12m"
    assert not np.allclose(evidence.probability[name], simulated.probability[name])

    def width(scores):
        low, high = (np.clip(s[name], 1e-9, 1 - 1e-9) for s in (scores.low, scores.high))
        return np.log(high / (1 - high)) - np.log(low / (1 - low))

    # Quantiles are interpolated between draws on the probability scale, hence the percent of slack.
    assert (width(simulated) >= 0.99 * width(evidence)).all()


def test_a_logistic_regression_fills_a_missing_factor_with_its_median_and_says_it_was_missing(spec):
    parameters = LogisticParameters(
        intercept=-1.0,
        terms=("age", "bevacizumab", "anti_egfr_ras_mutant"),
        coefficients=(0.5, 0.2, -0.4),
        medians={"age": 0.3, "ras_mutant": 1.0},
        missing={"albumin": 0.7},
    )
    patients = Patients.from_records(spec, [{"albumin_g_l": 40.0}, {"age_years": 80}])
    regimens = [spec.regimens.regimen("folfox", b) for b in ("none", "bevacizumab", "cetuximab")]
    log_odds = LogisticModel(parameters, spec).log_odds(patients, regimens)
    assert log_odds[0] == pytest.approx([-1 + 0.15, -1 + 0.15 + 0.2, -1 + 0.15 - 0.4])
    assert log_odds[1] == pytest.approx([-1 + 1.0 + 0.7 + x for x in (0, 0.2, -0.4)])


def test_intervals_can_be_left_out(spec, prior, patients, manifest_of):
    scores = Bundle(manifest_of(spec), prior, spec).score(patients, list(spec.regimens.all())[:2], intervals=False)
    assert scores.low["resection_12m"] == pytest.approx(scores.probability["resection_12m"])


def test_the_interval_of_a_difference_is_narrower_than_the_two_intervals_suggest(spec, prior, patients, manifest_of):
    bundle = Bundle(manifest_of(spec), prior, spec)
    pair = [spec.regimens.regimen("folfox", b) for b in ("bevacizumab", "none")]
    scores, compared = bundle.score(patients, pair), bundle.compare(patients, *pair)
    name = "resection_12m"
    p = scores.probability[name]
    assert compared.difference[name] == pytest.approx(p[:, 0] - p[:, 1])
    assert (compared.low[name] <= compared.difference[name]).all()
    alone = (scores.high[name] - scores.low[name]).sum(axis=1)
    assert (compared.high[name] - compared.low[name] < 0.7 * alone).all()


def test_only_what_is_not_conditional_on_resection_is_compared(spec, prior, patients, manifest_of):
    bundle = Bundle(manifest_of(spec), prior, spec)
    compared = bundle.compare(patients, *spec.regimens.all()[:2])
    assert "major_complication" not in compared.difference
    assert sum(compared.difference[s] for s in STATES) == pytest.approx(np.zeros(3))


def test_a_regimen_compared_with_itself_does_not_differ(spec, prior, patients, manifest_of):
    same = spec.regimens.all()[5]
    compared = Bundle(manifest_of(spec), prior, spec).compare(patients, same, same)
    for name in compared.difference:
        assert compared.low[name] == pytest.approx(0) and compared.high[name] == pytest.approx(0)

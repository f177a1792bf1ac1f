"""Closed testing chooses the least update that events justify, and says on how many degrees of freedom."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from validation.closed_testing import LEVEL, Minimums, choose, climb, holm

GOLDEN = json.loads((Path(__file__).parent / "golden" / "closed_testing.json").read_text("utf-8"))


def golden_data(case):
    i = np.arange(800)
    prognosis = -0.4 + 0.9 * np.sin(i)
    log_odds = prognosis + 0.3 * (i % 3 == 0)
    inputs = np.column_stack([np.cos(2 * i), np.sin(5 * i + 1)])
    true = {
        "right": log_odds,
        "shifted": log_odds + 0.5,
        "turned": log_odds - 0.6 * prognosis,
        "revised": log_odds + 0.6 * inputs[:, 0],
    }[case]
    y = ((i * 0.618033988749895) % 1 < expit(true)).astype(float)
    return y, log_odds, inputs, prognosis


def drawn(n, seed, move=lambda log_odds, inputs: log_odds):
    rng = np.random.default_rng(seed)
    log_odds, inputs = rng.normal(-0.4, 0.8, n), rng.normal(size=(n, 4))
    y = (rng.random(n) < expit(move(log_odds, inputs))).astype(float)
    return y, log_odds, inputs


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_statistics_degrees_of_freedom_and_p_values_equal_those_of_r(case):
    expected = GOLDEN["cases"][case]
    ladder = climb(*golden_data(case))
    assert ladder.events == expected["events"]
    for step, test in ladder.tests.items():
        assert test.statistic == pytest.approx(expected["tests"][step]["statistic"], abs=1e-6)
        assert test.df == expected["tests"][step]["df"]
        assert test.p == pytest.approx(expected["tests"][step]["p"], rel=1e-5)
    if "intercept" in ladder.tests:
        assert ladder.parameters["intercept"] == pytest.approx((expected["intercept"], 1.0), abs=1e-6)
    if "line" in ladder.tests:
        assert ladder.parameters["line"] == pytest.approx(expected["line"], abs=1e-6)


@pytest.mark.parametrize(
    ("case", "step"), [("right", "nothing"), ("shifted", "intercept"), ("turned", "line"), ("revised", "revision")]
)
def test_each_departure_gets_the_least_step_that_answers_it(case, step):
    chosen = choose({"it": climb(*golden_data(case))})["it"]
    assert chosen.step == step
    assert chosen.df["nothing"] == 4
    assert (chosen.intercept, chosen.slope) == (0.0, 1.0) if step == "nothing" else chosen.intercept != 0.0
    for df, statistic in zip(chosen.df.values(), chosen.statistics.values(), strict=True):
        assert f"{statistic:.1f} on {df} degree" in chosen.reason


def test_degrees_of_freedom_fall_by_one_from_step_to_step():
    chosen = choose({"it": climb(*drawn(3000, 1, lambda lp, x: 0.3 + 0.5 * lp + 0.5 * x[:, 0]))})["it"]
    assert dict(chosen.df) == {"nothing": 6, "intercept": 5, "line": 4}


def test_an_original_that_is_right_is_kept_about_95_times_in_100():
    kept = [choose({"it": climb(*drawn(700, seed))})["it"].step == "nothing" for seed in range(300)]
    assert 0.91 < np.mean(kept) < 0.985


def test_holm_keeps_twelve_right_originals_together_about_95_times_in_100():
    whole, alone = [], []
    for seed in range(60):
        ladders = {str(j): climb(*drawn(400, 100 * seed + j)) for j in range(12)}
        whole.append(all(c.step == "nothing" for c in choose(ladders).values()))
        alone.append(all(choose({k: v})[k].step == "nothing" for k, v in ladders.items()))
    assert np.mean(whole) >= 0.88 > np.mean(alone)


def test_holms_correction_equals_that_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(5)
    for size in (1, 2, 7, 12):
        p = rng.random(size) ** 3
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([]) == []


def test_a_shift_that_holm_rejects_is_not_hidden_by_outcomes_that_are_right():
    ladders = {str(j): climb(*drawn(800, j)) for j in range(11)}
    ladders["shifted"] = climb(*drawn(800, 50, lambda lp, x: lp + 0.5))
    chosen = choose(ladders)["shifted"]
    assert chosen.step == "intercept"
    assert chosen.corrected == pytest.approx(12 * chosen.p["nothing"])
    assert chosen.intercept == pytest.approx(0.5, abs=0.25)


def test_the_second_test_is_not_asked_where_the_first_is_not_rejected():
    ladder = climb(*golden_data("right"))
    assert list(ladder.tests) == ["nothing"] and ladder.tests["nothing"].p > LEVEL


@pytest.mark.parametrize(
    ("n", "most", "said", "df"),
    [
        (30, "nothing", "nothing could be tested", {}),
        (100, "intercept", "a new intercept is the most considered", {"nothing": 1}),
        (800, "revision", "a revision", {"nothing": 6, "intercept": 5, "line": 4}),
    ],
)
def test_with_few_events_the_largest_step_that_they_allow_is_the_alternative(n, most, said, df):
    ladder = climb(*drawn(n, 4, lambda lp, x: 1.2 - 0.4 * lp + x[:, 0]))
    assert ladder.ceiling == most
    chosen = choose({"it": ladder})["it"]
    assert said in chosen.reason
    assert dict(chosen.df) == df
    if most == "nothing":
        assert chosen.step == "nothing" and chosen.corrected is None and "takes 20" in chosen.reason


def test_non_events_count_as_events_do():
    y, log_odds, inputs = drawn(400, 2, lambda lp, x: lp + 4.0)
    few = int(len(y) - y.sum())
    assert few < 20
    assert f"{few} patients without the event" in choose({"it": climb(y, log_odds + 4.0, inputs)})["it"].reason


def test_a_revision_waits_for_the_patients_that_rileys_criteria_ask_for():
    data = drawn(1000, 3, lambda lp, x: lp + x[:, 0])
    assert choose({"it": climb(*data)})["it"].step == "revision"
    chosen = choose({"it": climb(*data, patients=1500)})["it"]
    assert chosen.step != "revision" and chosen.df["nothing"] == 2
    assert "1,000 patients, and a revision takes 1,500" in chosen.reason


def test_a_revision_takes_ten_events_for_each_parameter_and_never_fewer_than_a_line():
    assert Minimums().of("revision", 6) == 100
    assert Minimums().of("revision", 15) == 150


def test_a_slope_that_turns_the_order_of_patients_round_is_never_a_line():
    y, log_odds, inputs = drawn(1000, 6, lambda lp, x: -0.6 * lp)
    chosen = choose({"it": climb(y, log_odds, inputs)})["it"]
    assert chosen.step == "revision" and chosen.slope > 0
    assert "turn the order of patients round" in chosen.reason


def test_predictions_and_inputs_without_spread_cost_no_degree_of_freedom():
    y, _, inputs = drawn(600, 7, lambda lp, x: 0 * lp + 0.5)
    inputs[:, 1] = 0.0
    ladder = climb(y, np.zeros(600), inputs)
    assert "line" not in ladder.tests
    assert ladder.tests["nothing"].df == 4


def test_the_slope_turns_prognosis_and_leaves_what_a_regimen_adds():
    rng = np.random.default_rng(8)
    prognosis, regimen = rng.normal(-0.4, 1.0, 20_000), 0.8 * (rng.random(20_000) < 0.5)
    y = (rng.random(20_000) < expit(0.6 * prognosis + regimen)).astype(float)
    chosen = choose({"it": climb(y, prognosis + regimen, rng.normal(size=(20_000, 2)), prognosis)})["it"]
    assert chosen.step == "line"
    assert chosen.slope == pytest.approx(0.6, abs=0.05)
    assert chosen.intercept == pytest.approx(0.0, abs=0.05)


def test_what_is_wrong_with_the_input_is_said_at_once():
    y, log_odds, inputs = drawn(50, 9)
    y[0], log_odds[1] = np.nan, np.inf
    with pytest.raises(ValueError, match="leave out patients whose outcome is not known; log_odds holds missing"):
        climb(y, log_odds, inputs)
    with pytest.raises(ValueError, match="log_odds has shape"):
        climb(y[:10], log_odds, inputs)

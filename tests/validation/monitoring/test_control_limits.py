"""Control limits keep the false alarms they promise, and still find what matters."""

import itertools

import numpy as np
import pytest

from validation.monitoring.control_limits import (
    FEWER,
    MORE,
    CaseMix,
    ControlLimits,
    control_limits,
    draw,
    power,
    rolling_alarms,
)
from validation.monitoring.outcome import Closed, watch
from validation.monitoring.sequential import crossed_twice, rolling
from validation.monitoring.thresholds import Directions, load_thresholds

SETTINGS = load_thresholds().calibration
SHARES = {"root": Directions(more=1, fewer=1), "late": Directions(more=3, fewer=0.5)}


@pytest.fixture(scope="module")
def mix():
    rng = np.random.default_rng(3)
    resected = rng.uniform(0.1, 0.8, 400)
    return CaseMix(
        {"root": 0.9 * resected, "late": rng.uniform(0.08, 0.3, 400)}, {"root": np.ones(400), "late": resected}
    )


@pytest.fixture(scope="module")
def limits(mix):
    return control_limits(mix, SHARES, SETTINGS, per_month=10, runs=1500)


def test_false_alarms_are_at_most_what_was_asked_for(mix, limits):
    assert limits.false_alarms <= SETTINGS.aim < SETTINGS.false_alarms
    fresh = draw(mix, 1000, 36, 10, np.random.default_rng(99))
    first = np.stack([limits.first_alarm(fresh, name) for name in mix.chance])
    third = ((first > 240) & (first <= 360)).any(axis=0)
    assert third.mean() <= 0.065  # 5% and two standard errors of 1,000 years


def test_half_as_many_events_again_are_found_within_sixty(mix, limits):
    for name in mix.chance:
        assert power(mix, limits, name, 1.5, runs=300).within_events >= 0.8


def test_a_larger_share_of_the_false_alarms_lowers_a_limit(limits):
    assert limits.height["late", MORE] < limits.height["late", FEWER]


def test_limits_are_the_same_each_time(mix, limits):
    assert control_limits(mix, SHARES, SETTINGS, per_month=10, runs=1500) == limits


def test_only_those_at_risk_can_have_the_later_event(mix):
    drawn = draw(mix, 50, 12, 10, np.random.default_rng(1))
    at_risk = ~np.isnan(drawn.events["late"])
    assert at_risk.mean() == pytest.approx(mix.at_risk["late"].mean(), abs=0.03)
    # The first outcome lies within the event that the second is given.
    assert at_risk[drawn.events["root"] == 1].all()


def test_a_drift_moves_the_events_by_the_ratio(mix):
    drawn = draw(mix, 400, 12, 10, np.random.default_rng(1), {"root": 1.5})
    assert drawn.events["root"].mean() / mix.chance["root"].mean() == pytest.approx(1.5, abs=0.04)


def test_the_simulated_rolling_rule_is_the_rule_of_the_page(mix):
    drawn = draw(mix, 40, 30, 4, np.random.default_rng(8), {"late": 2.2})
    p, y = drawn.chance["late"], drawn.events["late"]
    found = rolling_alarms(p, y, 4, 12)
    month = np.repeat(np.arange(30), 4)
    raised = 0
    for run in range(40):
        known = ~np.isnan(y[run])
        point = crossed_twice(rolling(month[known], p[run][known], y[run][known], 12))
        raised += point is not None
        assert (int(found[run].argmax()) if found[run].any() else None) == (point.month if point else None)
    assert raised > 5


def test_the_simulated_chart_is_the_chart_of_the_page(mix, limits):
    drawn = draw(mix, 30, 24, 10, np.random.default_rng(8), {"root": 1.4})
    first = limits.first_alarm(drawn, "root")
    month = np.repeat(np.arange(600, 624), 10)
    for run, alarm in itertools.islice(enumerate(first), 30):
        closed = Closed(
            outcome="root",
            label="Root",
            month=month,
            chance=drawn.chance["root"][run],
            happened=drawn.events["root"][run],
            asked=np.ones(240, dtype=bool),
            undecided=np.ones(240, dtype=bool),
            version="1",
            served=True,
        )
        found = watch(closed, SETTINGS, limits)
        raised = any(f.retrain for f in found.findings)
        assert raised == (alarm > 0)


def _closed(happened, served=True, patients=240, undecided=None):
    month = np.repeat(np.arange(600, 600 + patients // 10), 10)
    chance = np.full(patients, 0.3)
    everyone = np.ones(patients, dtype=bool)
    undecided = everyone if undecided is None else undecided
    return Closed("root", "Root", month, chance, happened, everyone, undecided, "1", served)


NARROW = ControlLimits({("root", MORE): 4.0, ("root", FEWER): 4.0}, 2.0, 10, 12, 0.05)


def test_under_eighty_percent_known_nothing_is_judged():
    happened = np.ones(240)
    happened[::4] = np.nan
    found = watch(_closed(happened), SETTINGS, NARROW)
    assert not found.evaluable
    assert found.points == () and found.charts == ()
    assert "not yet evaluable, known of 75%" in found.findings[0].text
    assert not any(f.retrain for f in found.findings)


def test_a_recent_gap_in_follow_up_is_not_hidden_by_earlier_months():
    happened = np.tile([1.0, 0, 0, 1, 0, 0, 0, 0, 1, 0], 24)
    happened[120:160] = np.nan
    assert not watch(_closed(happened), SETTINGS, NARROW).evaluable


def test_an_outcome_known_only_where_it_cannot_have_happened_is_not_judged():
    undecided = np.arange(240) % 10 == 0
    happened = np.where(undecided, np.nan, 0.0)
    assert not watch(_closed(happened, undecided=undecided), SETTINGS, NARROW).evaluable


def test_what_a_replaced_version_did_is_shown_and_raises_no_alert():
    found = watch(_closed(np.ones(240), served=False), SETTINGS, NARROW)
    assert found.severity.word == "show"
    assert all("which no longer answers" in f.text for f in found.findings)
    assert watch(_closed(np.ones(240)), SETTINGS, NARROW).severity.word == "alert"


def test_an_outcome_without_limits_is_shown_only():
    found = watch(_closed(np.ones(240)), SETTINGS, None)
    assert found.charts == ()
    assert found.severity.word == "show"


def test_the_stop_rule_is_named():
    texts = " ".join(f.text for f in watch(_closed(np.ones(240)), SETTINGS, NARROW).findings)
    assert "Stop rule" in texts

"""Counts, limits and charts, against enumeration, scipy and arithmetic by hand."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from validation.monitoring.sequential import (
    beyond,
    crossed_twice,
    cusum,
    event_counts,
    limits,
    rolling,
    shifted,
)

RNG = np.random.default_rng(5)


def test_event_counts_agree_with_going_through_every_possibility():
    p = RNG.uniform(0.02, 0.9, 9)
    expected = np.zeros(10)
    for happened in itertools.product((0, 1), repeat=9):
        y = np.array(happened)
        expected[y.sum()] += np.prod(np.where(y == 1, p, 1 - p))
    assert event_counts(p) == pytest.approx(expected)
    assert event_counts(np.stack([p, p[::-1]]))[1] == pytest.approx(expected)


def test_event_counts_of_equal_chances_are_scipys_binomial():
    assert event_counts(np.full(137, 0.17)) == pytest.approx(binom.pmf(np.arange(138), 137, 0.17), abs=1e-12)


def test_nobody_has_no_events():
    assert event_counts(np.empty(0)).tolist() == [1.0]


@pytest.mark.parametrize(
    ("chance", "patients", "low", "high"),
    [(0.4, 50, 0.66, 1.34), (0.4, 100, 0.76, 1.24), (0.2, 100, 0.61, 1.39), (0.2, 200, 0.72, 1.28)],
)
def test_exact_limits_lie_within_one_event_of_the_published_normal_ones(chance, patients, low, high):
    # DOMAIN 6.2, computed there from the normal approximation.
    fewest, most = limits(np.full(patients, chance), 0.95)
    assert abs(fewest - low * chance * patients) <= 1
    assert abs(most - high * chance * patients) <= 1


def test_limits_are_left_no_more_often_than_they_say():
    p = RNG.uniform(0.05, 0.6, 40)
    counts = event_counts(p)
    for level in (0.95, 0.998):
        fewest, most = limits(p, level)
        assert counts[:fewest].sum() <= (1 - level) / 2
        assert counts[most + 1 :].sum() <= (1 - level) / 2
        assert counts[: fewest + 1].sum() > (1 - level) / 2


def test_shifted_predictions_expect_the_wanted_events():
    p = RNG.uniform(0.05, 0.6, 200)
    assert shifted(p, 1.5).sum() == pytest.approx(1.5 * p.sum())
    with pytest.raises(ValueError, match="no shift"):
        shifted(np.full(10, 0.9), 1.5)


def test_a_cusum_adds_what_steiner_says_it_adds():
    # Odds ratio 2: log(2 / 1.1) for an event predicted at 0.1 and log(1 / 1.1) without one (Steiner 2000, 2.2).
    path = cusum(np.array([0.1, 0.1, 0.1, 0.1]), np.array([1.0, 0.0, np.nan, 1.0]), 2.0)
    assert path == pytest.approx([0.597837, 0.502527, 0.502527, 1.100364], abs=1e-6)


def test_a_cusum_never_falls_below_zero_and_looks_one_way():
    path = cusum(np.full(50, 0.5), np.zeros(50), 2.0)
    assert path.max() == 0
    assert cusum(np.full(50, 0.5), np.zeros(50), 0.5)[-1] == pytest.approx(50 * np.log(1 / 0.75))


def test_the_window_holds_the_last_twelve_months():
    month = np.repeat(np.arange(24), 5)
    points = rolling(month, np.full(120, 0.3), (month < 12).astype(float), 12)
    assert [points[i].observed for i in (0, 11, 23)] == [5, 60, 0]
    assert points[23].patients == 60
    assert points[23].expected == pytest.approx(18)
    assert points[23].side() == -1


def test_a_month_without_patients_has_the_window_of_the_others():
    points = rolling(np.array([0, 0, 3]), np.full(3, 0.5), np.ones(3), 2)
    assert [(p.month, p.patients) for p in points] == [(0, 2), (1, 2), (3, 1)]


def test_two_month_ends_in_a_row_are_needed():
    month = np.repeat(np.arange(14), 10)
    quiet = np.tile([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 14)
    once = np.where(month == 13, 1.0, quiet)
    points = rolling(month, np.full(140, 0.1), once, 2)
    assert points[-1].side() == 1
    assert crossed_twice(points) is None
    twice = np.where(month >= 12, 1.0, quiet)
    assert crossed_twice(rolling(month, np.full(140, 0.1), twice, 2)).month == 13


@pytest.mark.parametrize(("events", "stopped"), [(20, False), (48, False), (75, True), (1, True), (8, False)])
def test_the_stop_rule_needs_more_than_chance(events, stopped):
    # 20 are expected: 48 are 2.4 times that, which a true 2.0 gives by chance; 75 are not.
    assert beyond(np.full(100, 0.2), events, (0.5, 2.0)) is stopped

"""Intervals of percentages mean what they say."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from training.evidence.predictive import Interval, binomial_interval, naive_interval


def test_a_known_chance_gives_the_binomial_interval():
    interval = binomial_interval(0.0, 0.0, 40)
    assert (interval.low, interval.high) == (binom.ppf(0.05, 40, 0.5) / 40, binom.ppf(0.95, 40, 0.5) / 40)


def test_nine_tenths_of_what_is_drawn_lies_inside():
    random = np.random.default_rng(3)
    interval = binomial_interval(-0.5, 0.4, 80)
    drawn = random.binomial(80, expit(-0.5 + np.sqrt(0.4) * random.standard_normal(20_000))) / 80
    assert np.mean([interval.low <= x <= interval.high for x in drawn]) == pytest.approx(0.91, abs=0.02)


def test_smaller_studies_and_more_doubt_widen_it():
    width = [i.high - i.low for i in (binomial_interval(0, v, n) for v, n in ((0.1, 400), (0.1, 30), (0.8, 30)))]
    assert width[0] < width[1] < width[2]


def test_a_miss_costs_twenty_times_its_distance():
    interval = Interval(0.5, 0.4, 0.6)
    assert interval.score(0.5) == pytest.approx(0.2)
    assert interval.score(0.7) == pytest.approx(0.2 + 20 * 0.1)


def test_a_printed_percentage_may_round_to_a_bound():
    assert Interval(0.5, 0.4, 0.602).holds(0.606)
    assert not Interval(0.5, 0.4, 0.6).holds(0.62)


def test_the_naive_interval_holds_the_next_exchangeable_arm():
    random = np.random.default_rng(5)
    held = []
    for _ in range(2000):
        rates = expit(random.normal(-0.5, 0.7, 9))
        held.append(naive_interval(rates[:8], 10_000).holds(rates[8]))
    assert np.mean(held) == pytest.approx(0.90, abs=0.025)

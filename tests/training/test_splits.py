"""Patients who belong together are held out together."""

import numpy as np
import pytest

from training.splits import CannotSplit, Split, choose_split, folds

SITES = np.array(["a"] * 50 + ["b"] * 30 + ["c"] * 10 + ["d"] * 5)
DATES = np.datetime64("2020-01-01") + np.arange(95).astype("timedelta64[D]") * 7


def test_a_site_is_never_on_both_sides_of_a_split():
    fold = folds(Split.SITE, SITES, DATES)
    assert all(len(set(fold[site == SITES])) == 1 for site in set(SITES))
    assert len(set(fold)) == 4


def test_folds_by_time_are_blocks_in_order():
    fold = folds(Split.TIME, SITES, DATES)
    assert (np.diff(fold) >= 0).all() and len(set(fold)) == 5


def test_a_calendar_year_is_never_on_both_sides_of_a_split():
    dates = np.datetime64("2015-01-01") + np.arange(3000).astype("timedelta64[D]")
    fold = folds(Split.TIME, np.repeat("a", len(dates)), dates)
    year = dates.astype("datetime64[Y]")
    assert all(len(set(fold[year == y])) == 1 for y in set(year))
    assert 3 <= len(set(fold)) <= 5


def test_whole_hospitals_are_preferred_and_a_random_split_must_be_asked_for_by_name():
    assert choose_split(SITES, DATES) is Split.SITE
    assert choose_split(SITES[:60], DATES[:60]) is Split.TIME
    assert len(set(folds(Split.RANDOM, SITES, DATES))) == 5


def test_one_site_cannot_be_split_by_site_and_the_message_says_what_to_do():
    with pytest.raises(CannotSplit, match="--split time"):
        folds(Split.SITE, np.array(["a"] * 40), DATES[:40])
    with pytest.raises(CannotSplit, match="--split site"):
        folds(Split.TIME, SITES[:40], np.array(["2020-01-01"] * 40, dtype="datetime64[D]"))

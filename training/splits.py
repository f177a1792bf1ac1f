"""Splits: which patients are held out together, so that no model is judged on its own neighbours."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
LEAST_YEARS = 3  # fewer calendar years than these and periods of equal size are held out instead


class Split(StrEnum):
    """How patients are held out."""

    SITE = "site"  # whole hospitals
    TIME = "time"  # whole calendar years of start dates, or periods where there are few years
    RANDOM = "random"  # only when asked for by name


class CannotSplit(ValueError):
    """The registry does not allow the split that was asked for."""


def choose_split(sites: NDArray[np.str_], dates: NDArray[np.datetime64]) -> Split:
    """Prefer whole hospitals when there are at least three, else time."""
    return Split.SITE if len(set(sites)) >= 3 else Split.TIME


def folds(split: Split, sites: NDArray[np.str_], dates: NDArray[np.datetime64], seed: int = 0) -> NDArray[np.int64]:
    """Assign each patient to a held-out fold.

    Parameters
    ----------
    sites, dates
        Site and start date of each patient, shape (n,).

    Returns
    -------
    (n,) array
        Fold numbers from 0; at most `FOLDS` of them.

    Raises
    ------
    CannotSplit
        When there are fewer than two groups to hold out, saying what to choose instead.
    """
    n = len(sites)
    if split is Split.RANDOM:
        return np.random.default_rng(seed).permutation(np.arange(n) % FOLDS)
    if split is Split.SITE:
        names, counts = np.unique(sites.astype(str), return_counts=True)
        if len(names) < 2:
            raise CannotSplit("there is one site only; split by time instead (--split time)")
        # Largest first into the emptiest fold keeps folds even.
        load = np.zeros(min(FOLDS, len(names)), dtype=int)
        fold_of: dict[str, int] = {}
        for name, count in sorted(zip(names, counts, strict=True), key=lambda pair: (-pair[1], pair[0])):
            fold_of[name] = int(load.argmin())
            load[fold_of[name]] += count
        return np.array([fold_of[str(s)] for s in sites])
    if len(np.unique(dates)) < 2 * FOLDS:
        raise CannotSplit("there are too few start dates to split by time; split by site (--split site)")
    years = dates.astype("datetime64[Y]").astype(np.int64)
    # Whole calendar years where there are enough of them, for practice changes from year to year.
    days = years if len(np.unique(years)) >= LEAST_YEARS else dates.astype("datetime64[D]").astype(np.int64)
    edges = np.unique(np.quantile(days, np.linspace(0, 1, FOLDS + 1)[1:-1], method="lower"))
    return np.unique(np.searchsorted(edges, days, side="right"), return_inverse=True)[1].astype(np.int64)

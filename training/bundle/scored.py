"""The scoring path's results: probabilities with intervals, differences, and log-odds under what was received."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STATES = ("not_resected", "resected_without_major_complication", "resected_with_major_complication")


@dataclass(frozen=True)
class Scores:
    """Probabilities of n patients under r regimens.

    Attributes
    ----------
    names
        Outcomes, in the order of the tree.
    stacked
        P(outcome | given) and the bounds of its 90% interval, shape (3, n, o, r).
    states
        Not resected, resected without and with major complication, by name; they sum to 1. Each of shape (n, r).
    state_bounds
        Lower and upper bound of the 90% interval of each state, in their order, shape (2, n, 3, r).
    """

    names: tuple[str, ...]
    stacked: Array
    states: Mapping[str, Array]
    state_bounds: Array

    @property
    def probability(self) -> Mapping[str, Array]:
        """P(outcome | given) by outcome, each of shape (n, r)."""
        return self._by_name(0)

    @property
    def low(self) -> Mapping[str, Array]:
        """Lower bound of the 90% interval by outcome, each of shape (n, r)."""
        return self._by_name(1)

    @property
    def high(self) -> Mapping[str, Array]:
        """Upper bound of the 90% interval by outcome, each of shape (n, r)."""
        return self._by_name(2)

    def _by_name(self, part: int) -> dict[str, Array]:
        return {name: self.stacked[part, :, i] for i, name in enumerate(self.names)}


@dataclass(frozen=True)
class Comparison:
    """Differences between two regimens for n patients, with the bounds of a 90% interval, each of shape (n,).

    Attributes
    ----------
    difference, low, high
        By name of an outcome that is not conditional on resection, and of a state.
    """

    difference: Mapping[str, Array]
    low: Mapping[str, Array]
    high: Mapping[str, Array]


@dataclass(frozen=True)
class Received:
    """Log-odds of every outcome given its parent for n patients, each of shape (n, o), outcomes in the tree's order.

    Attributes
    ----------
    log_odds
        Under the regimen that each patient received.
    reference
        Under the reference regimen: the patient's prognosis, which no regimen's effect has entered.
    """

    log_odds: Array
    reference: Array

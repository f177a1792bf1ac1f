"""Observations: what a published number says about averages over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from training.evidence.population import Side

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """A published rate (no control) or log odds ratio of a reported outcome.

    Attributes
    ----------
    value, sd
        On the log-odds scale.
    basis
        ``published``, ``unverified`` or ``judgement``.
    """

    name: str
    outcome: str
    exposed: Side
    control: Side | None
    value: float
    sd: float
    basis: str
    studies: tuple[str, ...]

    @property
    def sides(self) -> tuple[Side, ...]:
        """The averaged groups, exposed first."""
        return (self.exposed,) if self.control is None else (self.exposed, self.control)

    def reach(self) -> Array:
        """How far each term differs between the groups (or is present, for a rate), shape (t,)."""
        means = [side.mean() for side in self.sides]
        return means[0] - means[1] if len(means) == 2 else means[0]


@dataclass(frozen=True)
class Average:
    """Average of a reported probability over a side, with its slope in each outcome's coefficients."""

    probability: float
    slopes: Mapping[str, Array]

    @property
    def log_odds(self) -> float:
        """Logit of the average."""
        return float(logit(self.probability))


def average(side: Side, chain: Sequence[str], conditions: Sequence[str], beta: Mapping[str, Array]) -> Average:
    """Average P(outcome | given) over those to whom the given event happens.

    Parameters
    ----------
    chain
        The outcome and the ancestors whose conditional probabilities multiply to the reported one.
    conditions
        Ancestors that make up the given event; they weigh the patients, since trials report on those resected.
    beta
        Coefficients by outcome, each of shape (t,).
    """
    factors = {name: expit(side.log_odds(beta[name])) for name in chain}
    product = np.prod(list(factors.values()), axis=0)
    weight = np.ones_like(product)
    for name in conditions:
        weight = weight * expit(side.log_odds(beta[name]))
    weight = weight / weight.sum()
    mean = float((weight * product).sum())
    slopes = {
        name: ((weight * product * (1 - p)) @ side.right * side.left).sum(axis=0) / (mean * (1 - mean))
        for name, p in factors.items()
    }
    return Average(mean, slopes)

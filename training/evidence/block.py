"""Block: the outcomes that multiply to one reported probability, fitted together.

Each published number is an observation of an average over the case mix, so a coefficient for a patient is not read off
a marginal odds ratio; the posterior mode and its curvature (Gauss-Newton, Laplace approximation) give mean and
covariance. What a contrast pins down is a sum of terms, so the terms come out negatively correlated where the evidence
says so.

What trial arms say of regimens comes as one joint observation of many comparisons (joint.py), so that doubt that
response, surgery and R0 share is not counted three times.

Contrasts within studies move the effects and anchors set the levels, never the other way round: that one study operated
on more of its patients than another says little about their regimens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import Specification
from training.evidence.anchors import widened
from training.evidence.beliefs import Belief
from training.evidence.effect_size import heterogeneity
from training.evidence.joint import Joint
from training.evidence.observation import Average, Observation, average

Array = NDArray[np.float64]
# Least sd of an outcome's level between hospitals, log-odds: rates of 3.3 to 13.7% over 28 hospitals (elfrink2021) are
# 1.5 apart, about four standard deviations with chance included.
BETWEEN_HOSPITALS = 0.3
_STEPS, _ROUNDS, _TOLERANCE, _SETTLED = 60, 30, 1e-10, 1e-5


@dataclass(frozen=True)
class Posterior:
    """Means and covariance of one group of outcomes, their coefficients one after the other."""

    mean: Array
    covariance: Array
    between: Mapping[str, float]


class Chains:
    """Which outcomes multiply to which reported one, and what the report is conditional on."""

    def __init__(self, spec: Specification) -> None:
        tree = spec.outcomes
        self.chain = {name: tree.chain(name) for name in tree.names}
        self.conditions = {
            o.name: () if o.given is None else (o.given, *tree.ancestors(o.given)) for o in tree.outcomes
        }
        self.groups: dict[str, list[str]] = {}
        for name in tree.names:
            self.groups.setdefault(self.chain[name][-1], []).append(name)


class Block:
    """One group of outcomes that is fitted together.

    Parameters
    ----------
    settled
        Coefficients, shape (t,), of outcomes fitted earlier: the weights of the given event.
    """

    def __init__(
        self,
        outcomes: Sequence[str],
        beliefs: Mapping[str, tuple[Belief, ...]],
        terms: tuple[str, ...],
        chains: Chains,
        settled: Mapping[str, Array],
    ) -> None:
        self.outcomes, self.beliefs, self.chains, self.settled = list(outcomes), beliefs, chains, settled
        self.terms = terms
        self.columns = {o: [terms.index(b.term) for b in beliefs[o]] for o in outcomes}
        starts = np.cumsum([0, *(len(self.columns[o]) for o in outcomes)])
        self.place = {o: slice(starts[i], starts[i + 1]) for i, o in enumerate(outcomes)}
        self.mean0 = np.array([b.mean for o in outcomes for b in beliefs[o]])
        self.precision0 = np.array([b.sd**-2.0 for o in outcomes for b in beliefs[o]])

    def coefficients(self, theta: Array) -> dict[str, Array]:
        """Coefficients over all terms by outcome, those settled earlier included."""
        beta = dict(self.settled)
        for outcome in self.outcomes:
            full = np.zeros(len(self.terms))
            full[self.columns[outcome]] = theta[self.place[outcome]]
            beta[outcome] = full
        return beta

    def predict(self, theta: Array, observation: Observation) -> tuple[float, Array]:
        """Predicted log-odds (ratio) of an observation and its slope in theta."""
        beta = self.coefficients(theta)
        chain, conditions = (part[observation.outcome] for part in (self.chains.chain, self.chains.conditions))
        averages: list[Average] = [average(side, chain, conditions, beta) for side in observation.sides]
        slope = np.zeros_like(theta)
        value = 0.0
        for sign, result in zip((1.0, -1.0), averages, strict=False):
            value += sign * result.log_odds
            for outcome, part in result.slopes.items():
                slope[self.place[outcome]] += sign * part[self.columns[outcome]]
        return value, slope

    def whitened(self, theta: Array, seen: Observation | Joint) -> tuple[Array, Array]:
        """Gaps (m,) of observations in units of their error, independent of each other, and their slopes (m, p)."""
        if isinstance(seen, Joint):
            found = [self.predict(theta, one) for one in seen.observations]
            gaps = np.array([one.value - value for one, (value, _) in zip(seen.observations, found, strict=True)])
            return seen.whitening @ gaps, seen.whitening @ np.array([slope for _, slope in found])
        value, slope = self.predict(theta, seen)
        return np.array([(seen.value - value) / seen.sd]), slope[None] / seen.sd

    def climb(self, theta: Array, free: NDArray[np.intp], seen: Sequence[Observation | Joint]) -> tuple[Array, Array]:
        """Posterior mode over some coefficients with the others held, and the curvature there (Gauss-Newton)."""
        precision, mean = self.precision0[free], self.mean0[free]

        def linearised(at: Array) -> tuple[float, Array, Array]:
            gradient, hessian = precision * (mean - at[free]), np.diag(precision)
            loss = float(0.5 * precision @ (at[free] - mean) ** 2)
            for one in seen:
                gaps, slopes = self.whitened(at, one)
                slopes = slopes[:, free]
                loss += 0.5 * float(gaps @ gaps)
                gradient, hessian = gradient + gaps @ slopes, hessian + slopes.T @ slopes
            return loss, gradient, hessian

        def moved(step: NDArray[np.floating[Any]]) -> Array:
            result = theta.copy()
            result[free] += step
            return result

        loss, gradient, hessian = linearised(theta)
        for _ in range(_STEPS):
            step = np.linalg.solve(hessian, gradient)
            tried = linearised(moved(step))
            while tried[0] > loss and float(np.abs(step).max()) > _TOLERANCE:
                step = step / 2
                tried = linearised(moved(step))
            theta = moved(step)
            gained, (loss, gradient, hessian) = loss - tried[0], tried
            if gained < _TOLERANCE:
                break
        return theta, hessian

    def fit(
        self,
        contrasts: Sequence[Observation | Joint],
        anchors: Sequence[Observation | Joint],
        known: Mapping[str, float] | None = None,
    ) -> Posterior:
        """Fit effects to contrasts and levels to anchors, by turns until neither moves.

        Parameters
        ----------
        known
            How much the level of an outcome differs between studies, where that was estimated elsewhere; for the
            others it is estimated on the way (Paule and Mandel).
        """
        known = known or {}
        single = [a for a in anchors if isinstance(a, Observation)]
        joint = [a for a in anchors if isinstance(a, Joint)]
        intercepts = np.array([self.place[o].start + self.columns[o].index(0) for o in self.outcomes])
        effects = np.setdiff1d(np.arange(len(self.mean0)), intercepts)
        between = {o: known.get(o, BETWEEN_HOSPITALS) for o in self.outcomes}
        theta = self.mean0.copy()
        for _ in range(_ROUNDS):
            before = theta
            levels: list[Observation | Joint] = [*(widened(a, between[a.outcome]) for a in single), *joint]
            theta, level_curvature = self.climb(theta, intercepts, levels)
            theta, effect_curvature = self.climb(theta, effects, contrasts)
            between = {
                o: known[o] if o in known else self._between(theta, [a for a in single if a.outcome == o])
                for o in self.outcomes
            }
            if np.abs(theta - before).max() < _SETTLED:
                break
        # An uncertain effect moves the intercept the other way, because the anchors hold the level where they are.
        slopes = np.concatenate([self.whitened(theta, a)[1] for a in levels] or [np.empty((0, len(theta)))])
        follow = -np.linalg.solve(level_curvature, slopes[:, intercepts].T @ slopes[:, effects])
        covariance = np.zeros((len(theta), len(theta)))
        of_effects = np.linalg.inv(effect_curvature)
        covariance[np.ix_(effects, effects)] = of_effects
        covariance[np.ix_(intercepts, effects)] = follow @ of_effects
        covariance[np.ix_(effects, intercepts)] = (follow @ of_effects).T
        covariance[np.ix_(intercepts, intercepts)] = np.linalg.inv(level_curvature) + follow @ of_effects @ follow.T
        return Posterior(theta, covariance, between)

    def _between(self, theta: Array, anchors: Sequence[Observation]) -> float:
        gaps = np.array([a.value - self.predict(theta, a)[0] for a in anchors])
        spread = heterogeneity(gaps, np.array([a.sd**2 for a in anchors]))
        return max(float(np.sqrt(spread)), BETWEEN_HOSPITALS)

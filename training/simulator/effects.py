"""Ranges of effects, with where each comes from; a seed draws one value from each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import Field as Attribute
from pydantic import model_validator

from features import Specification
from features.encoding import Encoding
from features.field import Frozen

Range = tuple[float, float]


class Effect(Frozen):
    """Range of one odds ratio per unit of a term."""

    odds_ratio: Range = Attribute(alias="or")
    basis: Literal["published", "judgement"]
    source: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.odds_ratio
        if not 0 < low <= high:
            raise ValueError("an odds ratio needs 0 < low <= high")
        if self.basis == "published" and not self.source:
            raise ValueError("a published range needs its source")
        return self

    def draw(self, rng: np.random.Generator) -> float:
        """One log odds ratio, evenly within the range."""
        low, high = np.log(self.odds_ratio)
        return float(rng.uniform(low, high))


class Like(Frozen):
    """Another outcome whose effects are taken over, times a share drawn from a range."""

    outcome: str
    share: Range


class OutcomeEffects(Frozen):
    """Effects on one outcome given its parent.

    Attributes
    ----------
    rate
        Range of P(outcome | parent) under the regimens received; the intercept follows from it.
    site_sd
        Range of the spread of sites on the log-odds scale.
    """

    rate: Range
    rate_source: str = Attribute(min_length=3)
    site_sd: Range
    like: Like | None = None
    terms: dict[str, Effect]


class Effects(Frozen):
    """Effects on every outcome, in the order of the tree."""

    outcomes: dict[str, OutcomeEffects]

    def complaints(self, spec: Specification, encoding: Encoding) -> list[str]:
        """Every entry that does not fit the specification."""
        found = [f"effects: unknown outcome {name}" for name in self.outcomes if name not in spec.outcomes.names]
        found += [f"effects: outcome {n} has none" for n in spec.outcomes.names if n not in self.outcomes]
        seen: set[str] = set()
        for name, part in self.outcomes.items():
            known = encoding.terms
            found += [f"effects on {name}: unknown term {t}" for t in part.terms if t not in known]
            if part.like is not None and part.like.outcome not in seen:
                found.append(f"effects on {name}: {part.like.outcome} must come before it")
            seen.add(name)
        return found

    def draw(self, rng: np.random.Generator) -> dict[str, dict[str, float]]:
        """Draw every effect: outcome -> term -> log odds ratio, without intercepts."""
        drawn: dict[str, dict[str, float]] = {}
        for name, part in self.outcomes.items():
            own: dict[str, float] = {}
            if part.like is not None:
                share = rng.uniform(*part.like.share)
                own |= {term: share * value for term, value in drawn[part.like.outcome].items()}
            own |= {term: effect.draw(rng) for term, effect in part.terms.items()}
            drawn[name] = own
        return drawn

    def rates(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw P(outcome | parent) of every outcome."""
        return {name: float(rng.uniform(*part.rate)) for name, part in self.outcomes.items()}

    def site_effects(self, rng: np.random.Generator, sites: tuple[str, ...]) -> Mapping[str, Mapping[str, float]]:
        """Draw every site's shift: outcome -> site -> log-odds."""
        drawn = {}
        for name, part in self.outcomes.items():
            shifts = rng.uniform(*part.site_sd) * rng.standard_normal(len(sites))
            drawn[name] = dict(zip(sites, (shifts - shifts.mean()).tolist(), strict=True))
        return drawn

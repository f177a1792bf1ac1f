"""Invented patients: their traits, drawn so that what goes together in life goes together here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Attribute
from pydantic import model_validator

from features import Field, Kind, Patients, Specification
from features.encoding import Encoding
from features.field import Frozen
from features.rule import Condition
from training.simulator.shape import Column, Shape, as_uniform, score
from validation.answers import answers


class Trait(Frozen):
    """How one field is drawn.

    Attributes
    ----------
    follows
        Correlations of its score with hidden burdens or with the scores of earlier fields.
    given, by
        An earlier field or derived field, and the shape for each of its codes ("true" and "false" of a boolean);
        `shape` serves the codes that `by` does not name.
    only_if
        The field stays empty where this is not true.
    per_site
        One value for all patients of a site.
    source
        Study identifiers, or "judgement".
    """

    field: str
    shape: Shape
    follows: dict[str, float] = {}
    given: str | None = None
    by: dict[str, Shape] = {}
    only_if: Condition | None = None
    per_site: bool = False
    source: str = Attribute(min_length=3)


class Population(Frozen):
    """All traits, in the order in which they are drawn."""

    hidden: tuple[str, ...]
    traits: tuple[Trait, ...]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        seen = set(self.hidden)
        for trait in self.traits:
            choices = [c for s in (trait.shape, *trait.by.values()) for c in (s.choices or {}).values()]
            for follows in (trait.follows, *(c.follows for c in choices)):
                late = sorted(set(follows) - seen)
                if late:
                    raise ValueError(f"trait {trait.field}: {', '.join(late)} must come before it")
                if sum(rho**2 for rho in follows.values()) > 1:
                    raise ValueError(f"trait {trait.field}: its correlations are too strong to hold together")
            if trait.field in seen:
                raise ValueError(f"trait {trait.field} is declared twice")
            seen.add(trait.field)
        return self

    def complaints(self, spec: Specification, factors: frozenset[str]) -> list[str]:
        """Every entry that does not fit the specification."""
        found: list[str] = []
        drawn: set[str] = set()
        for trait in self.traits:
            owner = f"trait {trait.field}"
            earlier = frozenset(drawn)
            drawn.add(trait.field)
            field = spec.fields.get(trait.field)
            if field is None:
                found.append(f"{owner}: unknown field")
                continue
            for shape in (trait.shape, *trait.by.values()):
                found += shape.complaints(owner, field, spec, factors)
            if trait.given is not None:
                if trait.given not in spec.fields and trait.given not in spec.derived:
                    found.append(f"{owner}: unknown field {trait.given}")
                else:
                    allowed = spec.codes(trait.given) or ["false", "true"]
                    found += [f"{owner}: {c} is not a code of {trait.given}" for c in trait.by if c not in allowed]
                    derived = spec.derived.get(trait.given)
                    late = {trait.given} if derived is None else set(derived.inputs)
                    found += [f"{owner}: {name} must come before it" for name in sorted(late - earlier)]
            if trait.only_if is not None:
                stray = sorted(trait.only_if.facts() - spec.facts)
                found += [f"{owner}: unknown facts {', '.join(stray)}"] if stray else []
        return found

    def draw(
        self, spec: Specification, encoding: Encoding, rng: np.random.Generator, site: NDArray[np.intp], sites: int
    ) -> Patients:
        """Draw patients with nothing missing but what does not apply to them.

        Parameters
        ----------
        site
            Position of each patient's site, shape (n,).
        """
        n = len(site)
        scores: dict[str, Column] = {name: rng.standard_normal(n) for name in self.hidden}
        patients = Patients(spec, n, {})
        for trait in self.traits:
            field = spec.fields[trait.field]
            drawn: Mapping[str, Column]
            if field.kind is Kind.CODES:
                drawn = _multiple(field, trait.shape, rng, scores, n)
            elif trait.per_site:
                u = as_uniform(rng.standard_normal(sites))[site]
                drawn = {field.name: trait.shape.draw(field, u, patients.__getitem__, _no_factor)}
            else:
                scores[field.name] = score(rng, trait.follows, scores, n)
                drawn = {field.name: _by_parent(trait, field, as_uniform(scores[field.name]), patients)}
            if trait.only_if is not None:
                applies = answers(trait.only_if, patients) == 1
                drawn = {name: np.where(applies, column, np.nan) for name, column in drawn.items()}
            patients = patients.replace(drawn)
        return patients


def _no_factor(name: str) -> Column:
    raise ValueError(f"traits are drawn before the factor {name} can be known")


def _by_parent(trait: Trait, field: Field, u: Column, patients: Patients) -> Column:
    drawn = trait.shape.draw(field, u, patients.__getitem__, _no_factor)
    if trait.given is None:
        return drawn
    parent = patients[trait.given]
    codes = patients.spec.codes(trait.given) or ["false", "true"]
    for code, shape in trait.by.items():
        held = parent == codes.index(code)
        drawn = np.where(held, shape.draw(field, u, patients.__getitem__, _no_factor), drawn)
    return drawn


def _multiple(
    field: Field, shape: Shape, rng: np.random.Generator, scores: Mapping[str, Column], n: int
) -> dict[str, Column]:
    assert shape.choices is not None
    held = {
        code: (as_uniform(score(rng, choice.follows, scores, n)) > 1 - choice.chance).astype(np.float64)
        for code, choice in shape.choices.items()
    }
    nothing = 1.0 - np.max(list(held.values()), axis=0)
    for fallback in (field.exclusive, shape.otherwise):
        if fallback is not None:
            held[fallback] = np.maximum(held.get(fallback, np.zeros(n)), nothing)
    return {c: held.get(code, np.zeros(n)) for code, c in zip(field.codes, field.columns, strict=True)}

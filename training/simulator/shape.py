"""Distributions, as data: how one value is drawn from a uniform number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Attribute
from pydantic import model_validator
from scipy.special import expit, logit, ndtr, ndtri

from features import Field, Kind, Specification
from features.field import Frozen

Column = NDArray[np.float64]
Lookup = Callable[[str], Column]
Share = float


class Choice(Frozen):
    """Chance of one code of a multiple choice, with the scores it follows."""

    chance: float = Attribute(ge=0, le=1)
    follows: dict[str, float] = {}


class Shape(Frozen):
    """One distribution; exactly one of its forms is given.

    Attributes
    ----------
    normal
        Mean and standard deviation.
    lognormal
        Median and standard deviation of the natural logarithm.
    uniform
        Low and high.
    codes
        Shares of the codes (of the numbers, for a whole-number field), low scores first.
    chance
        Of "true"; `terms` shift its log-odds per unit of a patient factor.
    choices
        Of each code of a multiple choice; `otherwise` is held when none is drawn.
    blank
        The cell stays empty.
    times
        Multiplies the value by powers of other fields.
    limits, digits
        Clip and round a number.
    """

    normal: tuple[float, float] | None = None
    lognormal: tuple[float, float] | None = None
    uniform: tuple[float, float] | None = None
    codes: dict[str, Share] | None = None
    chance: float | None = Attribute(default=None, ge=0, le=1)
    choices: dict[str, Choice] | None = None
    blank: bool | None = None
    otherwise: str | None = None
    terms: dict[str, float] = {}
    times: dict[str, float] = {}
    limits: tuple[float, float] | None = None
    digits: int | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = (self.normal, self.lognormal, self.uniform, self.codes, self.chance, self.choices, self.blank)
        if sum(form is not None for form in forms) != 1:
            raise ValueError("give exactly one of normal, lognormal, uniform, codes, chance, choices, blank")
        if self.codes is not None and abs(sum(self.codes.values()) - 1) > 1e-6:
            raise ValueError("the shares of the codes must add to 1")
        return self

    def draw(self, field: Field, u: Column, column: Lookup, factor: Lookup) -> Column:
        """Draw coded values of a field that is not a multiple choice.

        Parameters
        ----------
        u
            Uniform numbers, shape (n,).
        column
            Gives the coded column of a field by name, for `times`.
        factor
            Gives a patient factor by name, for `terms`.
        """
        if self.blank:
            return np.full_like(u, np.nan)
        if self.codes is not None:
            return _among(self.codes, field, u)
        if self.chance is not None:
            p = np.full_like(u, self.chance)
            if self.terms:
                shift = sum(weight * np.nan_to_num(factor(name)) for name, weight in self.terms.items())
                p = expit(logit(np.clip(p, 1e-9, 1 - 1e-9)) + shift)
            # A high score is "true", as everywhere else.
            return (u > 1 - p).astype(np.float64)
        return self.number(field, u, column)

    def number(self, field: Field | None, u: Column, column: Lookup) -> Column:
        """Draw numbers, within the field's usual limits and the shape's own."""
        if self.normal is not None:
            drawn = self.normal[0] + self.normal[1] * ndtri(u)
        elif self.lognormal is not None:
            drawn = self.lognormal[0] * np.exp(self.lognormal[1] * ndtri(u))
        else:
            assert self.uniform is not None
            drawn = self.uniform[0] + (self.uniform[1] - self.uniform[0]) * u
        for name, power in self.times.items():
            drawn = drawn * column(name) ** power
        if self.limits is not None:
            drawn = np.clip(drawn, *self.limits)
        if field is None:
            return drawn
        drawn = np.round(drawn, 0 if field.kind is Kind.INTEGER else self.digits if self.digits is not None else 2)
        assert field.hard is not None and field.usual is not None
        if field.special:
            over = drawn > field.hard[1]
            return np.where(over, float(next(iter(field.special))), np.maximum(drawn, field.hard[0]))
        return np.clip(drawn, *field.usual)

    def complaints(self, owner: str, field: Field, spec: Specification, factors: frozenset[str]) -> list[str]:
        """Every part of the shape that does not fit its field."""
        if self.blank:
            return []
        found: list[str] = []
        fits = {
            Kind.CATEGORY: self.codes is not None,
            Kind.BOOLEAN: self.chance is not None,
            Kind.CODES: self.choices is not None,
            Kind.INTEGER: self.codes is not None or self.is_number,
            Kind.NUMBER: self.is_number,
        }
        if not fits.get(field.kind, False):
            found.append(f"{owner}: this distribution does not fit a field of kind {field.kind.value}")
        held = [*(self.codes or ()), *(self.choices or ()), *((self.otherwise,) if self.otherwise else ())]
        if field.codes:
            found += [f"{owner}: {code} is not a code of {field.name}" for code in held if code not in field.codes]
        elif self.codes is not None:
            found += [f"{owner}: {code} is not a value of {field.name}" for code in held if _outside(code, field)]
        found += [f"{owner}: unknown patient factor {name}" for name in self.terms if name not in factors]
        found += [f"{owner}: unknown field {name}" for name in self.times if name not in spec.fields]
        return found

    @property
    def is_number(self) -> bool:
        """Whether numbers are drawn."""
        return self.normal is not None or self.lognormal is not None or self.uniform is not None


def score(rng: np.random.Generator, follows: Mapping[str, float], scores: Mapping[str, Column], n: int) -> Column:
    """A standard normal score that has the given correlations with independent earlier scores, shape (n,)."""
    own = np.sqrt(max(0.0, 1.0 - sum(rho**2 for rho in follows.values())))
    z = own * rng.standard_normal(n)
    for name, rho in follows.items():
        z = z + rho * scores[name]
    return z


def as_uniform(z: Column) -> Column:
    """A standard normal score as a number strictly between 0 and 1."""
    return np.clip(ndtr(z), 1e-9, 1 - 1e-9)


def _among(codes: Mapping[str, Share], field: Field, u: Column) -> Column:
    names = list(field.codes)
    positions = np.array([names.index(c) if names else float(c) for c in codes], dtype=np.float64)
    edges = np.cumsum(list(codes.values()))
    return positions[np.minimum(np.searchsorted(edges, u, side="right"), len(positions) - 1)]


def _outside(value: str, field: Field) -> bool:
    try:
        number = float(value)
    except ValueError:
        return True
    return field.hard is None or not field.hard[0] <= number <= field.hard[1]

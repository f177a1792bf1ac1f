"""Derived fields: formulas over recorded fields, each with its citation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from features.availability import Time
from features.field import Frozen

Column = NDArray[np.float64]
Formula = Callable[..., Column]


class Derived(Frozen):
    """One derived field.

    Attributes
    ----------
    formula
        Name of a function in this module, applied to the coded `inputs` in order.
    lookup
        For a category made from another one: code of the single input -> code of this field.
    inputs
        Names of recorded or earlier derived fields.
    """

    name: str
    label: str
    unit: str | None = None
    inputs: tuple[str, ...]
    formula: str | None = None
    lookup: dict[str, str] = {}
    codes: dict[str, str] = {}
    known_at: Time
    text: str
    why: str

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.formula is None) == (not self.lookup):
            raise ValueError(f"derived field {self.name}: give either a formula or a lookup")
        if self.formula is not None and self.formula not in FORMULAS:
            raise ValueError(f"derived field {self.name}: unknown formula {self.formula}; known: {', '.join(FORMULAS)}")
        stray = set(self.lookup.values()) - set(self.codes)
        if stray:
            raise ValueError(f"derived field {self.name}: {', '.join(sorted(stray))} not among its codes")
        return self


def tumour_burden_score(diameter_mm: Column, count: Column) -> Column:
    """Tumour burden score, sqrt(diameter in cm squared + count squared) (Sasaki 2018, Ann Surg 267:132)."""
    capped = np.where(count > 60, 60.0, count)
    return np.sqrt((diameter_mm / 10.0) ** 2 + capped**2)


def apri(ast_u_l: Column, platelets_10e9_l: Column) -> Column:
    """AST-to-platelet ratio index with an AST upper limit of 40 U/L (Wai 2003, Hepatology 38:518)."""
    return ast_u_l / 40.0 / platelets_10e9_l * 100.0


def ratio(numerator: Column, denominator: Column) -> Column:
    """Plain ratio of two columns."""
    return numerator / denominator


def body_mass_index(bmi: Column, weight_kg: Column, height_cm: Column) -> Column:
    """BMI as recorded, else weight in kg over height in m squared."""
    return np.where(np.isnan(bmi), weight_kg / (height_cm / 100.0) ** 2, bmi)


def months_between(start: Column, end: Column) -> Column:
    """Months (30.4375 days) from one date to another, both as ordinal days."""
    return (end - start) / 30.4375


def months_to_operation(start: Column, operation: Column, treatment: Column) -> Column:
    """Months from cycle 1 to the liver operation; infinite when none was given (its first code)."""
    return np.where(treatment == 0, np.inf, months_between(start, operation))


def died_within_90_days(operation: Column, death: Column, last_contact: Column) -> Column:
    """1 when death followed the operation within 90 days, 0 when alive at day 90, else unknown."""
    days = death - operation
    followed = np.fmax(death, last_contact) - operation
    return np.where(days <= 90, 1.0, np.where(followed >= 90, 0.0, np.nan))


FORMULAS: dict[str, Formula] = {
    f.__name__: f
    for f in (
        tumour_burden_score,
        apri,
        ratio,
        body_mass_index,
        months_between,
        months_to_operation,
        died_within_90_days,
    )
}

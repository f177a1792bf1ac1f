"""Case mix: how each input is distributed among patients, so that a missing one can be integrated over."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Attribute
from pydantic import model_validator
from scipy.special import ndtri
from scipy.stats import qmc

from features import Field, Kind, Patients, Specification
from features.field import Frozen

Column = NDArray[np.float64]


class Shape(Frozen):
    """One distribution.

    Attributes
    ----------
    probabilities
        Of codes (category), of ``true`` (boolean) or of holding each code (multiple choice, independent).
    median, log_sd
        Log-normal, the spread on the natural-log scale.
    mean, sd
        Normal.
    """

    kind: Literal["codes", "lognormal", "normal"]
    probabilities: dict[str, float] = {}
    median: float | None = None
    log_sd: float | None = None
    mean: float | None = None
    sd: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "codes": bool(self.probabilities),
            "lognormal": self.median is not None and self.log_sd is not None,
            "normal": self.mean is not None and self.sd is not None,
        }
        if not needed[self.kind]:
            raise ValueError(f"a {self.kind} distribution lacks its parameters")
        return self

    def describe(self, field: Field) -> str:
        """Say in words what was assumed, for example "60% wt, 40% mutant"."""
        if self.kind == "lognormal":
            return f"spread around a median of {self.median:g} {field.unit or ''}".rstrip()
        if self.kind == "normal":
            return f"spread around a mean of {self.mean:g} {field.unit or ''}".rstrip()
        named = {"true": "yes", **field.codes}
        shown = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return ", ".join(f"{100 * p:.0f}% {named[code]}" if p >= 0.01 else f"<1% {named[code]}" for code, p in shown)


class FieldMix(Frozen):
    """Distribution of one field, optionally given the code of an earlier one.

    Attributes
    ----------
    given
        An earlier field; `by` then holds a shape per code of it and `shape` serves the rest.
    unless_known
        A derived field that makes drawing needless (BMI from weight and height).
    source
        Where the numbers come from.
    """

    field: str
    shape: Shape
    given: str | None = None
    by: dict[str, Shape] = {}
    unless_known: str | None = None
    source: str = Attribute(min_length=3)

    def describe(self, field: Field) -> str:
        """Say in words what stands in for a missing value."""
        depends = "; depends on the other inputs" if self.given else ""
        return f"{self.shape.describe(field)}{depends}"


class CaseMix(Frozen):
    """Distributions of the inputs, parents before children."""

    fields: tuple[FieldMix, ...]

    def complaints(self, spec: Specification) -> list[str]:
        """Every entry that does not fit the specification."""
        found: list[str] = []
        seen: set[str] = set()
        for mix in self.fields:
            field = spec.fields.get(mix.field)
            if field is None:
                found.append(f"case mix: unknown field {mix.field}")
                continue
            for shape in (mix.shape, *mix.by.values()):
                allowed = {"true"} if field.kind is Kind.BOOLEAN else set(field.codes)
                stray = sorted(set(shape.probabilities) - allowed)
                if stray:
                    found.append(f"case mix of {mix.field}: unknown code {', '.join(stray)}")
                if field.numeric == (shape.kind == "codes"):
                    found.append(f"case mix of {mix.field}: a {shape.kind} distribution does not fit its kind")
            if mix.given is not None and mix.given not in seen:
                found.append(f"case mix of {mix.field}: {mix.given} must come before it")
            elif mix.given is not None and set(mix.by) - set(spec.codes(mix.given) or ["true", "false"]):
                found.append(f"case mix of {mix.field}: unknown code of {mix.given}")
            seen.add(mix.field)
        return found

    def complete(self, patients: Patients, copies: int, seed: int = 1, only: frozenset[str] | None = None) -> Patients:
        """Fill what is not known with draws, the same patient `copies` times in a row.

        Parameters
        ----------
        copies
            Completions per patient. Draws are a fixed scrambled Sobol sequence, so answers are reproducible and
            `copies` should be a power of two.
        only
            Fields to fill; None fills all. A field's draws do not depend on which others are filled.

        Returns
        -------
        Patients
            Of length n * copies, patient by patient. What is known is unchanged.
        """
        rows = np.repeat(np.arange(patients.n), copies)
        repeated = patients.take(rows)
        uniform = _uniforms(len(self.fields), copies, seed)
        spec = patients.spec
        filled: dict[str, Column] = {}
        for j, mix in enumerate(self.fields):
            if only is not None and mix.field not in only:
                continue
            field = spec.fields[mix.field]
            known = repeated.known(mix.field)
            if mix.unless_known is not None:
                known = known | repeated.known(mix.unless_known)
            if known.all():
                continue
            u = np.tile(uniform[:, j], patients.n)
            parent = None
            if mix.given is not None:
                parent = filled.get(mix.given, repeated[mix.given])
            if field.kind is Kind.CODES:
                filled |= self._multiple(mix, repeated, known, u)
            else:
                drawn = _draw_given(spec, mix, u, parent)
                if field.numeric and field.hard is not None:
                    drawn = np.clip(np.round(drawn) if field.kind is Kind.INTEGER else drawn, *field.hard)
                filled[mix.field] = np.where(known, repeated[mix.field], drawn)
        return repeated.replace(filled)

    def behind(self, spec: Specification, factor: str) -> frozenset[str]:
        """Fields that bear on a patient factor: those it reads, and those on which their distributions depend."""
        given = {mix.field: mix.given for mix in self.fields if mix.given is not None}
        found: set[str] = set()
        waiting = list(spec.fields_behind(factor))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [given[name]] if name in given else []
        return frozenset(found)

    def _multiple(self, mix: FieldMix, patients: Patients, known: NDArray[np.bool_], u: Column) -> dict[str, Column]:
        # One uniform serves all codes: codes are held when the shifted uniform falls below their probability.
        field = patients.spec.fields[mix.field]
        held = {
            code: ((u + i * 0.618034) % 1.0 < p).astype(float)
            for i, (code, p) in enumerate(mix.shape.probabilities.items())
        }
        if field.exclusive is not None:
            others = [v for c, v in held.items() if c != field.exclusive]
            held[field.exclusive] = 1.0 - np.max(others, axis=0) if others else np.ones_like(u)
        nothing = np.zeros_like(u)
        return {
            column: np.where(known, patients[column], held.get(code, nothing))
            for code, column in zip(field.codes, field.columns, strict=True)
        }


@lru_cache(maxsize=8)
def _uniforms(dimensions: int, copies: int, seed: int) -> Column:
    return np.clip(qmc.Sobol(max(dimensions, 1), rng=seed).random(copies), 1e-6, 1 - 1e-6)


def _draw_given(spec: Specification, mix: FieldMix, u: Column, parent: Column | None) -> Column:
    drawn = _draw(spec, mix.field, mix.shape, u)
    if parent is None or mix.given is None:
        return drawn
    codes: Sequence[str] = spec.codes(mix.given) or ["false", "true"]
    for code, shape in mix.by.items():
        drawn = np.where(parent == codes.index(code), _draw(spec, mix.field, shape, u), drawn)
    return drawn


def _draw(spec: Specification, field: str, shape: Shape, u: Column) -> Column:
    if shape.kind == "lognormal":
        assert shape.median is not None and shape.log_sd is not None
        return shape.median * np.exp(shape.log_sd * ndtri(u))
    if shape.kind == "normal":
        assert shape.mean is not None and shape.sd is not None
        return shape.mean + shape.sd * ndtri(u)
    if not spec.codes(field):
        return (u < shape.probabilities["true"]).astype(float)
    codes = spec.codes(field)
    total = np.cumsum(list(shape.probabilities.values()))
    positions = np.array([codes.index(c) for c in shape.probabilities], dtype=float)
    return positions[np.minimum(np.searchsorted(total / total[-1], u, side="right"), len(positions) - 1)]

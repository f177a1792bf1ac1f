"""Encoding: from coded patients and planned regimens to the numbers that models read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from features.field import Frozen, Kind
from features.memory import Memory
from features.patients import Column, Patients
from features.regimen import DEFAULT_WEEKS, Regimen

if TYPE_CHECKING:
    from features.specification import Specification

Matrix = NDArray[np.float64]
Code = bool | str
INTERCEPT = "intercept"
_REMEMBERED = 10_000  # readings of single patients that are kept
_TRANSFORMS = {"log": np.log, "log2": np.log2, "log10": np.log10}


class PatientFactor(Frozen):
    """One number made from one field (or the product of earlier factors).

    Exactly one reading applies: a numeric reading (``cap``, ``transform``, ``center``, ``per``, ``floor``), a
    threshold (``at_least``, ``above``, ``below``), a code reading (``equals``, ``not_equals``, ``has_any``,
    ``not_only``) or a ``product``. The numeric value is ``max(floor, (transform(clip(x, cap)) - center) / per)``.
    """

    name: str
    of: str | None = None
    cap: tuple[float, float] | None = None
    transform: Literal["log", "log2", "log10"] | None = None
    center: float = 0.0
    per: float = 1.0
    floor: float | None = None
    at_least: float | None = None
    above: float | None = None
    below: float | None = None
    equals: tuple[Code, ...] | None = None
    not_equals: tuple[Code, ...] | None = None
    has_any: tuple[str, ...] | None = None
    not_only: str | None = None
    product: tuple[str, ...] | None = None
    learn: bool = True

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.of is None) == (self.product is None):
            raise ValueError(f"patient factor {self.name}: give either a field or a product of factors")
        return self


class RegimenFactor(Frozen):
    """Product of drug exposures, times log2(planned weeks / 12) when ``weeks`` is true."""

    name: str
    exposures: tuple[str, ...] = ()
    weeks: bool = False


class Interaction(Frozen):
    """Product of a patient factor and a regimen factor."""

    name: str
    patient: str
    regimen: str


class Threshold(Frozen):
    """A patient factor cut in two."""

    factor: str
    above: float


class Encoding(Frozen):
    """The declared encoding, and the arithmetic that carries it out."""

    patient_factors: tuple[PatientFactor, ...]
    regimen_factors: tuple[RegimenFactor, ...]
    interactions: tuple[Interaction, ...]
    comparable_by: tuple[Threshold, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        seen: set[str] = set()
        for factor in self.patient_factors:
            stray = set(factor.product or ()) - seen
            if stray:
                raise ValueError(f"patient factor {factor.name}: {', '.join(sorted(stray))} must be declared before it")
            seen.add(factor.name)
        patient, regimen = seen, {f.name for f in self.regimen_factors}
        names = [f.name for f in self.patient_factors] + [f.name for f in self.regimen_factors]
        names += [i.name for i in self.interactions]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"terms declared twice: {', '.join(twice)}")
        for term in self.interactions:
            if term.patient not in patient or term.regimen not in regimen:
                raise ValueError(f"interaction {term.name}: unknown factor {term.patient} or {term.regimen}")
        return self

    @model_validator(mode="after")
    def _thresholds_fit(self) -> Self:
        stray = {t.factor for t in self.comparable_by} - {f.name for f in self.patient_factors}
        if stray:
            raise ValueError(f"comparable_by: unknown factor {', '.join(sorted(stray))}")
        return self

    def strata(self, patients: Patients) -> NDArray[np.int64]:
        """Side of each threshold of `comparable_by`: 0 or 1, and -1 where not known; shape (n, thresholds)."""
        values = self.patient_matrix(patients, [t.factor for t in self.comparable_by])
        sides = values > np.array([t.above for t in self.comparable_by])
        return np.where(np.isnan(values), -1, sides).astype(np.int64)

    @property
    def learned(self) -> tuple[str, ...]:
        """Patient factors that learners of the prognosis read, in order."""
        return tuple(f.name for f in self.patient_factors if f.learn)

    @cached_property
    def terms(self) -> dict[str, tuple[str | None, str | None]]:
        """Every term by name, as its (patient factor, regimen factor); the intercept has neither."""
        return {
            INTERCEPT: (None, None),
            **{f.name: (f.name, None) for f in self.patient_factors},
            **{f.name: (None, f.name) for f in self.regimen_factors},
            **{i.name: (i.patient, i.regimen) for i in self.interactions},
        }

    def patient_matrix(self, patients: Patients, names: Sequence[str]) -> Matrix:
        """Values of patient factors, shape (n, len(names)); NaN where not known."""
        if patients.n == 1:
            # Models of several outcomes read the same factors of the one patient.
            key = tuple(names)
            found = patients.matrices.get(key)
            if found is None:
                found = patients.matrices[key] = self._row(patients, names)
                found.flags.writeable = False
            return found
        made: dict[str, Column] = {}
        by_name = self._by_name

        def value(name: str) -> Column:
            if name not in made:
                factor = by_name[name]
                if factor.product is not None:
                    made[name] = _product([value(part) for part in factor.product])
                else:
                    made[name] = _read(factor, patients)
            return made[name]

        matrix = np.empty((patients.n, len(names)))
        for j, name in enumerate(names):
            matrix[:, j] = value(name)
        return matrix

    @cached_property
    def _by_name(self) -> dict[str, PatientFactor]:
        return {f.name: f for f in self.patient_factors}

    @cached_property
    def _memory(self) -> Memory[tuple[str, float], float]:
        return Memory(_REMEMBERED)

    def _row(self, patient: Patients, names: Sequence[str]) -> Matrix:
        """Values of patient factors of one patient, shape (1, len(names)), without arrays of one number."""
        made: dict[str, float] = {}

        def value(name: str) -> float:
            found = made.get(name)
            if found is None:
                factor = self._by_name[name]
                if factor.product is None:
                    found = made[name] = self._reading(factor, patient)
                else:
                    parts = [value(part) for part in factor.product]
                    # As `_product`.
                    found = made[name] = 0.0 if 0.0 in parts else math.prod(parts)
            return found

        return np.array([[value(name) for name in names]], dtype=np.float64)

    def _reading(self, factor: PatientFactor, patient: Patients) -> float:
        """Read a factor of one patient; it depends on one code or number, and the common ones are remembered."""
        of = factor.of
        assert of is not None
        spec = patient.spec
        if of in spec.columns:
            x = patient.single.get(of)
        elif of in spec.derived:
            x = float(patient[of][0])
        else:
            return float(_read(factor, patient)[0])  # a multiple choice has a column a code
        if x is None or x != x:
            return math.nan
        key = (factor.name, x)
        found = self._memory.get(key)
        if found is None:
            found = self._memory.keep(key, float(_read(factor, patient)[0]))
        return found

    def regimen_matrix(self, regimens: Sequence[Regimen], names: Sequence[str]) -> Matrix:
        """Values of regimen factors, shape (len(regimens), len(names))."""
        by_name = {f.name: f for f in self.regimen_factors}
        weeks = np.log2(np.array([r.planned_weeks for r in regimens], dtype=float) / DEFAULT_WEEKS)
        given = {e: np.array([r.exposures[e] for r in regimens]) for n in names for e in by_name[n].exposures}
        matrix = np.ones((len(regimens), len(names)))
        for j, name in enumerate(names):
            for exposure in by_name[name].exposures:
                matrix[:, j] *= given[exposure]
            if by_name[name].weeks:
                matrix[:, j] *= weeks
        return matrix

    def term_factors(
        self, patients: Patients, regimens: Sequence[Regimen], names: Sequence[str]
    ) -> tuple[Matrix, Matrix]:
        """Patient part and regimen part of each term.

        Returns
        -------
        (n, t) and (r, t) arrays
            A term's value for patient i under regimen j is ``patient[i, t] * regimen[j, t]``.
        """
        return self.patient_part(patients, names), self.regimen_part(regimens, names)

    def patient_part(self, patients: Patients, names: Sequence[str]) -> Matrix:
        """Patient factor of each term, 1 where it has none; shape (n, len(names))."""
        factors = [self.terms[n][0] for n in names]
        part = np.ones((patients.n, len(names)))
        where = [j for j, f in enumerate(factors) if f is not None]
        part[:, where] = self.patient_matrix(patients, [f for f in factors if f is not None])
        return part

    def regimen_part(self, regimens: Sequence[Regimen], names: Sequence[str]) -> Matrix:
        """Regimen factor of each term, 1 where it has none; shape (r, len(names))."""
        factors = [self.terms[n][1] for n in names]
        part = np.ones((len(regimens), len(names)))
        where = [j for j, f in enumerate(factors) if f is not None]
        part[:, where] = self.regimen_matrix(regimens, [f for f in factors if f is not None])
        return part


def _product(parts: list[Column]) -> Column:
    # A known zero settles the product even when another part is not known.
    product = np.prod(np.vstack(parts), axis=0)
    return np.where((np.vstack(parts) == 0).any(axis=0), 0.0, product)


def _positions(codes: Sequence[str], wanted: Sequence[Code]) -> list[float]:
    return [float(w) if isinstance(w, bool) else float(codes.index(w)) for w in wanted]


def _read(factor: PatientFactor, patients: Patients) -> Column:
    assert factor.of is not None
    spec, name = patients.spec, factor.of
    known = patients.known(name)
    field = spec.fields.get(name)
    if field is not None and field.kind is Kind.CODES:
        if factor.has_any is not None:
            held = np.vstack([patients[f"{name}={code}"] for code in factor.has_any]).max(axis=0)
        else:
            held = 1.0 - patients[f"{name}={factor.not_only}"]
        return np.where(known, held, np.nan)
    x = np.where(known, patients[name], np.nan)
    if factor.equals is not None or factor.not_equals is not None:
        wanted = _positions(spec.codes(name), factor.equals or factor.not_equals or ())
        inside = np.logical_or.reduce([x == w for w in wanted])
        return np.where(known, inside if factor.equals is not None else ~inside, np.nan)
    for limit, reached in (
        (factor.at_least, np.greater_equal),
        (factor.above, np.greater),
        (factor.below, np.less),
    ):
        if limit is not None:
            return np.where(known, reached(x, limit), np.nan)
    if factor.cap is not None:
        x = np.clip(x, *factor.cap)
    if factor.transform is not None:
        x = _TRANSFORMS[factor.transform](x)
    x = (x - factor.center) / factor.per
    return x if factor.floor is None else np.where(known, np.maximum(x, factor.floor), np.nan)


def check(encoding: Encoding, spec: Specification) -> list[str]:
    """Every complaint about an encoding that does not fit the specification's fields and drugs."""
    complaints: list[str] = []
    for factor in encoding.patient_factors:
        if factor.of is None:
            continue
        if factor.of not in spec.fields and factor.of not in spec.derived:
            complaints.append(f"patient factor {factor.name}: unknown field {factor.of}")
            continue
        codes = spec.codes(factor.of)
        only = (factor.not_only,) if factor.not_only else ()
        wanted = (*(factor.equals or ()), *(factor.not_equals or ()), *(factor.has_any or ()), *only)
        stray = [str(c) for c in wanted if not isinstance(c, bool) and c not in codes]
        if stray:
            complaints.append(f"patient factor {factor.name}: {', '.join(stray)} not among the codes of {factor.of}")
    exposures = spec.regimens.exposure_names
    for drug in encoding.regimen_factors:
        stray = sorted(set(drug.exposures) - set(exposures))
        if stray:
            complaints.append(f"regimen factor {drug.name}: unknown exposure {', '.join(stray)}")
    return complaints

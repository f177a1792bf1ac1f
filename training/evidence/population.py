"""Whom an observation is about: the case mix cut to a population, some fields set, under some regimens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from features import Kind, Patients, Regimen, Specification
from features.field import Frozen
from features.patients import coder
from training.bundle import CaseMix
from training.evidence.tables import data_folder

Array = NDArray[np.float64]
SIZE = 512  # completions of the case mix that averages are taken over; a power of two keeps the Sobol sequence balanced


class Populations(Frozen):
    """Named parts of the case mix: any of several entries, each of which needs one of its codes in every field."""

    by_name: dict[str, tuple[dict[str, tuple[str, ...]], ...]]

    def complaints(self, spec: Specification) -> list[str]:
        """Every entry that does not fit the specification."""
        found: list[str] = []
        for name, entries in self.by_name.items():
            for entry in entries:
                for field, codes in entry.items():
                    if field not in spec.fields and field not in spec.derived:
                        found.append(f"population {name}: unknown field {field}")
                    elif stray := sorted(set(codes) - set(spec.codes(field))):
                        found.append(f"population {name}: {', '.join(stray)} not among the codes of {field}")
        return found

    def cut(self, patients: Patients, name: str) -> Patients:
        """The patients that belong to a population."""
        member = np.zeros(patients.n, dtype=bool)
        for entry in self.by_name[name]:
            fits = np.ones(patients.n, dtype=bool)
            for field, codes in entry.items():
                fits &= _holds(patients, field, codes)
            member |= fits
        return patients.take(np.flatnonzero(member))


def _holds(patients: Patients, field: str, codes: Sequence[str]) -> NDArray[np.bool_]:
    declared = patients.spec.fields.get(field)
    if declared is not None and declared.kind is Kind.CODES:
        return np.max([patients[f"{field}={code}"] for code in codes], axis=0) > 0
    return np.isin(patients[field], [patients.spec.codes(field).index(code) for code in codes])


def read_populations() -> Populations:
    """Read the named parts of the case mix."""
    raw = yaml.safe_load((data_folder() / "populations.yaml").read_text("utf-8"))
    return Populations.model_validate({"by_name": raw})


def read_case_mix() -> CaseMix:
    """Read the distributions of the inputs."""
    return CaseMix.model_validate(yaml.safe_load((data_folder() / "case_mix.yaml").read_text("utf-8")))


def everyone(case_mix: CaseMix, spec: Specification, size: int = SIZE) -> Patients:
    """Draw complete patients of the case mix: a fixed, balanced sequence."""
    return case_mix.complete(Patients(spec, 1, {}), size)


def with_values(patients: Patients, values: Mapping[str, Any]) -> Patients:
    """The same patients with some fields set to one value for all.

    Raises
    ------
    ValueError
        Naming the field when it is unknown or the value does not fit.
    """
    columns: dict[str, Array] = {}
    for name, value in values.items():
        field = patients.spec.fields.get(name)
        if field is None:
            raise ValueError(f"unknown field {name}")
        if problem := field.problem(value):
            raise ValueError(problem.message)
        if field.kind is Kind.CODES:
            columns |= {f"{name}={c}": np.full(patients.n, float(c in value)) for c in field.codes}
        else:
            columns[name] = np.full(patients.n, coder(field)(value))
    return patients.replace(columns)


def regimen_called(spec: Specification, text: str, weeks: float) -> Regimen:
    """Read ``backbone`` or ``backbone+biologic``, planned for about so many weeks.

    Raises
    ------
    UnknownRegimen
        Naming what is allowed.
    """
    catalogue = spec.regimens
    backbone, _, biologic = text.strip().partition("+")
    without = next(b.name for b in catalogue.biologics if not b.drugs)
    default = catalogue.regimen(backbone, biologic or without)
    cycle_weeks = default.planned_weeks / default.planned_cycles
    return catalogue.regimen(backbone, biologic or without, max(1, round(weeks / cycle_weeks)))


@dataclass(frozen=True)
class Side:
    """Encoded patients and regimens, ready to be averaged over.

    Attributes
    ----------
    left, right
        Patient part (m, t) and regimen part (r, t) of the terms, see `Encoding.term_factors`.
    """

    left: Array
    right: Array

    @classmethod
    def encode(
        cls, patients: Patients, regimens: Sequence[Regimen], terms: Sequence[str], values: Mapping[str, Any]
    ) -> Side:
        """Encode patients with some fields set, under regimens in equal shares."""
        return cls(*patients.spec.encoding.term_factors(with_values(patients, values), regimens, terms))

    def mean(self) -> Array:
        """Average value of each term, shape (t,)."""
        return self.left.mean(axis=0) * self.right.mean(axis=0)

    def log_odds(self, beta: Array) -> Array:
        """Log-odds (m, r) for coefficients of shape (t,)."""
        return (self.left * beta) @ self.right.T

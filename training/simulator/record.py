"""What the hospital writes down of what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import Field as Attribute

from features import Field, Kind, Patients, Specification
from features.encoding import Encoding
from features.field import Frozen
from training.simulator.shape import Column, Shape, as_uniform

Truths = Mapping[str, Column]
STATES = ("operated", "settled")


class Case(Frozen):
    """A value drawn where everything in `when` is known to be so."""

    when: dict[str, bool | str] = Attribute(min_length=1)
    shape: Shape


class Record(Frozen):
    """Values of one field: the first case that fits; none leaves the cell empty."""

    field: str
    cases: tuple[Case, ...]


def complaints(records: Sequence[Record], spec: Specification, factors: frozenset[str]) -> list[str]:
    """Every entry that does not fit the specification."""
    found: list[str] = []
    known = {*STATES, *spec.outcomes.names, *spec.regimens.exposure_names}
    for record in records:
        owner = f"record {record.field}"
        field = spec.fields.get(record.field)
        if field is None:
            found.append(f"{owner}: unknown field")
            continue
        for case in record.cases:
            found += case.shape.complaints(owner, field, spec, factors)
            for name, state in case.when.items():
                other = spec.fields.get(name)
                if isinstance(state, str):
                    if other is None or state not in other.codes:
                        found.append(f"{owner}: {state} is not a code of {name}")
                elif name not in known and (other is None or other.kind is not Kind.BOOLEAN):
                    found.append(f"{owner}: {name} is no outcome, drug, state or yes/no field")
    return found


def write_down(
    records: Sequence[Record],
    truths: Truths,
    patients: Patients,
    extra: Truths,
    encoding: Encoding,
    rng: np.random.Generator,
) -> dict[str, Column]:
    """Draw the recorded values.

    Parameters
    ----------
    truths
        Outcomes, drugs and states by name: 1, 0, or NaN where the hospital does not know.
    patients
        Complete patients.
    extra
        Coded columns that are not yet among the patients' (the plan).

    Returns
    -------
    dict
        Coded columns by field.
    """
    spec = patients.spec
    written: dict[str, Column] = {}

    def column(name: str) -> Column:
        if name in written:
            return written[name]
        return extra[name] if name in extra else patients[name]

    def factor(name: str) -> Column:
        return encoding.patient_matrix(patients, [name])[:, 0]

    for record in records:
        field = spec.fields[record.field]
        u = as_uniform(rng.standard_normal(patients.n))
        value = np.full(patients.n, np.nan)
        open_ = np.ones(patients.n, dtype=bool)
        for case in record.cases:
            fits = open_ & _fits(case, spec, truths, column)
            open_ &= ~fits
            with np.errstate(invalid="ignore"):
                value = np.where(fits, case.shape.draw(field, u, column, factor), value)
        written[field.name] = value
    return written


def _fits(case: Case, spec: Specification, truths: Truths, column: Callable[[str], Column]) -> np.ndarray:
    parts = []
    for name, state in case.when.items():
        if isinstance(state, str):
            field: Field = spec.fields[name]
            parts.append(column(name) == list(field.codes).index(state))
        else:
            parts.append((truths[name] if name in truths else column(name)) == float(state))
    return np.all(parts, axis=0)

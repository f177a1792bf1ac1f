"""Declared conditions asked of every patient of a coded table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import Kind, Patients
from features.rule import Condition

Column = NDArray[np.float64]


def answers(condition: Condition, patients: Patients) -> Column:
    """Evaluate a condition for each patient.

    Returns
    -------
    (n,) array
        1 where it is true, 0 where it is not, NaN where a missing input leaves it open.
    """
    spec = patients.spec
    names = sorted(condition.facts())
    columns = [_values(name, patients) for name in names]
    known: dict[tuple[Any, ...], float] = {}
    found = np.empty(patients.n)
    for i, row in enumerate(zip(*columns, strict=True)):
        if row not in known:
            facts = dict(zip(names, (list(v) if isinstance(v, tuple) else v for v in row), strict=True))
            answer = condition.evaluate(facts, spec.unknown_codes)
            known[row] = np.nan if answer is None else float(answer)
        found[i] = known[row]
    return found


def _values(name: str, patients: Patients) -> list[Any]:
    spec = patients.spec
    field = spec.fields.get(name)
    if field is not None and field.kind is Kind.CODES:
        held = np.column_stack([patients[column] for column in field.columns])
        return [
            None if np.isnan(row).any() else tuple(c for c, h in zip(field.codes, row, strict=True) if h)
            for row in held
        ]
    column = patients[name]
    codes = spec.codes(name)
    if codes:
        return [None if np.isnan(x) else codes[int(x)] for x in column]
    # Numbers, truths as 1 and 0, and dates as ordinal days all compare as they are.
    return [None if np.isnan(x) else x for x in column.tolist()]

"""The two tables that a simulation gives: the registry, and the truth behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import Field, Kind, Patients, Specification
from training.registry.layout import load_layout
from training.simulator.shape import Column
from training.simulator.treatment import for_weeks
from training.simulator.truth import Truth

WITHIN = "|within"


def registry_table(
    spec: Specification,
    coded: Mapping[str, Mapping[str, Column]],
    blank: Mapping[str, NDArray[np.bool_]],
    records: list[str],
    sites: NDArray[np.str_],
) -> pd.DataFrame:
    """One row per patient: plain Python values, None where not recorded; the first column marks them as simulated.

    Parameters
    ----------
    coded
        Coded columns by field.
    blank
        Where a field's cells were never filled in.
    """
    layout = load_layout(spec)
    columns: dict[str, list[Any]] = {layout.simulated_column: [True] * len(records)}
    for field in spec.registry_fields:
        if field.name == layout.keys.record:
            columns[field.name] = records
        elif field.name == layout.keys.site:
            columns[field.name] = sites.tolist()
        elif field.name in coded:
            values = _decoded(field, coded[field.name])
            empty = blank.get(field.name)
            columns[field.name] = (
                values if empty is None else [None if e else v for e, v in zip(empty, values, strict=True)]
            )
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def _decoded(field: Field, columns: Mapping[str, Column]) -> list[Any]:
    if field.kind is Kind.CODES:
        held = np.column_stack([columns[c] for c in field.columns])
        codes = list(field.codes)
        return [None if np.isnan(row[0]) else [c for c, h in zip(codes, row, strict=True) if h] for row in held]
    (column,) = columns.values()
    numbers = column.tolist()
    if field.kind is Kind.CATEGORY:
        codes = list(field.codes)
        return [None if x != x else codes[int(x)] for x in numbers]
    if field.kind is Kind.BOOLEAN:
        return [None if x != x else x == 1.0 for x in numbers]
    if field.kind is Kind.DATE:
        return [None if x != x else dt.date.fromordinal(int(x)) for x in numbers]
    if field.kind is Kind.INTEGER:
        return [None if x != x else int(x) for x in numbers]
    return [None if x != x else x for x in numbers]


def truth_table(
    spec: Specification,
    truth: Truth,
    complete: Patients,
    weeks: NDArray[np.intp],
    sites: NDArray[np.str_],
    records: list[str],
) -> pd.DataFrame:
    """One row per patient and regimen: the probabilities behind the registry, the site's share included."""
    layout = load_layout(spec)
    n, regimens = complete.n, spec.regimens.all()
    values = {name: np.empty((n, len(regimens))) for o in spec.outcomes.names for name in (o, o + WITHIN)}
    cycles = np.empty((n, len(regimens)), dtype=np.int64)
    for duration in np.unique(weeks):
        rows = np.flatnonzero(weeks == duration)
        planned = for_weeks(regimens, int(duration), spec)
        cycles[rows] = [r.planned_cycles for r in planned]
        within, given = truth.probabilities(complete.take(rows), planned, sites[rows])
        for name in spec.outcomes.names:
            values[name][rows], values[name + WITHIN][rows] = given[name], within[name]
    return pd.DataFrame(
        {
            layout.keys.record: pd.Categorical(np.repeat(records, len(regimens)), categories=records),
            "backbone": pd.Categorical(np.tile([r.backbone for r in regimens], n)),
            "biologic": pd.Categorical(np.tile([r.biologic for r in regimens], n)),
            layout.plan.cycles: cycles.ravel(),
            **{name: matrix.ravel() for name, matrix in values.items()},
        }
    )

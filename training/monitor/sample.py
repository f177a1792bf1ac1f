"""The two files of a model that had been asked about every patient of a cohort, for demonstrations and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features import Field, Kind, Patients
from training.bundle import Bundle
from training.champion import predict
from training.monitor.layout import load_file_layout
from training.registry import Cohort
from training.registry.layout import load_layout
from training.simulator.export import write_registry


def write_predictions(path: Path, cohort: Cohort, bundle: Bundle, version: str) -> None:
    """Write what a model predicts for each patient under the regimen started, as if asked on day 1.

    Parameters
    ----------
    path
        CSV, or Parquet by the name's ending.
    """
    spec, layout = cohort.spec, load_file_layout(cohort.spec).predictions
    keys, plan = load_layout(spec).keys, load_layout(spec).plan
    columns: dict[str, list[Any]] = {
        layout.key: cohort.record.tolist(),
        layout.when: cohort.index_date.tolist(),
        layout.version: [version] * len(cohort),
        keys.site: cohort.site.tolist(),
        **{field.name: _raw(cohort.patients, field) for field in spec.asked},
        plan.backbone: [r.backbone for r in cohort.regimens],
        plan.biologic: [r.biologic for r in cohort.regimens],
        plan.cycles: [r.planned_cycles for r in cohort.regimens],
    }
    chances = predict(bundle, cohort).probability
    columns |= {name: np.round(chance, 6).tolist() for name, chance in chances.items()}
    write_registry(_frame(columns), path)


def write_outcomes(path: Path, cohort: Cohort) -> None:
    """Write what became of each patient: yes, no, or nothing where it is not known or cannot be."""
    layout = load_file_layout(cohort.spec).outcomes
    columns: dict[str, list[Any]] = {
        layout.key: cohort.record.tolist(),
        load_layout(cohort.spec).keys.start: cohort.index_date.tolist(),
        **{name: [None if np.isnan(v) else bool(v) for v in column] for name, column in cohort.outcomes.items()},
    }
    write_registry(_frame(columns), path)


def _frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def _raw(patients: Patients, field: Field) -> list[Any]:
    if field.kind is Kind.CODES:
        held = np.column_stack([patients[column] for column in field.columns])
        return [
            None if np.isnan(row).any() else [c for c, h in zip(field.codes, row, strict=True) if h] or None
            for row in held
        ]
    codes = list(field.codes)

    def value(number: float) -> Any:
        if np.isnan(number):
            return None
        if field.kind is Kind.CATEGORY:
            return codes[int(number)]
        if field.kind is Kind.BOOLEAN:
            return bool(number)
        return int(number) if field.kind is Kind.INTEGER else number

    return [value(number) for number in patients[field.name].tolist()]

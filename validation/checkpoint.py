"""Run the suites over a registry as Great Expectations checkpoints, and gather what they found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from features import Problem, Specification, Time
from validation.columns import read_columns, unused
from validation.data_docs import write_data_docs
from validation.defects import column_defects, row_defects
from validation.engine import Engine, Finding
from validation.report import Defect, ValidationReport
from validation.rows import read_rows
from validation.sites import read_sites
from validation.suite import column_suite, row_suites, site_suite

if TYPE_CHECKING:
    import pandas as pd


def validate_registry(
    frame: pd.DataFrame,
    spec: Specification,
    *,
    docs_dir: Path | str | None = None,
    predictors: Sequence[str] = (),
    predict_at: Time = Time.BASELINE,
    reading: Iterable[Problem] = (),
    notes: Iterable[str] = (),
) -> ValidationReport:
    """Hold a registry against the specification.

    Parameters
    ----------
    frame
        One row a patient, columns named as in the specification, cells as read: numbers, booleans, lists of codes
        and dates where they could be read as such, and otherwise as written.
    docs_dir
        Folder for the Data Docs; None makes none.
    predictors
        Columns offered as predictors of a model that answers at `predict_at`.
    reading, notes
        Problems and remarks of the reader, to be reported along.

    Returns
    -------
    ValidationReport
        With every problem: nothing in a cell raises.

    Raises
    ------
    ValueError
        When a column is given twice.
    """
    present = [str(c) for c in frame.columns]
    rows = read_rows(frame, spec)
    engine = Engine()
    by_row = [f for suite in row_suites(spec, present) for f in engine.run(suite, rows.table)]
    by_column = engine.run(column_suite(spec, predict_at), read_columns(present, predictors))
    by_site = engine.run(site_suite(spec, present), read_sites(rows, spec)) if rows.n else []
    defects = [
        *(Defect.of_reading(problem) for problem in reading),
        *column_defects(by_column, spec, predict_at),
        *row_defects(by_row, by_site, rows, spec),
    ]
    remarks = (*notes, *unused([c for c in present if c not in _named(by_column)], spec))
    report = ValidationReport(rows.n, tuple(sorted(defects, key=_order)), remarks, spec.digest)
    if docs_dir is not None:
        write_data_docs(engine, Path(docs_dir), report)
    return report


def _named(findings: Iterable[Finding]) -> set[str]:
    return {str(name) for finding in findings for name in finding.where}


def _order(defect: Defect) -> tuple[bool, bool, int, str, str]:
    return (defect.severity != "error", bool(defect.rows), -(defect.count or 0), defect.field, defect.code)

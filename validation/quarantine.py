"""Set failing rows aside, and go on while they are few."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from validation.registry import CheckedRegistry, RegistryRejected
from validation.report import ValidationReport
from validation.rows import SEPARATOR

if TYPE_CHECKING:
    import pandas as pd

#: Go on while fewer than this share of rows fail.
MAX_BAD_SHARE = 0.05
#: Column of the file that says why a row was set aside.
REASON = "set_aside_because"


def admit(frame: pd.DataFrame, report: ValidationReport) -> CheckedRegistry:
    """Take a registry without errors.

    Raises
    ------
    RegistryRejected
        When there is any error.
    """
    return CheckedRegistry(frame.reset_index(drop=True), report)


def admit_without_failing(
    frame: pd.DataFrame,
    report: ValidationReport,
    path: Path | str | None = None,
    max_bad_share: float = MAX_BAD_SHARE,
) -> CheckedRegistry:
    """Take the rows of a registry that pass, and write the others to a file.

    Parameters
    ----------
    frame
        The registry on which `report` is.
    path
        CSV of the rows set aside, with their reasons in the first column; None writes none. It holds patients'
        values, for whoever corrects them, but no column that identifies a patient.
    max_bad_share
        Share of rows, in (0, 1].

    Raises
    ------
    RegistryRejected
        When `max_bad_share` of the rows or more fail, or an error lies with no particular rows. The file is
        written all the same.
    ValueError
        When `max_bad_share` is not a share.
    """
    if not 0 < max_bad_share <= 1:
        raise ValueError("the share of failing rows must lie between 0 and 1, such as 0.05")
    if path is not None and report.failing:
        _write(frame, report, Path(path))
    if report.blocking:
        raise RegistryRejected(report, "Some errors lie with no particular rows, so setting rows aside does not help:")
    if report.failing and report.failing_share >= max_bad_share:
        limit = f"fewer than {max_bad_share:.1%} may fail"
        raise RegistryRejected(report, f"{report.failing_share:.1%} of the rows fail, and {limit}:")
    kept = [i for i in range(len(frame)) if i not in report.failing]
    return CheckedRegistry(frame.iloc[kept].reset_index(drop=True), report, report.failing)


def _write(frame: pd.DataFrame, report: ValidationReport, path: Path) -> None:
    import pandas as pd

    reasons: dict[int, list[str]] = {i: [] for i in sorted(report.failing)}
    for problem in report.errors:
        for i in problem.rows:
            reasons[i].append(f"{problem.field}: {problem.code}")
    identifying = {c for p in report.errors for c in p.columns}
    # Columns of objects: among gaps pandas would write the whole number 54 as 54.0.
    rows: dict[str, list[object]] = {REASON: ["; ".join(r) for r in reasons.values()]}
    for name in [c for c in frame.columns if c not in identifying]:
        cells = frame[name].tolist()
        rows[name] = [_cell(cells[i]) for i in reasons]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, dtype=object).to_csv(path, index=False)


def _cell(value: object) -> object:
    return SEPARATOR.join(map(str, value)) if isinstance(value, list | tuple | set) else value

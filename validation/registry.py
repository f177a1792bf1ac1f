"""A registry that passed: the only form in which training takes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from validation.report import ValidationReport

if TYPE_CHECKING:
    import pandas as pd


class RegistryRejected(ValueError):
    """A registry that did not pass; carries the report, and its message names every error."""

    def __init__(self, report: ValidationReport, reason: str = "") -> None:
        self.report = report
        listed = "; ".join(f"{p.field}: {p.code}" for p in report.errors)
        super().__init__(f"{reason or report.summary()} {listed}".strip())


@dataclass(frozen=True)
class CheckedRegistry:
    """The rows of a registry that passed, with the report.

    Attributes
    ----------
    frame
        The passing rows, shape (n, columns), indexed from 0.
    report
        On all rows, including those set aside.
    set_aside
        Positions of the rows set aside, in the registry as it was read.

    Raises
    ------
    RegistryRejected
        When the report holds errors that setting rows aside did not remove, so that nothing unchecked can be
        passed off as checked.
    """

    frame: pd.DataFrame
    report: ValidationReport
    set_aside: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.report.blocking or not self.report.failing <= self.set_aside:
            raise RegistryRejected(self.report)
        if len(self.frame) != self.report.rows - len(self.set_aside):
            expected = f"{self.report.rows} rows less {len(self.set_aside)} set aside"
            raise ValueError(f"the report is on {expected}, and the registry has {len(self.frame)} rows")

"""A requirement: what one expectation asks of a registry, in words that its report repeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Severity = Literal["error", "warning"]
Scope = Literal["cell", "column", "site"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must hold, and what to do where it does not.

    Attributes
    ----------
    field
        The field, or several separated by commas.
    code
        Machine-readable kind of the defect.
    what
        What is wrong where the requirement is not met.
    allowed
        What would be right.
    do
        What to do about it.
    severity
        An error keeps the data from training; a warning asks for a look.
    scope
        Whether single cells, a column as a whole, or the figures of one site do not meet it.
    """

    field: str
    code: str
    what: str
    allowed: str
    do: str
    severity: Severity = "error"
    scope: Scope = "cell"

    def meta(self) -> dict[str, Any]:
        """As the ``meta`` of an expectation."""
        return asdict(self)

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Requirement:
        """The requirement that an expectation carries."""
        return cls(**{f.name: meta[f.name] for f in fields(cls)})


def told_with(requirement: Requirement) -> dict[str, Any]:
    """The arguments by which an expectation carries its requirement."""
    severity = "critical" if requirement.severity == "error" else "warning"
    return {"meta": requirement.meta(), "severity": severity}

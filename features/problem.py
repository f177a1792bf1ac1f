"""One thing wrong with a value: where, which kind, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A complaint that a person and a program can both read.

    Attributes
    ----------
    field
        Name of the field, or a dotted path to it.
    code
        Machine-readable kind: ``below_hard_limit``, ``unknown_code``, ``missing_required`` ...
    message
        What was wrong, what is allowed and what to do. Never contains the patient's value.
    """

    field: str
    code: str
    message: str


class InvalidValues(ValueError):
    """One or more values were refused; carries every problem, not the first only."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in self.problems))

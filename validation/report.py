"""What validation found, for a person to read and for a program. It never holds a patient's value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from dataclasses import field as member
from functools import cached_property
from typing import TYPE_CHECKING, Any

from features import Problem
from validation.requirement import Requirement, Severity

if TYPE_CHECKING:
    from rich.console import Console

#: Row ids shown of one problem.
EXAMPLES = 5


@dataclass(frozen=True)
class Defect:
    """One kind of problem with one field.

    Attributes
    ----------
    count, share
        How many rows are concerned, and their share of all rows; of a column as a whole, None.
    examples
        Pseudonyms of the first few rows, or the line where there is none.
    sites
        Sites whose figures show it, if it was found by site.
    columns
        The file's own names of the columns at fault, if it was found by name.
    rows
        Positions of all rows concerned, from 0.
    """

    field: str
    code: str
    severity: Severity
    what: str
    allowed: str
    do: str
    count: int | None = None
    share: float | None = None
    examples: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[int, ...] = member(default=(), repr=False)

    @classmethod
    def of_column(cls, requirement: Requirement, columns: tuple[str, ...] = ()) -> Defect:
        """A problem of a column as such."""
        r = requirement
        return cls(r.field, r.code, r.severity, r.what, r.allowed, r.do, columns=columns)

    @classmethod
    def of_reading(cls, problem: Problem) -> Defect:
        """A problem met while the file was read."""
        do = "Correct the file or the column map"
        return cls(problem.field, problem.code, "error", problem.message.rstrip("."), "see the column map", do)

    def public(self) -> dict[str, Any]:
        """As plain data for JSON."""
        data = {k: getattr(self, k) for k in ("field", "code", "severity", "count", "share")}
        data |= {k: list(getattr(self, k)) for k in ("examples", "sites", "columns")}
        return {**data, "what": self.what, "allowed": self.allowed, "do": self.do}


@dataclass(frozen=True)
class ValidationReport:
    """The verdict on a registry.

    Attributes
    ----------
    rows
        Number of rows.
    problems
        Errors first, and those that concern most rows first.
    notes
        Remarks that ask for nothing.
    spec_digest
        Of the specification that the registry was held against.
    """

    rows: int
    problems: tuple[Defect, ...]
    notes: tuple[str, ...] = ()
    spec_digest: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Defect, ...]:
        """Problems that keep the data from training."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Defect, ...]:
        """Problems that ask for a look."""
        return tuple(p for p in self.problems if p.severity == "warning")

    @cached_property
    def failing(self) -> frozenset[int]:
        """Positions of the rows with an error."""
        return frozenset(i for p in self.errors for i in p.rows)

    @property
    def blocking(self) -> tuple[Defect, ...]:
        """Errors that no set of rows can be blamed for: setting rows aside does not help."""
        return tuple(p for p in self.errors if not p.rows)

    @property
    def failing_share(self) -> float:
        """Share of rows with an error."""
        return len(self.failing) / self.rows if self.rows else 0.0

    def codes(self) -> tuple[str, ...]:
        """Codes of all problems, each once."""
        return tuple(dict.fromkeys(p.code for p in self.problems))

    def public(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "ok": self.ok,
            "rows": self.rows,
            "rows_failing": len(self.failing),
            "spec_digest": self.spec_digest,
            "problems": [p.public() for p in self.problems],
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """As indented JSON."""
        return json.dumps(self.public(), indent=2, ensure_ascii=False)

    def render(self, console: Console) -> None:
        """Print one readable report."""
        from rich.markup import escape
        from rich.table import Table

        for heading, problems in (("Errors", self.errors), ("Warnings", self.warnings)):
            if not problems:
                continue
            table = Table(title=f"{heading} ({len(problems)})", title_justify="left", expand=True, show_lines=True)
            table.add_column("Field and code", ratio=3, overflow="fold")
            table.add_column("Rows", justify="right", no_wrap=True)
            table.add_column("Where", ratio=2, overflow="fold")
            table.add_column("What is wrong, what is allowed, what to do", ratio=6)
            for p in problems:
                words = f"{p.what}.\nAllowed: {p.allowed}.\n[bold]{escape(p.do)}.[/bold]"
                rows = "" if p.count is None else f"{p.count:,}\n{_percent(p.share or 0)}"
                where = "\n".join(filter(None, (_listed("rows", p.examples, p.count), _listed("sites", p.sites),
                                                _listed("columns", p.columns))))  # fmt: skip
                name = escape(p.field.replace(", ", "\n"))
                table.add_row(f"[bold]{name}[/bold]\n{p.code}", rows, escape(where), words)
            console.print(table)
        for note in self.notes:
            console.print(f"Note: {escape(note)}")
        console.print(escape(self.summary()), style="bold")

    def summary(self) -> str:
        """The verdict in one line."""
        failing = (
            f"{len(self.failing)} with errors ({_percent(self.failing_share)})" if self.failing else "none with errors"
        )
        counted = ", ".join(
            _counted(n, what) for n, what in ((len(self.errors), "error"), (len(self.warnings), "warning"))
        )
        return f"{'Clean' if self.ok else 'Not clean'}: {_counted(self.rows, 'row')}, {failing}; {counted}."


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == 0 or share >= 0.001 else "<0.1%"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _listed(what: str, names: tuple[str, ...], count: int | None = None) -> str:
    if not names:
        return ""
    more = f" and {count - len(names)} more" if count is not None and count > len(names) else ""
    return f"{what} {', '.join(names)}{more}"

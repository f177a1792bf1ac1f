"""What each row says, in the form that rules read, and which outcomes follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features import Kind, Patients, Role, Specification
from features.rule import Condition
from features.specification import REGIMEN_FACTS
from validation.cell import each

Values = Mapping[str, Sequence[Any]]
Answers = list[bool | None]


@dataclass(frozen=True)
class RowFacts:
    """Facts of every row, by name; None where a row does not tell, or tells what its field does not allow.

    Attributes
    ----------
    values
        Fields, derived fields and the planned duration, each of length n.
    outcomes
        The registry's own yes/no columns of outcomes, by outcome.
    """

    spec: Specification
    n: int
    values: Values
    outcomes: Mapping[str, Answers]

    def answers(self, condition: Condition) -> Answers:
        """Evaluate a condition on every row: True, False, or None when a missing input leaves it open."""
        names = sorted(condition.facts())
        columns = [self.values.get(name) or [None] * self.n for name in names]
        unknown = self.spec.unknown_codes
        return each(
            lambda row: condition.evaluate(dict(zip(names, row, strict=True)), unknown), zip(*columns, strict=True)
        )

    def happened(self) -> dict[str, Answers]:
        """Every outcome of every row, among those to whom it could happen.

        A row's own column tells first, else the condition by which the specification reads it from other fields.
        An outcome is None where it is not known, and where its parent did not happen or is not known to have.
        """
        told: dict[str, Answers] = {}
        for outcome in self.spec.outcomes.outcomes:
            own = self.outcomes.get(outcome.name) or [None] * self.n
            read = self.answers(outcome.recorded) if outcome.recorded is not None else [None] * self.n
            column = [r if o is None else o for o, r in zip(own, read, strict=True)]
            if outcome.within is not None:
                parent = told[outcome.within]
                column = [c if p else None for c, p in zip(column, parent, strict=True)]
            told[outcome.name] = column
        return told


def row_facts(spec: Specification, n: int, values: Values, outcomes: Mapping[str, Answers]) -> RowFacts:
    """Add what is computed from the recorded values: derived fields and the planned weeks.

    Parameters
    ----------
    values
        Plain values by field, each of length n, and None wherever `Field.problem` objects.
    """
    conditions = [rule.when for rule in spec.consistency]
    conditions += [o.recorded for o in spec.outcomes.outcomes if o.recorded is not None]
    wanted = {fact for condition in conditions for fact in condition.facts()}
    known = dict(values)
    patients = Patients.from_raw(spec, n, {name: known[name] for name in _inputs(spec, wanted) if name in known})
    for name in sorted(wanted & set(spec.derived)):
        known[name] = _decoded(spec, name, patients[name])
    known.update(_plan(spec, n, known))
    return RowFacts(spec, n, known, outcomes)


def _inputs(spec: Specification, names: Iterable[str]) -> set[str]:
    """Recorded fields from which derived fields are computed."""
    found: set[str] = set()
    for name in names:
        if name in spec.derived:
            sources = spec.derived[name].inputs
            found |= {s for s in sources if s in spec.fields} | _inputs(spec, sources)
    return found


def _decoded(spec: Specification, name: str, column: np.ndarray) -> list[Any]:
    codes = spec.codes(name)
    return [None if np.isnan(x) else codes[int(x)] if codes else float(x) for x in column]


def _plan(spec: Specification, n: int, values: Values) -> dict[str, list[Any]]:
    """The facts about the planned regimen that a row gives: backbone, biologic, weeks and cycles."""
    weeks = {b.name: b.cycle_weeks for b in spec.regimens.backbones}
    biologics = {b.name for b in spec.regimens.biologics}
    empty: list[Any] = [None] * n
    backbone = biologic = cycles = empty
    for field in spec.field_with(Role.PLAN):
        column = list(values.get(field.name, empty))
        if field.kind is Kind.INTEGER:
            cycles = column
        elif set(field.codes) <= set(weeks):
            backbone = column
        elif set(field.codes) <= biologics:
            biologic = column
    planned = [weeks[b] * c if b in weeks and c is not None else None for b, c in zip(backbone, cycles, strict=True)]
    return dict(zip(REGIMEN_FACTS, (backbone, biologic, planned, cycles), strict=True))

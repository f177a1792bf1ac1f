"""Which entries an auditor wants."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from serving.ledger.entry import Kind
from serving.ledger.table import entries


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are wanted; what is None does not matter.

    Attributes
    ----------
    after
        Number of the entry behind which to begin.
    since, until
        Written then or later, and before then: `Draft` times, that is ISO 8601 in UTC with microseconds.
    prediction_id
        The answer of this id and everything about it: estimates, outcomes, what a challenger would have answered.
    patient
        Keyed hash of a patient reference.
    """

    after: int = 0
    kind: Kind | None = None
    since: str | None = None
    until: str | None = None
    model_version: str | None = None
    caller: str | None = None
    patient: str | None = None
    prediction_id: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As SQL, without the place in the chain."""
        columns = entries.c
        found: list[sa.ColumnElement[bool]] = []
        for column, value in (
            (columns.kind, None if self.kind is None else str(self.kind)),
            (columns.model_version, self.model_version),
            (columns.caller, self.caller),
            (columns.patient, self.patient),
        ):
            if value is not None:
                found.append(column == value)
        if self.since is not None:
            found.append(columns.at >= self.since)
        if self.until is not None:
            found.append(columns.at < self.until)
        if self.prediction_id is not None:
            found.append(sa.or_(columns.id == self.prediction_id, columns.prediction_id == self.prediction_id))
        return found

"""The ledger: append, read back, report outcomes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from features import InvalidValues, Problem
from serving.ledger.caller import Caller
from serving.ledger.checkpoint import Checkpoint, genuine
from serving.ledger.commit import write_one
from serving.ledger.database import Database, Synchronous
from serving.ledger.entry import ANSWERED, Draft, Kind, Receipt, canonical, digest_of
from serving.ledger.errors import LedgerError, Removed
from serving.ledger.key import Key
from serving.ledger.migrate import check, migrate
from serving.ledger.outcome import Outcome, OutcomeRules, outcome_id
from serving.ledger.stored import Stored, stored_in
from serving.ledger.table import entries
from serving.ledger.writer import Limits, Writer

if TYPE_CHECKING:
    from features import Specification


@dataclass(frozen=True, slots=True)
class Report:
    """Says that an outcome is recorded, and as which version of it.

    Attributes
    ----------
    revision
        1 for the first report of a prediction, one more for each that corrected it.
    existing
        Whether this report stood already.
    """

    prediction_id: str
    outcome_id: str
    revision: int
    recorded_at: str
    seq: int
    hash: str
    existing: bool


class Conflict(LedgerError):
    """An idempotency key was used before, with other values."""


class Ledger:
    """An append-only, hash-chained record of predictions and of what became of the patients.

    Opening migrates the database where needed. Every method may be called from any thread; any number of processes
    may hold the same ledger open.

    Parameters
    ----------
    url
        SQLAlchemy URL of a sqlite file or a PostgreSQL database.
    key
        Signs checkpoints and makes pseudonyms; always the same for one ledger.
    synchronous
        ``full`` or ``normal``, see `serving.ledger.database`.
    spec
        By which outcomes are judged; the one that ships with the project when None.
    wrote
        Called after each commit with the number of entries, by whichever thread committed.
    read_only
        Whether nothing may be written: then no table is made or migrated, and no first entry.

    Raises
    ------
    LedgerError
        When the URL, the key or the database's revision does not fit, or there is none to read.
    LedgerUnavailable
        When the database cannot be opened.
    """

    def __init__(
        self,
        url: str,
        key: Key | str,
        *,
        synchronous: Synchronous = "full",
        limits: Limits | None = None,
        spec: Specification | None = None,
        wrote: Callable[[int], None] | None = None,
        read_only: bool = False,
    ) -> None:
        self.key = Key(key) if isinstance(key, str) else key
        self.database = Database(url, synchronous, read_only)
        self._spec, self._known_rules = spec, None if spec is None else OutcomeRules(spec)
        self._written_by: Writer | None = None
        if read_only:
            check(self.database)
            self._begin()
            return
        migrate(self.database)
        self._begin()
        self.database.prepare()
        self._written_by = Writer(self.database, self.key, limits, wrote)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits, and close."""
        if self._written_by is not None:
            self._written_by.close()
        self.database.close()

    @property
    def _writer(self) -> Writer:
        if self._written_by is None:
            raise LedgerError("The ledger was opened for reading alone.")
        return self._written_by

    @property
    def problem(self) -> str | None:
        """Why the last entry was not written, or None when it was; for readiness."""
        return self._writer.problem

    def probe(self) -> None:
        """Where there is a `problem`, have the writer's thread try again, every 2 s at most; returns at once.

        What it writes is a signed checkpoint, which clears the problem.
        """
        self._writer.probe()

    def pseudonym(self, reference: str) -> str:
        """The keyed hash under which a patient reference is kept."""
        return self.key.patient(reference)

    async def append(self, drafts: Sequence[Draft]) -> tuple[Receipt, ...]:
        """Write drafts together or not at all; returns once they are committed.

        Raises
        ------
        LedgerBusy
            When too much waits: nothing was taken on.
        LedgerUnavailable
            When they are not known to be written.
        LedgerError
            When one of them cannot be written at all: its id stands already, or it holds what JSON cannot.
        """
        return await self._writer.append(drafts)

    def append_sync(self, drafts: Sequence[Draft]) -> tuple[Receipt, ...]:
        """The same, for a thread."""
        return self._writer.append_sync(drafts)

    def get(self, prediction_id: str) -> bytes | None:
        """An answer, bit for bit as it was sent; None when there is none of this id.

        Raises
        ------
        Removed
            When it was removed under retention.
        """
        stored = self.answered(prediction_id)
        return None if stored is None else stored.answer

    def answered(self, prediction_id: str) -> Stored | None:
        """A prediction, comparison or explanation with its record; None when there is none. Raises as `get`."""
        with self.database.reading() as connection:
            row = connection.execute(_BY_ID, {"wanted": prediction_id}).first()
        return None if row is None or row.kind not in ANSWERED else stored_in(row)

    def prediction(self, prediction_id: str) -> Stored | None:
        """A prediction with its record; None when there is none. Raises as `get`."""
        stored = self.answered(prediction_id)
        return stored if stored is not None and stored.kind is Kind.PREDICTION else None

    def followed(self, prediction_id: str) -> Stored:
        """The prediction that a report or an estimate is about.

        Raises
        ------
        KeyError
            When there is no such prediction.
        Removed
            When it was removed under retention.
        InvalidValues
            When the id is that of a comparison or an explanation.
        """
        stored = self.answered(prediction_id)
        if stored is None:
            raise KeyError(prediction_id)
        if stored.kind is not Kind.PREDICTION:
            raise InvalidValues([_NOT_PREDICTED])
        return stored

    def outcomes(self, prediction_id: str) -> tuple[Stored, ...]:
        """Every report of a prediction, oldest first; the last one stands. Removed ones are left out."""
        with self.database.reading() as connection:
            rows = connection.execute(_ABOUT, {"wanted": prediction_id, "kind": Kind.OUTCOME}).all()
        return tuple(stored_in(row) for row in rows if row.payload is not None)

    def record_outcome(
        self,
        prediction_id: str,
        values: Mapping[str, Any],
        *,
        caller: Caller | None = None,
        idempotency_key: str | None = None,
    ) -> Report:
        """Record what became of a patient; blocks until it is committed.

        A report is whole: it holds everything known now, and stands in place of the one before it, which is kept.
        Sent twice it is one entry: under the same idempotency key, or without one when it equals the latest.

        Raises
        ------
        KeyError
            When there is no such prediction.
        Removed
            When the prediction was removed under retention.
        InvalidValues
            With every problem; also when the id is that of a comparison or an explanation.
        Conflict
            When the idempotency key was used for other values of this prediction.
        LedgerBusy, LedgerUnavailable
            As `append`.
        """
        predicted = self.followed(prediction_id)
        made = dt.datetime.fromisoformat(predicted.at).date()
        problems = self._rules().problems(values, predicted.record["inputs"]["entered"], made)
        if problems:
            raise InvalidValues(problems)
        told = {name: value for name, value in values.items() if value is not None}
        before = self.outcomes(prediction_id)
        if idempotency_key is None:
            latest = before[-1] if before else None
            if latest is not None and latest.record["values"] == told:
                return self._report(prediction_id, latest.id)
            # Of two that correct the same report in the same way at once, one entry is made.
            idempotency_key = f"{digest_of(canonical(told))} after {latest.id if latest else None}"
        id = outcome_id(prediction_id, idempotency_key)
        (receipt,) = self.append_sync([Outcome(id, prediction_id, told, caller or Caller())])
        if receipt.existing:
            standing = next((s for s in self.outcomes(prediction_id) if s.id == id), None)
            if standing is not None and standing.record["values"] != told:
                raise Conflict("This idempotency key was used for another report of this prediction; use a new one.")
        return self._report(prediction_id, id, receipt.existing)

    def stored(self, *kinds: Kind) -> Iterator[Stored]:
        """Entries of some kinds, in order, without those removed; one view of the ledger, a few rows in memory."""
        wanted = sa.select(entries).where(entries.c.kind.in_(kinds), entries.c.payload.is_not(None))
        with self.database.reading() as connection:
            rows = connection.execution_options(yield_per=200).execute(wanted.order_by(entries.c.seq))
            for row in rows:
                yield stored_in(row)

    def _report(self, prediction_id: str, id: str, existing: bool = True) -> Report:
        with self.database.reading() as connection:
            rows = connection.execute(_ABOUT, {"wanted": prediction_id, "kind": Kind.OUTCOME}).all()
        revision = next(i for i, row in enumerate(rows, 1) if row.id == id)
        row = rows[revision - 1]
        return Report(prediction_id, id, revision, row.at, row.seq, row.hash, existing)

    def _rules(self) -> OutcomeRules:
        if self._known_rules is None:
            from features import load_specification

            self._known_rules = OutcomeRules(self._spec or load_specification())
        return self._known_rules

    def _begin(self) -> None:
        """Write the first entry, a checkpoint, or check that the one there is of this key."""
        first = sa.select(entries).where(entries.c.seq == 1)
        with self.database.reading() as connection:
            row = connection.execute(first).first()
        if row is None:
            if self.database.read_only:
                return
            with self.database.writing() as connection:
                row = connection.execute(first).first()
                if row is None:
                    write_one(connection, lambda seq, previous: Checkpoint(self.key, seq, previous))
                    return
        try:
            known = genuine(stored_in(row).record, self.key, 1, row.previous)
        except (ValueError, Removed):
            return  # Tampered with, which `verify` says; what comes now is recorded all the same.
        if row.kind == Kind.CHECKPOINT and not known:
            raise LedgerError(
                "The ledger was begun with another key. Set RESECTA_LEDGER_KEY to that key, "
                "or put its file ledger.key back."
            )


_NOT_PREDICTED = Problem(
    "prediction_id",
    "not_a_prediction",
    "Is the id of a comparison or an explanation; name the prediction of this patient (POST /predict) instead.",
)
_BY_ID = sa.select(entries).where(entries.c.id == sa.bindparam("wanted"))
_ABOUT = (
    sa.select(entries)
    .where(entries.c.prediction_id == sa.bindparam("wanted"), entries.c.kind == sa.bindparam("kind"))
    .order_by(entries.c.seq)
)

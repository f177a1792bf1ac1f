"""One transaction: jobs become rows at the end of the chain, and whoever waits is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from serving.ledger.checkpoint import EVERY, Checkpoint
from serving.ledger.entry import GENESIS, Draft, Receipt, chain
from serving.ledger.errors import LedgerError, LedgerUnavailable
from serving.ledger.job import Job, Packed, Receipts, tell
from serving.ledger.key import Key
from serving.ledger.line import COLUMNS, Line, LineHeld, Repeated
from serving.ledger.table import entries

log = logging.getLogger("resecta")


class Committer:
    """Writes jobs by one line; for one thread at a time.

    Parameters
    ----------
    wrote
        Called after each transaction with the number of entries and of bytes.
    said
        Called after each attempt with why the ledger cannot be written, or None.
    """

    def __init__(
        self, line: Line, key: Key, wrote: Callable[[int, int], None], said: Callable[[str | None], None]
    ) -> None:
        self.line, self.key = line, key
        self._wrote, self._said = wrote, said
        self._bytes = 0

    def pack(self, jobs: list[Job]) -> list[Job]:
        """Make what will be stored; whoever waits for a job that cannot be made is told, and it is left out."""
        ready = []
        for job in jobs:
            try:
                job.pack()
                ready.append(job)
            except Exception as error:
                log.error("An entry could not be made (%s)", type(error).__name__)
                tell([(job, LedgerError(f"The entry could not be made ({type(error).__name__})."))])
        return ready

    def commit(self, jobs: list[Job]) -> None:
        """Write packed jobs in one transaction; one that stands already fails alone.

        Raises
        ------
        LineHeld
            When another writes and the line does not wait; nobody was told anything.
        """
        if not jobs:
            return
        self._bytes = 0
        try:
            with self.line.transaction() as cursor:
                receipts = self._insert(cursor, jobs)
        except LineHeld:
            raise
        except Repeated:
            # Alone, each of the others still goes through.
            for job in jobs if len(jobs) > 1 else ():
                self.commit([job])
            if len(jobs) == 1:
                tell([(jobs[0], LedgerError("An entry of this id stands already."))])
            return
        except Exception as error:
            problem = self._failed(error)
            message = f"The answer was not written to the ledger. {problem}"
            tell([(job, LedgerUnavailable(message)) for job in jobs])
            return
        self._said(None)
        tell(list(zip(jobs, receipts, strict=True)))
        self._wrote(sum(len(given) for given in receipts), self._bytes)

    def probe(self) -> None:
        """Write a checkpoint, to learn whether anything can be written; for a line that waits.

        A transaction that writes nothing goes through on a full disk as well.
        """
        try:
            with self.line.transaction() as cursor:
                seq, previous = self.line.last(cursor) or (0, GENESIS)
                row, _ = _row(Packed.of(Checkpoint(self.key, seq + 1, previous)), seq + 1, previous)
                self.line.insert(cursor, [tuple(row[name] for name in COLUMNS)])
        except Exception as error:
            self._failed(error)
        else:
            self._said(None)

    def _failed(self, error: Exception) -> str:
        problem = str(error) if isinstance(error, LedgerError) else f"{type(error).__name__}."
        self._said(problem)
        log.error("The ledger %s could not be written: %s", self.line.database.text, problem)
        return problem

    def _insert(self, cursor: Any, jobs: list[Job]) -> list[Receipts]:
        line = self.line
        seq, previous = line.last(cursor) or (0, GENESIS)
        rows: list[tuple[Any, ...]] = []
        receipts: list[Receipts] = []

        def add(packed: Packed) -> Receipt:
            nonlocal seq, previous
            seq += 1
            row, receipt = _row(packed, seq, previous)
            rows.append(tuple(row[name] for name in COLUMNS))
            self._bytes += len(packed.stored) + 4096
            previous = receipt.hash
            return receipt

        for job in jobs:
            given = []
            for packed in job.packed:
                standing = line.standing(cursor, packed.draft.id) if packed.draft.repeatable else None
                if standing is not None:
                    given.append(standing)
                    continue
                if (seq + 1) % EVERY == 0:
                    add(Packed.of(Checkpoint(self.key, seq + 1, previous)))
                given.append(add(packed))
            receipts.append(tuple(given))
        if rows:
            line.insert(cursor, rows)
        return receipts


_LAST = sa.select(entries.c.seq, entries.c.hash).order_by(entries.c.seq.desc()).limit(1)


def write_one(connection: sa.Connection, draft: Callable[[int, str], Draft]) -> Receipt:
    """Write one entry within a transaction of `Database.writing`; `draft` is given its number and the hash before."""
    last = connection.execute(_LAST).first()
    seq, previous = (1, GENESIS) if last is None else (last.seq + 1, last.hash)
    row, receipt = _row(Packed.of(draft(seq, previous)), seq, previous)
    connection.execute(sa.insert(entries), [row])
    return receipt


def _row(packed: Packed, seq: int, previous: str) -> tuple[dict[str, Any], Receipt]:
    draft, index = packed.draft, packed.content.index
    hash = chain(seq, draft.kind, draft.id, packed.at, packed.digest, previous)
    row = {
        "seq": seq,
        "kind": str(draft.kind),
        "id": draft.id,
        "at": packed.at,
        "payload": packed.stored,
        "digest": packed.digest,
        "previous": previous,
        "hash": hash,
        "prediction_id": index.prediction_id,
        "model_version": index.model_version,
        "patient": index.patient,
        "caller": index.caller,
        "latency_ms": index.latency_ms,
        "through": index.through,
    }
    return row, Receipt(seq, draft.id, packed.at, packed.digest, hash)

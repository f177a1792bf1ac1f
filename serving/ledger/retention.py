"""Retention: remove what is older than it may be, and leave a signed word of it in the chain."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import sqlalchemy as sa

from serving.ledger.caller import Caller
from serving.ledger.checkpoint import Checkpoint, Removal
from serving.ledger.commit import write_one
from serving.ledger.database import Database
from serving.ledger.entry import Kind, Receipt
from serving.ledger.errors import LedgerError
from serving.ledger.key import Key
from serving.ledger.table import NARROW, entries
from serving.ledger.verify import removed_through

#: Months for which a deployer keeps its logs at least: Regulation (EU) 2024/1689 (AI Act), article 26(6).
LEAST_MONTHS = 6

#: Entries emptied in one transaction. Overwriting 500 of 8 kB takes about 40 ms, for which answers wait.
BATCH = 500

_REASON = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.,:/()-]{0,119}")


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a removal did: how many payloads, through which entry, and the checkpoint that says so.

    Attributes
    ----------
    receipt
        None when nothing was to be removed, or only what the checkpoint of an earlier removal names.
    """

    count: int
    through: int
    receipt: Receipt | None


def retention(
    database: Database, key: Key, before: dt.date, reason: str, by: str, today: dt.date | None = None
) -> Sweep:
    """Remove the payloads of all entries older than a day; their places in the chain and their hashes stay.

    Sweep is what comes before the first entry that is not older, so that one number says through where. The signed
    checkpoint is committed first and the payloads then go in batches, so the chain verifies at every moment; a removal
    that was cut short is ended by the next one, whatever reason that gives.

    Parameters
    ----------
    before
        The first day that is kept, in UTC.
    reason
        A reference, such as ``policy 2024-11``; never about a patient.
    by
        Who asks for it: one word.

    Raises
    ------
    LedgerError
        When the day is less than `LEAST_MONTHS` months ago, or the reason or name is not allowed.
    LedgerUnavailable
        When the database cannot be written; what is not removed then is by the next removal.
    """
    day = today or dt.datetime.now(dt.UTC).date()
    if before > day - dt.timedelta(days=round(LEAST_MONTHS * 30.4375)):
        raise LedgerError(f"Entries are kept for {LEAST_MONTHS} months at least; name an earlier day than {before}.")
    if not _REASON.fullmatch(reason):
        raise LedgerError("The reason takes up to 120 letters, digits and ordinary signs, such as `policy 2024-11`.")
    try:
        Caller(by)
    except ValueError as error:
        raise LedgerError(f"Who asks for it: {error}.") from None
    sweep = _sign(database, key, before, reason, by)
    if sweep.count:
        _empty(database, sweep.through)
        # What the log still holds of them goes too.
        database.tidy(empty=True)
    return sweep


def _sign(database: Database, key: Key, before: dt.date, reason: str, by: str) -> Sweep:
    """Write down what will be removed; nothing is written when an earlier removal, cut short, said so already."""
    with database.writing() as connection:
        young = sa.select(sa.func.min(entries.c.seq)).where(
            entries.c.at >= before.isoformat(), entries.c.kind != Kind.CHECKPOINT
        )
        first = connection.execute(young).scalar()
        last = connection.execute(sa.select(sa.func.max(entries.c.seq))).scalar() or 0
        through = last if first is None else first - 1
        count = connection.execute(sa.select(sa.func.count()).where(*_kept(0, through))).scalar() or 0
        if not count:
            return Sweep(0, 0, None)
        if removed_through(connection, key) >= through:
            return Sweep(count, through, None)
        hash = connection.execute(sa.select(entries.c.hash).where(entries.c.seq == through)).scalar_one()
        removal = Removal(through, hash, count, before.isoformat(), reason, by)
        receipt = write_one(connection, lambda seq, previous: Checkpoint(key, seq, previous, removal))
    return Sweep(count, through, receipt)


def _empty(database: Database, through: int) -> None:
    """Remove payloads a few at a time, so that answers need not wait and sqlite's log stays short."""
    emptied = dict.fromkeys(("payload", *NARROW))
    after = 0
    while True:
        with database.writing() as connection:
            if database.path is not None:
                # The bytes are overwritten, and not only let go.
                connection.exec_driver_sql("PRAGMA secure_delete=ON").fetchall()
            some = sa.select(entries.c.seq).where(*_kept(after, through)).order_by(entries.c.seq).limit(BATCH)
            seqs = connection.execute(some).scalars().all()
            if not seqs:
                return
            after = seqs[-1]
            connection.execute(sa.update(entries).where(*_kept(seqs[0] - 1, after)).values(emptied))
        database.tidy()


def _kept(after: int, through: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Entries behind one and up to another whose payload is there and may go."""
    columns = entries.c
    place = (columns.seq > after, columns.seq <= through)
    return (*place, columns.kind != Kind.CHECKPOINT, columns.payload.is_not(None))

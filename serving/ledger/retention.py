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

#: Months for which a deployer keeps its logs at least: Regulation (EU) 2024/1689 (AI Act), article 26(6).
LEAST_MONTHS = 6

_REASON = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.,:/()-]{0,119}")


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a removal did: how many payloads, through which entry, and the checkpoint that says so."""

    count: int
    through: int
    receipt: Receipt | None


def retention(
    database: Database, key: Key, before: dt.date, reason: str, by: str, today: dt.date | None = None
) -> Sweep:
    """Remove the payloads of all entries older than a day; their places in the chain and their hashes stay.

    Sweep is what comes before the first entry that is not older, so that one number says through where.

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
        When the database cannot be written; nothing is removed then.
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
    with database.writing() as connection:
        young = sa.select(sa.func.min(entries.c.seq)).where(
            entries.c.at >= before.isoformat(), entries.c.kind != Kind.CHECKPOINT
        )
        first = connection.execute(young).scalar()
        last = connection.execute(sa.select(sa.func.max(entries.c.seq))).scalar() or 0
        through = last if first is None else first - 1
        old = (
            entries.c.seq <= through,
            entries.c.kind != Kind.CHECKPOINT,
            entries.c.payload.is_not(None),
        )
        count = connection.execute(sa.select(sa.func.count()).where(*old)).scalar() or 0
        if not count:
            return Sweep(0, 0, None)
        hash = connection.execute(sa.select(entries.c.hash).where(entries.c.seq == through)).scalar_one()
        removal = Removal(through, hash, count, before.isoformat(), reason, by)
        receipt = write_one(connection, lambda seq, previous: Checkpoint(key, seq, previous, removal))
        if database.path is not None:
            # The bytes are overwritten, and not only let go.
            connection.exec_driver_sql("PRAGMA secure_delete=ON").fetchall()
        emptied = dict.fromkeys(("payload", *NARROW))
        connection.execute(sa.update(entries).where(*old).values(emptied))
    # What the log still holds of them goes too.
    database.tidy(empty=True)
    return Sweep(count, through, receipt)

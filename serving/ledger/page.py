"""A page of the ledger: the next entries that an auditor wants, found and read a few at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from serving.ledger.database import Database
from serving.ledger.export import line
from serving.ledger.table import entries
from serving.ledger.wanted import Wanted

#: Entries looked through at once. Only number and kind are indexed as places in the chain, so that an answer pays for
#: no index that auditors alone need; a filter looks at each entry, and stops between two of these.
SPAN = 5000

#: Seconds for which a filter looks through entries before it gives back what it has.
LOOKING = 10.0

#: Entries read at once; one with 60 regimens is 0.3 MB.
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Page:
    """Numbers of the entries of a page.

    Attributes
    ----------
    after
        Behind which the next page begins; None where the ledger ends.
    """

    seqs: tuple[int, ...]
    after: int | None


def find(database: Database, wanted: Wanted, limit: int, seconds: float = LOOKING) -> Page:
    """Find the next entries that are wanted, at most `limit`, within a time.

    A page may hold fewer, and even none, and yet not be the last.

    Raises
    ------
    LedgerUnavailable
        When the database cannot be read.
    """
    until = time.monotonic() + seconds
    conditions = wanted.conditions()
    found: list[int] = []
    at = wanted.after
    with database.reading() as connection:
        last = connection.execute(sa.select(sa.func.max(entries.c.seq))).scalar() or 0
        while at < last and len(found) < limit:
            through = min(at + SPAN, last)
            query = sa.select(entries.c.seq).where(entries.c.seq > at, entries.c.seq <= through, *conditions)
            found += connection.execute(query.order_by(entries.c.seq).limit(limit - len(found))).scalars().all()
            at = found[-1] if len(found) == limit else through
            if time.monotonic() > until:
                break
    return Page(tuple(found), at if at < last else None)


def read(database: Database, seqs: Sequence[int]) -> bytes:
    """Entries by their numbers as lines of an export; ask for `AT_ONCE` at most.

    Raises
    ------
    LedgerUnavailable
        When the database cannot be read.
    """
    query = sa.select(entries).where(entries.c.seq.in_(seqs)).order_by(entries.c.seq)
    with database.reading() as connection:
        return b"".join(line(row) for row in connection.execute(query))

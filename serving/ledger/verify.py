"""Walk the chain from its first entry and say where it first breaks, and how."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from serving.ledger.checkpoint import genuine
from serving.ledger.database import Database
from serving.ledger.entry import ANSWERED, GENESIS, Kind, chain, digest_of, parts
from serving.ledger.key import Key
from serving.ledger.packing import unpack
from serving.ledger.table import NARROW, entries

What = Literal[
    "entry_missing",
    "order_changed",
    "payload_changed",
    "payload_missing",
    "index_changed",
    "hash_wrong",
    "signature_wrong",
    "ends_early",
]

_TEXTS: dict[What, str] = {
    "entry_missing": "An entry is missing here.",
    "order_changed": "The entry that stands here belongs elsewhere.",
    "payload_changed": "The payload is not the one that was written.",
    "payload_missing": "The payload is gone, and no signed checkpoint says that it was removed.",
    "index_changed": "A column that repeats the payload differs from it.",
    "hash_wrong": "The hash is not that of the entry and of the one before it.",
    "signature_wrong": "The checkpoint is not signed with this key, for this place.",
    "ends_early": "The ledger does not reach, or does not hold, the entry that was noted before.",
}

#: Entries looked at on both sides to tell one that was moved from one that was changed.
_NEAR = 1000


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain first breaks."""

    seq: int
    what: What

    @property
    def text(self) -> str:
        """In words."""
        return _TEXTS[self.what]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk found.

    Attributes
    ----------
    entries
        Found sound, from the first.
    removed
        Of these, whose payload was removed under a signed checkpoint.
    head
        The last sound one: its number and hash. Noted elsewhere, it shows later whether the end was cut off.
    broken
        The first break; None when there is none.
    complete
        Whether the walk reached the end, or a break; else it goes on behind `head`.
    """

    entries: int
    kinds: Mapping[str, int]
    removed: int
    head: tuple[int, str]
    broken: Break | None
    complete: bool = True

    def document(self) -> dict[str, Any]:
        """As JSON tells it."""
        broken, (seq, hash) = self.broken, self.head
        return {
            "whole": broken is None,
            "complete": self.complete,
            "entries": self.entries,
            "kinds": dict(self.kinds),
            "removed": self.removed,
            "head": f"{seq}:{hash}",
            "broken": None if broken is None else {"seq": broken.seq, "what": broken.what, "text": broken.text},
        }


def verify(
    database: Database,
    key: Key,
    noted: tuple[int, str] | None = None,
    *,
    after: tuple[int, str] | None = None,
    seconds: float | None = None,
) -> Verdict:
    """Verify a ledger, in memory that does not grow with it.

    Parameters
    ----------
    noted
        Number and hash of an entry noted before.
    after
        The same, of an entry up to which an earlier walk found all sound: this one begins behind it. Kinds and
        removed payloads are counted from there.
    seconds
        For which to walk; a walk that ends by it is not `complete`.

    Raises
    ------
    LedgerUnavailable
        When the database cannot be read.
    """
    kinds: dict[str, int] = {}
    removed, seen = 0, noted is None
    seq, previous = after or (0, GENESIS)
    until = None if seconds is None else time.monotonic() + seconds
    with database.reading() as connection:
        if after is not None and not _stands(connection, after):
            return Verdict(0, kinds, 0, (0, GENESIS), Break(after[0], "ends_early"))
        through = removed_through(connection, key)
        for row in _rows(connection, after):
            what = _judge(row, seq + 1, previous, key, through)
            if what is not None:
                # Of what is missing the place is known, of what is wrong the row.
                return Verdict(seq, kinds, removed, (seq, previous), Break(seq + 1, what))
            seq, previous = row.seq, row.hash
            kinds[row.kind] = kinds.get(row.kind, 0) + 1
            removed += row.payload is None
            if noted is not None and row.seq == noted[0]:
                if row.hash != noted[1]:
                    return Verdict(seq, kinds, removed, (seq, previous), Break(seq, "ends_early"))
                seen = True
            if until is not None and time.monotonic() > until:
                return Verdict(seq, kinds, removed, (seq, previous), None, complete=False)
    broken = None if seen or noted is None else Break(noted[0], "ends_early")
    return Verdict(seq, kinds, removed, (seq, previous), broken)


def _stands(connection: sa.Connection, noted: tuple[int, str]) -> bool:
    found = connection.execute(sa.select(entries.c.hash).where(entries.c.seq == noted[0])).scalar()
    return bool(found == noted[1])


def _rows(connection: sa.Connection, after: tuple[int, str] | None) -> Iterator[Any]:
    wanted = sa.select(entries).order_by(entries.c.seq)
    if after is not None:
        wanted = wanted.where(entries.c.seq > after[0])
    yield from connection.execution_options(yield_per=200).execute(wanted)


def removed_through(connection: sa.Connection, key: Key) -> int:
    """The last entry of which a signed checkpoint says that its payload was removed."""
    wanted = sa.select(entries).where(entries.c.through.is_not(None)).order_by(entries.c.seq)
    last = 0
    for row in connection.execute(wanted):
        try:
            record, _ = parts(unpack(row.payload))
        except (ValueError, TypeError):
            continue
        if genuine(record, key, row.seq, row.previous):
            last = max(last, int(record.get("removal", {}).get("through", 0)))
    return last


def _judge(row: Any, seq: int, previous: str, key: Key, through: int) -> What | None:
    own = chain(row.seq, row.kind, row.id, row.at, row.digest, row.previous)
    if own != row.hash and _moved(row):
        return "order_changed"
    if row.seq != seq:
        return "entry_missing"
    payload: bytes | None = None
    if row.payload is None:
        if seq > through or row.kind == Kind.CHECKPOINT:
            return "payload_missing"
    else:
        try:
            payload = unpack(row.payload)
        except ValueError:
            return "payload_changed"
        if digest_of(payload) != row.digest:
            return "payload_changed"
    if own != row.hash or row.previous != previous:
        return "hash_wrong"
    if payload is None:
        return None if all(getattr(row, name) is None for name in NARROW) else "index_changed"
    try:
        record, _ = parts(payload)
        repeated = _index(row.kind, record)
    except (ValueError, LookupError, TypeError, AttributeError):
        # Hashed anew by whoever wrote it: no entry of this kind looks so.
        return "payload_changed"
    if row.kind == Kind.CHECKPOINT and not genuine(record, key, seq, previous):
        return "signature_wrong"
    return None if repeated == {name: getattr(row, name) for name in NARROW} else "index_changed"


def _moved(row: Any) -> bool:
    near = range(max(1, row.seq - _NEAR), row.seq + _NEAR)
    return any(chain(seq, row.kind, row.id, row.at, row.digest, row.previous) == row.hash for seq in near)


def _index(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that repeat a payload, read from it."""
    found: dict[str, Any] = dict.fromkeys(NARROW)
    if kind == Kind.CHECKPOINT:
        removal = record.get("removal")
        return found if removal is None else {**found, "through": removal["through"], "caller": removal["by"]}
    if kind in ANSWERED or kind == Kind.SHADOW:
        version = record["model"].get("version")
        found["model_version"] = None if version is None else str(version)[:64]
    if kind in ANSWERED:
        found["patient"], found["latency_ms"] = record["patient"], record["latency_ms"]
    else:
        found["prediction_id"] = record["prediction_id"]
    if kind != Kind.SHADOW:  # which nobody asked for
        found["caller"] = record["caller"]["name"]
    return found

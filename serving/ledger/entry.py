"""An entry: what it says, in bytes that anyone can make again, and the hash that ties it to the one before."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

#: The hash that the first entry names as the one before it.
GENESIS = "0" * 64

#: Between the record and the answer as it was sent. A canonical record has no line break.
BREAK = b"\n"


class Kind(StrEnum):
    """What an entry is about."""

    PREDICTION = "prediction"
    COMPARISON = "comparison"  # of two regimens for one patient
    EXPLANATION = "explanation"  # of one estimate
    OUTCOME = "outcome"
    ESTIMATE = "estimate"  # the board's own, entered before it saw the model's
    SHADOW = "shadow"  # what a challenger would have answered; never shown
    CHECKPOINT = "checkpoint"  # signed with the ledger's key


#: Kinds that hold an answer as it was sent, under the id that it carries. Only a prediction is followed by outcomes.
ANSWERED = frozenset({Kind.PREDICTION, Kind.COMPARISON, Kind.EXPLANATION})


@dataclass(frozen=True, slots=True)
class Index:
    """What may be searched for. All of it stands in the payload too, which the hash covers.

    Attributes
    ----------
    prediction_id
        Of which prediction; None for an answer, which has that id itself.
    patient
        Keyed hash of the patient reference.
    through
        Last entry whose payload a checkpoint removes; None when it removes none.
    """

    prediction_id: str | None = None
    model_version: str | None = None
    patient: str | None = None
    caller: str | None = None
    latency_ms: float | None = None
    through: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """An entry's content: the record, what of it may be searched for, and the answer as it was sent."""

    record: Mapping[str, Any]
    index: Index = field(default_factory=Index)
    answer: bytes = b""

    def bytes(self) -> bytes:
        """The payload before compression: the canonical record and, where there is one, a line break and the answer."""
        record = canonical(self.record)
        return record + BREAK + self.answer if self.answer else record


class Draft(Protocol):
    """What is to be written. `content` is called where it is committed: on the event loop, or in the writer's thread.

    Attributes
    ----------
    repeatable
        Whether an entry of this id may stand already, which is then answered in its place.
    size
        Bytes, roughly: what a waiting draft takes of the queue.
    """

    @property
    def kind(self) -> Kind:
        """What it is about."""

    @property
    def id(self) -> str:
        """Once in the ledger."""

    @property
    def repeatable(self) -> bool:
        """See the class."""

    @property
    def size(self) -> int:
        """See the class."""

    def content(self) -> Content:
        """What it says."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Says that an entry is written.

    Attributes
    ----------
    digest
        Of its payload.
    existing
        Whether it stood already, and nothing was written.
    """

    seq: int
    id: str
    at: str
    digest: str
    hash: str
    existing: bool = False


# Made once: `json.dumps` makes one for every call.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(document: Any) -> bytes:
    """JSON with sorted names, no spaces and no line breaks, as UTF-8.

    Raises
    ------
    ValueError
        For a number that JSON does not have.
    """
    return _ENCODER.encode(document).encode()


def digest_of(payload: bytes) -> str:
    """SHA-256 of a payload before compression, hexadecimal: it can be found again from an export."""
    return hashlib.sha256(payload).hexdigest()


def chain(seq: int, kind: str, id: str, at: str, digest: str, previous: str) -> str:
    """SHA-256 over the canonical list of what an entry is and the hash of the one before, hexadecimal."""
    return hashlib.sha256(canonical([seq, kind, id, at, digest, previous])).hexdigest()


def parts(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """Record and answer of a payload before compression.

    Raises
    ------
    ValueError
        When the record is not JSON.
    """
    record, _, answer = payload.partition(BREAK)
    return json.loads(record), answer


def now() -> str:
    """The time in UTC as entries have it: ISO 8601 with microseconds, so that texts sort as times do."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")

"""An entry as it is kept, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.ledger.entry import Kind, parts
from serving.ledger.errors import Removed
from serving.ledger.packing import unpack


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it is kept.

    Attributes
    ----------
    answer
        The bytes that were sent; empty for what is no answer.
    """

    seq: int
    kind: Kind
    id: str
    at: str
    record: Mapping[str, Any]
    answer: bytes


def stored_in(row: Any) -> Stored:
    """The entry in a row of the table.

    Raises
    ------
    Removed
        When its content was removed under retention.
    """
    if row.payload is None:
        raise Removed("The content of this entry was removed under retention; that it was made stands.")
    record, answer = parts(unpack(row.payload))
    return Stored(row.seq, Kind(row.kind), row.id, row.at, record, answer)

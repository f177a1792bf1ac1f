"""Checkpoints: what the holder of the key says of the chain up to here, and of what was removed from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.ledger.entry import Content, Index, Kind
from serving.ledger.key import Key

#: A checkpoint stands at every entry whose number is a multiple of this: whoever rewrites the chain without the key
#: can rewrite no more than what follows the last one.
EVERY = 1000


@dataclass(frozen=True, slots=True)
class Removal:
    """A removal of payloads under retention.

    Attributes
    ----------
    through
        The last entry concerned; all before it are, too.
    through_hash
        Its hash.
    count
        Payloads removed.
    before
        The day that the entries are older than.
    """

    through: int
    through_hash: str
    count: int
    before: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement, as a draft."""

    key: Key
    seq: int
    previous: str
    removal: Removal | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    kind = Kind.CHECKPOINT
    repeatable = False
    size = 500

    def content(self) -> Content:
        """The statement and its signature."""
        removal = self.removal
        statement: dict[str, Any] = {"seq": self.seq, "previous": self.previous}
        if removal is not None:
            statement["removal"] = {name: getattr(removal, name) for name in removal.__slots__}
        index = Index() if removal is None else Index(through=removal.through, caller=removal.by)
        return Content({**statement, "signature": self.key.sign(statement)}, index)


def genuine(record: Mapping[str, Any], key: Key, seq: int, previous: str) -> bool:
    """Whether a checkpoint was signed with this key, for this place in the chain."""
    statement = {name: value for name, value in record.items() if name != "signature"}
    there = (statement.get("seq"), statement.get("previous")) == (seq, previous)
    return there and key.signed(statement, str(record.get("signature", "")))

"""Consistency rules: combinations of a registry row's values that cannot be true together."""

from __future__ import annotations

from features.field import Frozen
from features.rule import Condition


class ConsistencyRule(Frozen):
    """One rule; ``when`` is True for a defective row."""

    code: str
    when: Condition
    fields: tuple[str, ...]
    text: str
    do: str

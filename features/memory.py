"""What was worked out before, as much of it as is allowed."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(dict[K, V]):
    """Answers by what they depend on, forgotten all at once when there are too many.

    Threads may share it: one may forget what another is about to read, who then works it out anew.

    Parameters
    ----------
    most
        Entries that are kept.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def keep(self, key: K, value: V) -> V:
        """Remember a value, and return it."""
        if len(self) >= self.most:
            self.clear()
        self[key] = value
        return value

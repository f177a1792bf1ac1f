"""Who asked: the name and role of a token, never a person's."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Name and role of the token with which something was asked.

    Raises
    ------
    ValueError
        When the name or role is not one word of up to 64 letters, digits and ``_.@-``: no free text is kept.
    """

    name: str = "local"
    role: str = "predict"

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("role", self.role)):
            if not _NAME.fullmatch(text):
                raise ValueError(f"a caller's {what} is one word of up to 64 letters, digits and _.@-")

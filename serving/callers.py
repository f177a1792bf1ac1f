"""From the token that a request shows to the caller it belongs to."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import logging
import os
import time
from hmac import compare_digest
from pathlib import Path
from typing import NamedTuple

from serving.access import Caller, Role
from serving.tokens import TokenFile, TokensRefused, digest

log = logging.getLogger("resecta")

#: Whoever shows RESECTA_TOKEN, which is meant for a container that keeps no store.
ENVIRONMENT = Caller("environment", frozenset({Role.ADMIN}))

# Compared against when no entry has the id, so that an unknown id takes as long as a known one.
_NOBODY = bytes(32)


class _Known(NamedTuple):
    caller: Caller
    digest: bytes
    expires: float


class Callers:
    """The callers of one worker, as the token file has them at each request.

    Parameters
    ----------
    token
        RESECTA_TOKEN: one token with every right, given by the environment.
    path
        The token file. It is looked at on every request (one `stat`, 2 µs) and read when it was replaced, so
        that a new token works and a revoked one fails from the next request on, in every worker.
    """

    def __init__(self, token: str | None = None, path: Path | None = None) -> None:
        self._given = digest(token.encode()) if token is not None else None
        self._file = TokenFile(path) if path is not None else None
        self._path = str(path) if path is not None else None
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[bytes, _Known] = {}
        self._seen = False
        self.broken = False

    @property
    def required(self) -> bool:
        """Whether a token must be shown: there is one, or a token file was there at any time since the start.

        The file counts also when every token in it is revoked or it cannot be read, and when it goes away under
        a running service: what was closed does not open by losing a file.
        """
        return self._given is not None or self._seen

    def refresh(self) -> None:
        """Read the token file if it is another than last time."""
        if self._path is None or self._file is None:
            return
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            if self._stamp is not None:
                log.error("The token file is gone: tokens that it held open nothing any more.")
                self._stamp, self._known, self.broken = None, {}, False
            return
        except OSError:
            self._seen, self.broken, self._known = True, True, {}
            return
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if stamp == self._stamp:
            return
        self._stamp, self._seen = stamp, True
        try:
            tokens = self._file.read()
        except TokensRefused as error:
            log.error("Tokens cannot be checked: %s", error)
            self._known, self.broken = {}, True
            return
        self.broken = False
        self._known = {
            token.id.encode(): _Known(
                Caller(token.name, frozenset(token.roles)),
                bytes.fromhex(token.sha256),
                token.expires.timestamp() if token.expires is not None else float("inf"),
            )
            for token in tokens
            if token.usable(dt.datetime.now(dt.UTC))
        }

    def find(self, authorization: bytes) -> Caller | None:
        """Return who shows this header, or None; the comparison takes as long for a wrong token as for a right one.

        Parameters
        ----------
        authorization
            ``Bearer <token>``, or ``Basic`` with the token as password, the one kind that a browser sends with a
            page and its files. Empty when there is none.
        """
        shown = _shown(authorization)
        if not shown:
            return None
        made = digest(shown)
        if self._given is not None and compare_digest(made, self._given):
            return ENVIRONMENT
        _, _, rest = shown.partition(b"_")
        known = self._known.get(rest.partition(b"_")[0])
        right = compare_digest(made, known.digest if known is not None else _NOBODY)
        if known is None or not right or time.time() >= known.expires:
            return None
        return known.caller


def _shown(authorization: bytes) -> bytes:
    kind, _, credentials = authorization.partition(b" ")
    kind = kind.lower()
    if kind == b"bearer":
        return credentials.strip()
    if kind == b"basic":
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True)
        except binascii.Error:
            return b""
        return decoded.partition(b":")[2]
    return b""

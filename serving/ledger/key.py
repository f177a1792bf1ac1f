"""The ledger's key: it signs checkpoints and turns patient references into pseudonyms."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving.ledger.entry import canonical
from serving.ledger.errors import LedgerError

VARIABLE = "RESECTA_LEDGER_KEY"
FILE = "ledger.key"

#: Characters of a key; 32 bytes in hexadecimal are 64.
SHORTEST = 32


class Key:
    """One secret, from which one key for each purpose is derived.

    Parameters
    ----------
    secret
        At least 32 characters. Never shown.

    Raises
    ------
    LedgerError
        When it is shorter.
    """

    def __init__(self, secret: str) -> None:
        if len(secret) < SHORTEST:
            raise LedgerError(
                f"The ledger's key has fewer than {SHORTEST} characters. Set {VARIABLE} to a long random text, "
                "such as the output of `openssl rand -hex 32`."
            )
        self._patients = _mac(secret.encode(), b"patient")
        self._checkpoints = _mac(secret.encode(), b"checkpoint")

    def __repr__(self) -> str:
        return "Key()"

    def patient(self, reference: str) -> str:
        """The pseudonym under which a patient reference is kept: HMAC-SHA256, hexadecimal."""
        return _mac(self._patients, reference.encode()).hex()

    def sign(self, statement: Mapping[str, Any]) -> str:
        """HMAC-SHA256 of a statement in canonical form, hexadecimal."""
        return _mac(self._checkpoints, canonical(statement)).hex()

    def signed(self, statement: Mapping[str, Any], signature: str) -> bool:
        """Whether a signature is of this key and this statement."""
        return hmac.compare_digest(self.sign(statement), signature)


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def find_key(environment: Mapping[str, str], folder: Path, make: bool = True) -> Key:
    """Take the key from RESECTA_LEDGER_KEY, else from the file `ledger.key` beside the ledger, else make that file.

    Parameters
    ----------
    make
        Whether a missing file may be made: not where a ledger stands already, whose key is then lost.

    Raises
    ------
    LedgerError
        When there is no key, it is too short, or others can read its file.
    """
    given = environment.get(VARIABLE, "").strip()
    if given:
        return Key(given)
    file = folder / FILE
    if not file.exists():
        if not make:
            raise LedgerError(
                f"The ledger stands, and its key {file.name} beside it is missing. Put the key back, or set {VARIABLE}."
            )
        _make(file)
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise LedgerError(f"Others can read the ledger's key {file.name}. Run `chmod 600` on it.")
        return Key(file.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"The ledger's key {file.name} cannot be read ({type(error).__name__}).") from None


def _make(file: Path) -> None:
    # Written whole before it has its name, so that no second process reads half of it; the first to link it wins.
    new = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(handle, f"{secrets.token_hex(32)}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(new, file)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    except OSError as error:
        raise LedgerError(f"The ledger's key {file.name} cannot be made: {error.strerror}.") from None

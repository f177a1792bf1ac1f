"""Tokens on disk: who may ask, for what, until when; and never the token itself.

A token is ``resecta_<id>_<secret>``: the id finds the entry, the secret is 256 random bits. Kept is the SHA-256 of
the whole. A slow hash (argon2, bcrypt) protects what people choose, by making each guess dear; among 2**256 equally
likely secrets no guess comes near at any price, and a slow hash would only cost every request its time.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from serving.access import EVERY_ROLE, Role

#: Within the store.
FILE = "tokens.json"

#: Lets scanners for leaked secrets know one of ours.
PREFIX = "resecta"

#: Names that the service gives by itself; a token with one of them could pass for it in the ledger.
RESERVED = frozenset({"local", "environment"})

#: Days that a token may be given; a longer one is one without end, which is left to be said.
LONGEST_DAYS = 3650

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_NAMING = "A name has 1 to 64 letters, digits, dots, hyphens or underscores, and begins with a letter or digit."


class TokensRefused(ValueError):
    """A token cannot be made, revoked or read; the message says what to do."""


class Token(BaseModel):
    """What is kept of a token.

    Attributes
    ----------
    id
        Public part of the token, by which it is found.
    name
        Who holds it; in the ledger and the log.
    sha256
        Of the whole token, hexadecimal.
    revoked
        When it was withdrawn. The entry stays: its name is in the ledger and must not become another's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
    name: Name
    roles: tuple[Role, ...]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None

    def usable(self, now: dt.datetime) -> bool:
        """Say whether the token opens anything at that time."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def state(self, now: dt.datetime) -> str:
        """Return `usable`, `revoked` or `expired`."""
        if self.revoked is not None:
            return "revoked"
        return "usable" if self.usable(now) else "expired"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    tokens: tuple[Token, ...] = ()


class TokenFile:
    """The tokens of a store.

    Parameters
    ----------
    path
        The file; it need not exist. Workers read it again when it changes, so nothing needs a restart.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Token, ...]:
        """Return all tokens, also revoked and expired ones; none when there is no file.

        Raises
        ------
        TokensRefused
            When the file cannot be read, is none of ours, or may be written by others than its owner.
        """
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise TokensRefused(f"{self.path} cannot be read: {error.strerror}.") from None
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise TokensRefused(f"{self.path} may be written by others than its owner. Run: chmod 600 {self.path}")
        try:
            return _Kept.model_validate_json(content).tokens
        except ValidationError as error:
            # Without the values: they are digests, but a log is no place for them.
            places = ", ".join(sorted({".".join(map(str, e["loc"])) or "file" for e in error.errors()}))
            raise TokensRefused(
                f"{self.path} is no list of tokens (at: {places}). Restore it, or delete it and create tokens anew."
            ) from None

    def create(
        self, name: str, roles: Collection[Role | str], days: int | None = None, now: dt.datetime | None = None
    ) -> str:
        """Make a token and return it; it cannot be shown again.

        Parameters
        ----------
        name
            Who will hold it; never used before in this file.
        roles
            At least one of `Role`.
        days
            After which it opens nothing; None is without end.

        Raises
        ------
        TokensRefused
            With every reason at once.
        """
        now = now or _now()
        with self._held():
            tokens = self.read()
            problems = _problems(name, roles, days, tokens)
            if problems:
                raise TokensRefused("\n".join(problems))
            number = secrets.token_hex(4)
            while any(token.id == number for token in tokens):
                number = secrets.token_hex(4)
            secret = f"{PREFIX}_{number}_{secrets.token_urlsafe(32)}"
            made = Token(
                id=number,
                name=name,
                roles=tuple(role for role in Role if role in set(roles)),
                sha256=digest(secret.encode()).hex(),
                created=now,
                expires=now + dt.timedelta(days=days) if days is not None else None,
            )
            self._write((*tokens, made))
        return secret

    def revoke(self, name: str, now: dt.datetime | None = None) -> Token:
        """Withdraw a token for good, from the next request on.

        Raises
        ------
        TokensRefused
            When there is no such token, or it is revoked already.
        """
        with self._held():
            tokens = self.read()
            found = next((token for token in tokens if token.name == name), None)
            if found is None:
                named = ", ".join(token.name for token in tokens if token.revoked is None) or "there are none"
                raise TokensRefused(f"No token is named {name!r}. Tokens: {named}.")
            if found.revoked is not None:
                raise TokensRefused(f"The token {name} was revoked on {found.revoked:%Y-%m-%d} already.")
            revoked = found.model_copy(update={"revoked": now or _now()})
            self._write(tuple(revoked if token is found else token for token in tokens))
        return revoked

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Let one process at a time read, change and write; readers need not wait, as the file is replaced whole."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TokensRefused(f"{self.path.parent} cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _write(self, tokens: tuple[Token, ...]) -> None:
        content = _Kept(tokens=tokens).model_dump_json(indent=1, exclude_none=True).encode()
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "wb") as output:
                output.write(content)
                output.flush()
                os.fsync(file)
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise TokensRefused(f"{self.path} cannot be written: {error.strerror}.") from None
        # A revoked token must not come back with a power cut.
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def digest(token: bytes) -> bytes:
    """Return what is kept of a token; why no slow hash is used stands at the head of this file."""
    return hashlib.sha256(token).digest()


def _problems(name: str, roles: Collection[Role | str], days: int | None, tokens: tuple[Token, ...]) -> list[str]:
    problems = []
    taken = next((token for token in tokens if token.name == name), None)
    try:
        _Named(name=name)
    except ValidationError:
        problems.append(f"The name {name!r} cannot be taken. {_NAMING}")
    if name in RESERVED:
        problems.append(f"The name {name} is the service's own. Choose another.")
    if taken is not None:
        was = "of a revoked token" if taken.revoked is not None else "taken"
        problems.append(f"The name {name} is {was}, and the ledger tells callers by their names. Choose another.")
    allowed = ", ".join(Role)
    if unknown := sorted(set(roles) - EVERY_ROLE):
        problems.append(f"There is no role {', '.join(map(repr, unknown))}. Roles: {allowed}.")
    if not roles:
        problems.append(f"A token needs a role. Roles: {allowed}.")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        problems.append(f"A token expires after 1 to {LONGEST_DAYS} days, not {days}.")
    return problems


class _Named(BaseModel):
    name: Name


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)

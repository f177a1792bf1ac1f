"""Moves of the champion: written to an audit file before and after, so that one cut short is made good."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from features.field import Frozen
from training.registration import alias_version
from training.store import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Store

AUDIT = "audit.jsonl"
Event = Literal["promotion", "refusal", "rollback"]
Stage = Literal["begun", "done", "taken back"]


class Aliases(Frozen):
    """Versions behind the two aliases that a rollback needs."""

    champion: str | None
    previous: str | None


class Entry(Frozen):
    """One line of the audit file: who decided what, when and why.

    Attributes
    ----------
    version
        The version decided on.
    before, after
        Aliases as they were, and as they are to be.
    """

    when: str
    event: Event
    stage: Stage
    version: str
    by: str
    reason: str
    before: Aliases
    after: Aliases


def aliases(store: Store) -> Aliases:
    """Read both aliases."""
    return Aliases(champion=alias_version(store, CHAMPION), previous=alias_version(store, PREVIOUS))


def audit(store: Store) -> tuple[Entry, ...]:
    """Every decision since the store was made, oldest first; a line cut short by a crash is left out."""
    return tuple(_read(store.folder / AUDIT))


def move(store: Store, event: Event, version: str, after: Aliases, by: str, reason: str) -> Entry:
    """Move the aliases. There is a champion at every moment, and `settle` makes good a move that was cut short."""
    entry = _entry(event, "begun", version, by, reason, aliases(store), after)
    _append(store, entry)
    _set(store, PREVIOUS, after.previous)
    _set(store, CHAMPION, after.champion)
    return _end(store, entry, "done")


def note(store: Store, event: Event, version: str, by: str, reason: str) -> Entry:
    """Record a decision that moves nothing."""
    held = aliases(store)
    entry = _entry(event, "done", version, by, reason, held, held)
    _append(store, entry)
    return entry


def settle(store: Store) -> Entry | None:
    """Make good a move that was cut short: finish it if the champion had moved, else take it back.

    Returns
    -------
    Entry or None
        What was done; None when the last move had come to its end.
    """
    last = next(reversed(audit(store)), None)
    if last is None or last.stage != "begun":
        return None
    moved = alias_version(store, CHAMPION) == last.after.champion
    wanted = last.after if moved else last.before
    _set(store, PREVIOUS, wanted.previous)
    return _end(store, last, "done" if moved else "taken back")


def _end(store: Store, entry: Entry, stage: Stage) -> Entry:
    champion = alias_version(store, CHAMPION)
    if champion is not None and alias_version(store, CHALLENGER) == champion:
        store.open().delete_registered_model_alias(MODEL, CHALLENGER)
    ended = entry.model_copy(update={"stage": stage, "when": now()})
    _append(store, ended)
    return ended


def _entry(event: Event, stage: Stage, version: str, by: str, reason: str, before: Aliases, after: Aliases) -> Entry:
    return Entry(
        when=now(), event=event, stage=stage, version=version, by=by, reason=reason, before=before, after=after
    )


def now() -> str:
    """Return the time in UTC, ISO 8601."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _set(store: Store, alias: str, version: str | None) -> None:
    client = store.open()
    if version is not None:
        client.set_registered_model_alias(MODEL, alias, version)
    elif alias_version(store, alias) is not None:
        client.delete_registered_model_alias(MODEL, alias)


def _append(store: Store, entry: Entry) -> None:
    file = os.open(store.folder / AUDIT, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o664)
    try:
        size = os.fstat(file).st_size
        # A line that a crash cut short must not swallow the next one.
        begin = b"\n" if size and os.pread(file, 1, size - 1) != b"\n" else b""
        os.write(file, begin + entry.model_dump_json().encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)


def _read(path: Path) -> Iterator[Entry]:
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            yield Entry.model_validate_json(line)
        except ValidationError:
            continue

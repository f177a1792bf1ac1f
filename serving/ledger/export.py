"""The ledger as JSON lines, from which an auditor can find every digest and hash again without this program."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from serving.ledger.database import Database
from serving.ledger.entry import canonical, parts
from serving.ledger.packing import unpack
from serving.ledger.table import entries
from serving.ledger.wanted import Wanted
from serving.private import private


def export(database: Database, out: Path, wanted: Wanted | None = None) -> tuple[int, str]:
    """Write every entry that is wanted, one line each; all of them where nothing is said.

    A line holds the entry's columns, its `record`, and where something was answered the `answer` as it was sent.
    The digest is SHA-256 of the record as canonical JSON (sorted names, no spaces) and, where there is an answer, a
    line break and the answer. The hash is SHA-256 of the canonical JSON list of seq, kind, id, at, digest, previous.

    Returns
    -------
    (int, str)
        Lines written, and the SHA-256 of the file.

    Raises
    ------
    OSError
        When the file cannot be written; no half-written file is left under its name.
    LedgerUnavailable
        When the database cannot be read.
    """
    half = out.with_name(f".{out.name}.part")
    count, seal = 0, hashlib.sha256()
    wanted = wanted or Wanted()
    some = sa.select(entries).where(entries.c.seq > wanted.after, *wanted.conditions()).order_by(entries.c.seq)
    try:
        with open(half, "wb", opener=private) as file, database.reading() as connection:
            for row in connection.execution_options(yield_per=200).execute(some):
                written = line(row)
                file.write(written)
                seal.update(written)
                count += 1
        half.replace(out)
    finally:
        half.unlink(missing_ok=True)
    return count, seal.hexdigest()


def line(row: Any) -> bytes:
    """One entry as a line; one whose payload is not as it was written says so, and tells the rest."""
    try:
        return canonical(_told(row)) + b"\n"
    except (ValueError, RecursionError):
        return canonical({**_kept(row), "unreadable": True}) + b"\n"


def _kept(row: Any) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "kind": row.kind,
        "id": row.id,
        "at": row.at,
        "digest": row.digest,
        "previous": row.previous,
        "hash": row.hash,
        "record": None,
    }


def _told(row: Any) -> dict[str, Any]:
    told = _kept(row)
    if row.payload is not None:
        told["record"], answer = parts(unpack(row.payload))
        if answer:
            told["answer"] = answer.decode("utf-8", "backslashreplace")
    return told

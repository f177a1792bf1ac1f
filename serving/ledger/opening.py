"""Open the ledger that the environment names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from serving.ledger.errors import LedgerError, LedgerUnavailable
from serving.ledger.key import find_key
from serving.ledger.ledger import Ledger

ADDRESS = "RESECTA_LEDGER"
SYNCHRONOUS = "RESECTA_LEDGER_SYNC"
FILE = "ledger.db"


def open_ledger(
    environment: Mapping[str, str], store: Path, *, make: bool = True, read_only: bool = False, **options: Any
) -> Ledger:
    """Open the ledger that the environment names.

    Parameters
    ----------
    environment
        ``RESECTA_LEDGER`` (a URL; the file `ledger.db` in the store when not set), ``RESECTA_LEDGER_KEY`` and
        ``RESECTA_LEDGER_SYNC`` (``full`` or ``normal``).
    store
        Folder of the ledger, when the URL is not set, and of the key's file.
    make
        Whether a ledger file, and its key, may be made where there is none.
    read_only
        Whether nothing may be written at all: see `Ledger`. Nothing is made then either.
    options
        As `Ledger`.

    Raises
    ------
    LedgerError, LedgerUnavailable
        As `Ledger`.
    """
    store, make = store.absolute(), make and not read_only
    synchronous: Any = environment.get(SYNCHRONOUS, "").strip().lower() or "full"
    try:
        stands = (store / FILE).stat().st_size > 0
    except FileNotFoundError:
        stands = False
    except OSError as error:
        raise LedgerUnavailable(f"The ledger's folder cannot be read: {error.strerror}.") from None
    named = environment.get(ADDRESS, "").strip()
    if not (make or stands or named):
        raise LedgerError(f"There is no ledger {FILE} in the store; RESECTA_STORE names its folder.")
    url = named or str(sa.URL.create("sqlite", database=str(store / FILE)))
    key = find_key(environment, store, make=make and not stands)
    return Ledger(url, key, synchronous=synchronous, read_only=read_only, **options)

"""Why the ledger does not do what it was asked."""

from __future__ import annotations


class LedgerError(Exception):
    """The ledger refuses; the message says why and what to do, and holds no value, path or address."""


class LedgerUnavailable(LedgerError):
    """What was to be written is not known to be written: no answer may rest on it."""


class LedgerBusy(LedgerUnavailable):
    """Too much waits to be written; nothing was taken on. Try again in a second."""


class Removed(LedgerError):
    """The entry stands, and its content was removed under retention."""

"""The ledger: every prediction and what became of it, append-only and chained by hashes."""

from serving.ledger.caller import Caller
from serving.ledger.challenge import Challenge
from serving.ledger.entry import Draft, Kind, Receipt
from serving.ledger.errors import LedgerBusy, LedgerError, LedgerUnavailable, Removed
from serving.ledger.estimate import Estimate, estimate_problems
from serving.ledger.key import Key, find_key
from serving.ledger.ledger import Conflict, Ledger, Report
from serving.ledger.opening import open_ledger
from serving.ledger.prediction import Prediction
from serving.ledger.stored import Stored
from serving.ledger.writer import Limits

__all__ = [
    "Caller",
    "Challenge",
    "Conflict",
    "Draft",
    "Estimate",
    "Key",
    "Kind",
    "Ledger",
    "LedgerBusy",
    "LedgerError",
    "LedgerUnavailable",
    "Limits",
    "Prediction",
    "Receipt",
    "Removed",
    "Report",
    "Stored",
    "estimate_problems",
    "find_key",
    "open_ledger",
]

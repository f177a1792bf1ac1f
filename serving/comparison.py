"""Two regimens for one patient: how far apart, and what may be said of it."""

from __future__ import annotations

from typing import Any

from serving.numbers import DIGITS
from training.bundle.scored import Comparison


def differences(compared: Comparison) -> dict[str, dict[str, Any]]:
    """Differences of one patient, by outcome and state: each with its 90% interval and its words."""
    return {
        name: _difference(float(value[0]), float(compared.low[name][0]), float(compared.high[name][0]))
        for name, value in compared.difference.items()
    }


def _difference(difference: float, low: float, high: float) -> dict[str, Any]:
    words = "reliably higher" if low > 0 else "reliably lower" if high < 0 else "no reliable difference"
    rounded = {"difference": difference, "low": low, "high": high}
    return {**{name: round(value, DIGITS) for name, value in rounded.items()}, "words": words}

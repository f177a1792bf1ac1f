"""Two regimens for one patient: how far apart, and what may be said of it."""

from __future__ import annotations

from typing import Any, Literal, get_args

from serving.numbers import DIGITS
from training.bundle.scored import Comparison

#: What may be said of a difference. That its range leaves out zero is a property of the range, which carries only the
#: doubt that the model knows of: it is said as such, and not as a finding about the regimens.
Words = Literal[
    "higher; the whole 90% range lies above zero",
    "lower; the whole 90% range lies below zero",
    "no reliable difference",
]
_HIGHER, _LOWER, _NONE = get_args(Words)


def differences(compared: Comparison) -> dict[str, dict[str, Any]]:
    """Differences of one patient, by outcome and state: each with its 90% interval and its words."""
    return {
        name: _difference(float(value[0]), float(compared.low[name][0]), float(compared.high[name][0]))
        for name, value in compared.difference.items()
    }


def _difference(difference: float, low: float, high: float) -> dict[str, Any]:
    # The words hold of the numbers as they are sent.
    difference, low, high = (round(value, DIGITS) for value in (difference, low, high))
    words = _HIGHER if low > 0 else _LOWER if high < 0 else _NONE
    return {"difference": difference, "low": low, "high": high, "words": words}

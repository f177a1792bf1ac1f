"""The E-value: how strong a confounder that nobody recorded would have to be."""

from __future__ import annotations

import math

from features.field import Frozen


class EValue(Frozen):
    """What would explain an association away.

    Attributes
    ----------
    risk_ratio, low, high
        The association with its 95% interval.
    estimate
        E-value of the risk ratio.
    limit
        E-value of the bound nearer to 1; 1 when the interval includes 1.
    text
        Both in words.
    """

    risk_ratio: float
    low: float
    high: float
    estimate: float
    limit: float
    text: str


def e_value(risk_ratio: float, low: float, high: float) -> EValue:
    """E-value of a risk ratio with its interval (VanderWeele and Ding, Ann Intern Med 2017;167:268-274).

    Raises
    ------
    ValueError
        When the figures are not positive and in order.
    """
    if not 0 < low <= risk_ratio <= high < math.inf:
        raise ValueError("a risk ratio and its interval must be positive, with low <= risk ratio <= high")
    nearer = low if risk_ratio >= 1 else high
    crosses = low <= 1 <= high
    estimate, limit = _single(risk_ratio), 1.0 if crosses else _single(nearer)
    return EValue(
        risk_ratio=risk_ratio, low=low, high=high, estimate=estimate, limit=limit, text=_text(estimate, limit)
    )


def _single(risk_ratio: float) -> float:
    ratio = max(risk_ratio, 1 / risk_ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def _text(estimate: float, limit: float) -> str:
    if limit == 1.0:
        return (
            "The interval includes no difference, so no unrecorded confounder is needed to explain it; the estimate "
            f"would take one with risk ratios of {estimate:.2f}."
        )
    return (
        f"An unrecorded confounder with risk ratios of {estimate:.2f} for both the choice of regimen and the outcome, "
        f"beyond what was adjusted for, could explain the estimate away; one of {limit:.2f} the interval."
    )

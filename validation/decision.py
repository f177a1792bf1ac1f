"""Decisions that a prediction may inform, as declared in ``decisions.yaml``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field as Attribute
from pydantic import model_validator

from features import Specification
from features.field import Frozen
from validation.net_benefit import odds

_POINTS = 21  # of a curve; odd, so that the middle of the range is one of them


class Decision(Frozen):
    """One decision on one outcome.

    Attributes
    ----------
    low, high
        The lowest and highest chance at which it is sensible to act.
    harm
        The harm ratio in words, with ``{threshold}`` and ``{patients}`` to fill in.
    """

    outcome: str
    decision: str = Attribute(min_length=10)
    low: float = Attribute(gt=0, lt=1)
    high: float = Attribute(gt=0, lt=1)
    harm: str
    source: str = Attribute(min_length=3)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"decision on {self.outcome}: low {self.low:g} must be below high {self.high:g}")
        asked = {name for _, name, _, _ in Formatter().parse(self.harm) if name is not None}
        if asked != {"threshold", "patients"}:
            raise ValueError(f"decision on {self.outcome}: harm must hold {{threshold}} and {{patients}}, nothing else")
        return self

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Evenly spaced from low to high, the middle one included."""
        return np.linspace(self.low, self.high, _POINTS).round(6)

    @property
    def middle(self) -> int:
        """Position of the middle threshold, at which models are compared by one number."""
        return _POINTS // 2

    def words(self, threshold: float) -> str:
        """What acting at a threshold accepts, in words."""
        patients = 1 / float(odds(np.array(threshold)))
        return self.harm.format(threshold=f"{100 * threshold:.3g}%", patients=f"{patients:.2g}".removesuffix(".0"))


class Decisions(Frozen):
    """All decisions."""

    decisions: tuple[Decision, ...]

    def on(self, outcome: str) -> Decision | None:
        """The decision that an outcome informs, if there is one."""
        return next((d for d in self.decisions if d.outcome == outcome), None)

    def check(self, spec: Specification) -> None:
        """Hold the decisions to the specification.

        Raises
        ------
        ValueError
            Naming every outcome that is unknown or decided on twice.
        """
        names = [d.outcome for d in self.decisions]
        wrong = [
            f"decisions.yaml: {name} is not an outcome; known are {', '.join(spec.outcomes.names)}"
            for name in names
            if name not in spec.outcomes.names
        ]
        wrong += [
            f"decisions.yaml: {name} is declared twice" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        if wrong:
            raise ValueError("; ".join(wrong))


@cache
def _shipped() -> Decisions:
    return Decisions.model_validate(yaml.safe_load((files("validation") / "decisions.yaml").read_text("utf-8")))


def load_decisions(spec: Specification) -> Decisions:
    """Load the decisions that ship with the project, checked against the specification.

    Raises
    ------
    ValueError
        Naming every entry that is wrong.
    """
    decisions = _shipped()
    decisions.check(spec)
    return decisions

"""What the monitor found, in sentences with a severity, and whether the model should be looked at again."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from features.field import Frozen


class Severity(IntEnum):
    """How a finding is to be read; ordered."""

    OK = 0
    SHOW = 1
    ALERT = 2

    @property
    def word(self) -> str:
        """As it is printed."""
        return self.name.lower()


class Finding(Frozen):
    """One thing found.

    Attributes
    ----------
    block
        The part of the page it belongs to.
    figure
        The number it rests on, where there is one.
    retrain
        Whether it is a reason to ask if the model needs an update.
    """

    severity: Severity
    block: str
    text: str
    figure: float | None = None
    retrain: bool = False


class Findings(Frozen):
    """Everything found, most serious first."""

    found: tuple[Finding, ...]

    @classmethod
    def of(cls, found: Iterable[Finding]) -> Findings:
        """Order findings: most serious first, else as they came."""
        return cls(found=tuple(sorted(found, key=lambda f: -f.severity)))

    @property
    def alerts(self) -> tuple[Finding, ...]:
        """Those that ask for action."""
        return tuple(f for f in self.found if f.severity is Severity.ALERT)

    @property
    def needs_retraining(self) -> bool:
        """Whether calibration, regimens or case mix moved enough to ask for an update.

        It opens the question only: closed testing then decides the least update that is justified, which may be none.
        """
        return any(f.retrain for f in self.alerts)

    @property
    def reason(self) -> str:
        """Why an update is asked for, or that nothing asks for one."""
        reasons = [f.text for f in self.alerts if f.retrain]
        return " ".join(reasons) or "Nothing found asks for an update."

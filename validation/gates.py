"""Gates: what a model must pass before it may be served, as declared in ``gates.yaml``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal, Self

import yaml
from pydantic import Field as Attribute
from pydantic import model_validator

from features.field import Frozen, Limits
from validation.evaluation import Figure

_NOT_COMPUTED = Figure(value=None, reason="not computed")


class GateFacts(Frozen):
    """What is known about a model besides its figures on outcomes; what was not looked at is not computed.

    Attributes
    ----------
    model
        Its name in the evaluation it belongs to.
    judged_against
        Version of the champion in that evaluation; None when there was no champion.
    loads, spec_digest, data_validated, champion_unchanged
        1 when it holds, 0 when it does not, with the reason.
    smoke
        Share of sound predictions.
    orderings
        Share of patients in whom a clinically settled ordering is kept, by ``outcome/factor``.
    coverage
        Share of groups whose events lie in their 90% interval, by outcome.
    """

    model: str
    judged_against: str | None = None
    loads: Figure = _NOT_COMPUTED
    spec_digest: Figure = _NOT_COMPUTED
    data_validated: Figure = _NOT_COMPUTED
    champion_unchanged: Figure = _NOT_COMPUTED
    smoke: Figure = _NOT_COMPUTED
    orderings: dict[str, Figure] = {}
    coverage: dict[str, Figure] = {}


class Gate(Frozen):
    """What every gate says of itself."""

    name: str = Attribute(pattern=r"^[a-z][a-z0-9_]*$")
    reason: str = Attribute(min_length=10)
    source: str = Attribute(min_length=3)


class FigureGate(Gate):
    """Bounds on the challenger's own figure.

    Attributes
    ----------
    estimate
        Where the estimate must lie.
    interval
        What the 95% interval must touch; None asks nothing of it.
    """

    metric: str
    estimate: Limits
    interval: Limits | None


class DifferenceGate(Gate):
    """Non-inferiority to the champion on the same patients.

    Attributes
    ----------
    margin
        By how much the estimate may be worse.
    reliably
        By how much the better end of the 95% interval may be worse.
    over_thresholds
        Whether the estimate is the mean over the thresholds of the decision curve. At a single threshold the few
        patients between two models' answers decide, and chance with them.
    """

    metric: str
    better: Literal["lower", "higher"]
    margin: float = Attribute(ge=0)
    reliably: float = Attribute(ge=0)
    over_thresholds: bool = False


class SubgroupGate(Gate):
    """A floor under every subgroup; exactly one of two readings.

    Attributes
    ----------
    least_patients
        Smaller subgroups are named and not judged.
    reliably
        By how much the better end of the difference's interval may lie above the champion.
    interval, factor
        What the 95% interval must touch, unless the estimate is within `factor` of being as near to 1 as the
        champion's.
    """

    metric: str
    least_patients: int = Attribute(ge=1)
    reliably: float | None = Attribute(default=None, ge=0)
    interval: Limits | None = None
    factor: float | None = Attribute(default=None, ge=1)

    @model_validator(mode="after")
    def _one_reading(self) -> Self:
        if (self.reliably is None) == (self.interval is None) or (self.interval is None) != (self.factor is None):
            raise ValueError(f"gate {self.name}: give either reliably, or interval and factor")
        return self


class FactGate(Gate):
    """A least value of a fact.

    Attributes
    ----------
    fact
        Attribute of `GateFacts`; each entry is judged where the attribute holds several.
    headline
        Whether there must be an entry for every headline outcome.
    """

    fact: str
    headline: bool = False
    at_least: float

    @model_validator(mode="after")
    def _is_a_fact(self) -> Self:
        allowed = [n for n in GateFacts.model_fields if n not in ("model", "judged_against")]
        if self.fact not in allowed:
            raise ValueError(f"gate {self.name}: unknown fact {self.fact}; allowed are {', '.join(allowed)}")
        return self


class Gates(Frozen):
    """All gates, with a version that is written on each decision."""

    version: int
    figures: tuple[FigureGate, ...]
    differences: tuple[DifferenceGate, ...]
    subgroups: tuple[SubgroupGate, ...]
    facts: tuple[FactGate, ...]

    @property
    def every(self) -> tuple[Gate, ...]:
        """All gates in the order in which they are judged."""
        return (*self.facts, *self.figures, *self.differences, *self.subgroups)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [g.name for g in self.every]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"gates declared twice: {', '.join(twice)}")
        return self


@cache
def load_gates() -> Gates:
    """Load the gates that ship with the project.

    Raises
    ------
    pydantic.ValidationError
        Naming every entry that is not a gate.
    """
    return Gates.model_validate(yaml.safe_load((files("validation") / "gates.yaml").read_text("utf-8")))

"""Outcomes as a tree, so that coherence holds by construction."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from typing import Literal, Self

from pydantic import Field as Attribute
from pydantic import model_validator

from features.availability import Time
from features.field import Frozen
from features.rule import Condition

Direction = Literal["increasing", "decreasing"]


class Part(StrEnum):
    """The part an outcome plays in the three states that a patient is shown."""

    RESECTION = "resection"
    COMPLICATION = "complication"
    PRIMARY = "primary"


class Outcome(Frozen):
    """One outcome.

    Attributes
    ----------
    within
        The parent event in the tree: the outcome cannot happen without it. None for a root.
    given
        What the reported probability is conditional on: an ancestor, or None for every patient started.
    recorded
        Condition over registry fields that is True when the outcome happened and unknown when it was not recorded.
        None when only a column of the outcome's own name can tell.
    settled
        Clinically settled directions, by encoding factor; every model must respect them.
    selectively_recorded
        Whether it tends to be recorded when it is suspected, so that its rate among the recorded misleads.
    headline
        Whether promotion and comparison look at it first.
    """

    name: str = Attribute(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    if_given: str | None = None
    definition: str
    window: str
    predict_at: Time
    known_at: Time = Time.OUTCOME
    within: str | None = None
    given: str | None = None
    part: Part | None = None
    group: str
    recorded: Condition | None = None
    settled: dict[str, Direction] = {}
    selectively_recorded: bool = False
    headline: bool = False
    why: str

    @model_validator(mode="after")
    def _later_than_prediction(self) -> Self:
        if self.known_at.by(self.predict_at):
            raise ValueError(f"outcome {self.name}: known at {self.known_at}, not after its prediction")
        return self


class OutcomeTree(Frozen):
    """All outcomes, parents before children."""

    outcomes: tuple[Outcome, ...]

    @model_validator(mode="after")
    def _is_a_tree(self) -> Self:
        seen: dict[str, Outcome] = {}
        for outcome in self.outcomes:
            if outcome.name in seen:
                raise ValueError(f"outcome {outcome.name} is declared twice")
            if outcome.within is not None and outcome.within not in seen:
                raise ValueError(f"outcome {outcome.name}: its parent {outcome.within} must be declared before it")
            seen[outcome.name] = outcome
            if outcome.given is not None and outcome.given not in self.ancestors(outcome.name):
                raise ValueError(f"outcome {outcome.name}: given {outcome.given} is not one of its ancestors")
        for part in Part:
            if sum(o.part is part for o in self.outcomes) != 1:
                raise ValueError(f"exactly one outcome must play the part {part.value}")
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names, parents before children."""
        return tuple(o.name for o in self.outcomes)

    @cached_property
    def _chains(self) -> dict[str, tuple[str, ...]]:
        return {name: self._chain(name) for name in self.names}

    def __getitem__(self, name: str) -> Outcome:
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        raise KeyError(f"unknown outcome {name}; known are {', '.join(self.names)}")

    def part(self, part: Part) -> Outcome:
        """The outcome that plays a part."""
        return next(o for o in self.outcomes if o.part is part)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Parents from nearest to root."""
        by_name = {o.name: o for o in self.outcomes}
        chain: list[str] = []
        parent = by_name[name].within if name in by_name else None
        while parent is not None:
            chain.append(parent)
            parent = by_name[parent].within
        return tuple(chain)

    def chain(self, name: str) -> tuple[str, ...]:
        """Names whose conditional probabilities multiply to the reported one: the outcome up to its `given`."""
        return self._chains[name]

    def _chain(self, name: str) -> tuple[str, ...]:
        given = self[name].given
        return (name, *(a for a in self.ancestors(name) if given is None or given in self.ancestors(a)))

    def product(self, conditional: dict[str, object], names: Iterable[str] | None = None) -> dict[str, object]:
        """Multiply conditional probabilities up the tree.

        Parameters
        ----------
        conditional
            P(outcome | within) by name: floats or arrays that broadcast.

        Returns
        -------
        dict
            P(outcome | given) by name.
        """
        reported: dict[str, object] = {}
        for name in names or self.names:
            value = conditional[name]
            for ancestor in self._chains[name][1:]:
                value = value * conditional[ancestor]  # type: ignore[operator]
            reported[name] = value
        return reported

"""When something becomes known, and the guard that keeps later knowledge out of earlier models."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol


class Time(StrEnum):
    """A moment in the patient's course, in order (DOMAIN 1.1: T0, T1, T2, T3).

    ``baseline`` is the tumour board before cycle 1, ``restaging`` the first reassessments on treatment,
    ``surgery`` the decision to operate and ``outcome`` everything learned at or after the operation.
    """

    BASELINE = "baseline"
    RESTAGING = "restaging"
    SURGERY = "surgery"
    OUTCOME = "outcome"

    @property
    def rank(self) -> int:
        """Position in time: 0 for baseline, 3 for outcome."""
        return _RANKS[self]

    def by(self, other: Time) -> bool:
        """Whether what is known at this time is already known at `other`."""
        return self.rank <= other.rank


_RANKS = {time: position for position, time in enumerate(Time)}


class KnownAt(Protocol):
    """Anything that has a name and a time at which it becomes known."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def known_at(self) -> Time:
        """When it becomes known."""
        ...


class LateInformation(ValueError):
    """Something known only later was offered to an earlier model."""


def refuse_late(things: Iterable[KnownAt], predict_at: Time) -> None:
    """Raise if any thing becomes known after the time of prediction.

    Parameters
    ----------
    things
        Fields or other named things offered as predictors.
    predict_at
        The time at which the model answers.

    Raises
    ------
    LateInformation
        Naming every offender with both times.
    """
    late = [thing for thing in things if not thing.known_at.by(predict_at)]
    if late:
        listed = "; ".join(f"{t.name} is known at {t.known_at.value}" for t in late)
        raise LateInformation(
            f"{listed}; a model that predicts at {predict_at.value} may use only what is known by then. "
            "Remove it from the predictors."
        )

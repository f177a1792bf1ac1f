"""The stages of a retraining job, in order."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Stage(StrEnum):
    """What a job is about to do. A job that keeps the champion goes from deciding to the summary."""

    LOCK = "lock"
    SWEEP = "sweep"
    READ = "read"
    VALIDATE = "validate"
    COHORT = "cohort"
    DECIDE = "decide"
    TRAIN = "train"
    EVALUATE = "evaluate"
    REGISTER = "register"
    GATE = "gate"
    PROMOTE = "promote"
    SUMMARY = "summary"


Announce = Callable[[Stage], None]


def silent(stage: Stage) -> None:
    """Announce nothing."""

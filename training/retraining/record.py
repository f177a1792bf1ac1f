"""What a retraining job found and did, as far as it came; the summary is written from it."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from enum import IntEnum

from training.retraining.choice import Choice
from training.retraining.stages import Stage


class Code(IntEnum):
    """How a job ended, for whoever started it."""

    FINISHED = 0
    REJECTED = 1
    USAGE = 2
    REFUSED = 3
    LOCKED = 4
    UNREADABLE = 5
    UNEXPECTED = 70


MEANING = {
    Code.FINISHED: "Finished: a new model was promoted or left as asked, or nothing was needed.",
    Code.REJECTED: "The data were rejected; nothing was trained.",
    Code.USAGE: "The job was asked for wrongly; nothing was done.",
    Code.REFUSED: "A challenger was made and left, because it must not be promoted; the champion stays.",
    Code.LOCKED: "Another job holds the store; nothing was done.",
    Code.UNREADABLE: "The source could not be read; nothing was trained.",
    Code.UNEXPECTED: "The job ended unexpectedly; the champion stays, and the next job clears up.",
}


@dataclass(frozen=True)
class GateFigure:
    """One gate's verdict: the figure that it rests on, and what is allowed."""

    gate: str
    passed: bool
    value: float | None
    text: str
    bound: str


@dataclass
class Record:
    """A job as it goes on.

    Attributes
    ----------
    source
        What was read, without any password.
    champion, served
        What was served before and is served after, in words.
    made
        Number and kind of the version that was made; None when none was.
    judged_on
        The patients on whom it was held against the champion.
    reached
        The last stage that was begun.
    stopped
        Why the job ended early, in words.
    """

    by: str
    reason: str
    asked: str
    began: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    identity: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    reached: Stage = Stage.LOCK
    swept: tuple[str, ...] = ()
    source: str | None = None
    digest: str | None = None
    simulated: bool = False
    rows: int | None = None
    set_aside: int = 0
    defects: tuple[str, ...] = ()
    flow: tuple[str, ...] = ()
    as_of: dt.date | None = None
    champion: str | None = None
    choice: Choice | None = None
    made: str | None = None
    candidates: tuple[str, ...] = ()
    judged_on: str | None = None
    gates: tuple[GateFigure, ...] = ()
    verdict: str | None = None
    served: str | None = None
    stopped: str | None = None
    run_id: str | None = None
    training_run_id: str | None = None
    code: Code = Code.UNEXPECTED
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Date and identity, such as ``2026-03-01-1f9c02ab``."""
        return f"{self.began:%Y-%m-%d}-{self.identity}"

    @property
    def meaning(self) -> str:
        """The exit code in words."""
        return MEANING[self.code]

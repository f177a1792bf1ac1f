"""Shadow: a challenger answers what the champion answered, is recorded, and is never shown.

It is asked after the answer was sent, in a thread that works a quarter of the time at most and from a queue that
drops what it cannot hold: whoever waits for an answer must not notice it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from serving.application import Application

log = logging.getLogger("resecta")

#: What became of a patient: skipped, when there was no time.
Result = Literal["scored", "failed", "skipped"]

#: Patients that may wait to be scored; more are dropped and counted.
WAITING = 256

#: Share of the time that is worked. A thread of lower priority would not do: while the system lets it wait it may
#: hold the interpreter's lock, and everyone waits with it.
SHARE = 0.25

#: Name of a bundle's digest among `serving.application.Scorer.digests`.
BUNDLE = "bundle"

_UNKNOWN: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What the challenger would have answered to a patient whom the champion answered.

    Attributes
    ----------
    prediction_id
        Of the answer that was sent.
    request
        As it was validated: ``patient``, ``regimens``, ``profile``.
    answer
        The challenger's whole answer, with its own model and version. Its ``prediction_id`` names nothing.
    seconds
        That the challenger took.
    digests
        Of the challenger: its bundle and code.
    """

    prediction_id: str
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    seconds: float
    digests: Mapping[str, str] = field(default_factory=dict)


class Recorder(Protocol):
    """Keeps what the challenger answered; it is called from the shadow's thread, and may block it."""

    def __call__(self, shadowed: Shadowed) -> None:
        """Record one."""


class Counter(Protocol):
    """Where it is counted what became of the patients offered; `serving.measures.Measures` is one."""

    def shadow_scored(self, patients: int = 1, result: Result = "scored") -> None:
        """Count patients."""


class Shadow:
    """Scores in the background with the application it holds; `serving.succession.Succession` changes that.

    Parameters
    ----------
    recorder
        Where answers go; with None they are made and forgotten, which only measures.
    counter
        Told what became of each patient.
    waiting, share
        See `WAITING` and `SHARE`.

    Attributes
    ----------
    application
        The challenger; without a model, nothing is queued.
    counts
        Patients by what became of them.
    """

    def __init__(
        self,
        described: Application,
        recorder: Recorder | None = None,
        counter: Counter | None = None,
        waiting: int = WAITING,
        share: float = SHARE,
    ) -> None:
        self.application = described
        self.recorder, self.counter, self.share = recorder, counter, share
        self.counts: dict[Result, int] = {"scored": 0, "failed": 0, "skipped": 0}
        self._queue: queue.Queue[tuple[str, Mapping[str, Any]] | None] = queue.Queue(waiting)

    def start(self) -> threading.Thread:
        """Score from a thread of its own until `stop`, or the end of the process."""
        thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """End the thread once it has scored what waits; blocks while the queue is full."""
        self._queue.put(None)

    def offer(
        self, request: Mapping[str, Any], answer: Mapping[str, Any], digests: Mapping[str, str] = _UNKNOWN
    ) -> None:
        """Queue what was answered; call it after the answer was sent. It takes microseconds and never waits.

        Parameters
        ----------
        request
            As it was validated, of one patient (``patient``) or of several (``patients``).
        answer
            As it was sent; the predictions of a batch are under ``predictions``.
        digests
            `serving.application.Scorer.digests` of what answered.
        """
        scorer = self.application.scorer
        if scorer is None:
            return
        answers = answer["predictions"] if "patients" in request else [answer]
        patients = request["patients"] if "patients" in request else [request["patient"]]
        shared = {name: value for name, value in request.items() if name not in ("patient", "patients")}
        for patient, answered in zip(patients, answers, strict=True):
            if scorer.digests.get(BUNDLE) == digests.get(BUNDLE) and self._same(scorer.model_card, answered["model"]):
                return  # the challenger was promoted: it is what answers
            try:
                self._queue.put_nowait((answered["prediction_id"], {**shared, "patient": patient}))
            except queue.Full:
                self._count("skipped")

    @staticmethod
    def _same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
        # Alone they do not tell bundle folders apart, which no registry numbered.
        return (ours["name"], ours["version"]) == (theirs["name"], theirs["version"])

    def _work(self) -> None:
        while (waiting := self._queue.get()) is not None:
            took = self._score(*waiting)
            del waiting  # a patient is not kept while nothing is asked
            time.sleep(took * (1 / self.share - 1))

    def _score(self, prediction_id: str, request: Mapping[str, Any]) -> float:
        started = time.perf_counter()
        try:
            scorer = self.application.ready().scorer
            answer = scorer.answer(request)
            seconds = time.perf_counter() - started
            if self.recorder is not None:
                self.recorder(Shadowed(prediction_id, request, answer, seconds, scorer.digests))
            self._count("scored")
        except Exception as error:
            # Neither message nor trace: both may hold what was asked.
            log.error("A shadow prediction failed: %s", type(error).__name__)
            self._count("failed")
        return time.perf_counter() - started

    def _count(self, result: Result) -> None:
        self.counts[result] += 1
        if self.counter is not None:
            self.counter.shadow_scored(1, result)

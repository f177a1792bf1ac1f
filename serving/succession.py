"""Succession: a new champion takes the place of the old one, without a restart and without a failed request."""

from __future__ import annotations

import gc
import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from serving.application import Application, ModelRefused, RefusedModel, load
from serving.source import fingerprint

log = logging.getLogger("resecta")

#: Seconds between two looks at what the settings name. A change is taken when two looks in a row agree on it, so
#: that a folder is not read while it is being written.
EVERY = 2.0

#: Seconds after which a refused model is tried once more: a disk or a database may have been away.
AGAIN = 60.0

#: Objects made before the collector looks, youngest generation first; see `at_rest`.
_THRESHOLDS = (50_000, 20, 50)


class Seat(Protocol):
    """Whatever answers with an application and reads it anew for each request."""

    application: Application


class Told(Protocol):
    """Where it is counted what serves and what was refused; `serving.measures.Measures` is one."""

    def ready(self, ready: bool) -> None:
        """Say whether this worker has a model."""

    def model(self, version: str, digest: str, learner: str) -> None:
        """Say which model answers from now on, and that none is refused any more."""

    def model_refused(self, code: str | None) -> None:
        """Say why a model that should answer is refused."""


class Succession:
    """Watches what the settings name, loads it beside what answers, and puts it in its place.

    One assignment of `seat.application` is the whole swap. A request that had read the old one keeps it until it is
    answered; then nothing refers to it. What is refused leaves the old one in place, which then says so.

    Parameters
    ----------
    seat
        What answers.
    model, store
        As `serving.source.find_bundle` takes them.
    measures
        Told of every change.
    every
        Seconds between looks.
    seen
        `serving.source.fingerprint` of what the seat holds, taken before it was loaded; None when nothing is.
    """

    def __init__(
        self,
        seat: Seat,
        model: str,
        store: Path,
        measures: Told | None = None,
        every: float = EVERY,
        seen: str | None = None,
    ) -> None:
        self.seat, self.model, self.store, self.measures, self.every = seat, model, store, measures, every
        self._judged, self._seen = seen, seen
        # What the seat was refused before there was a watch is tried again like anything refused later.
        self._refused_at = time.monotonic() if seen is not None and seat.application.scorer is None else None
        self._left_over = False
        self._stop = threading.Event()

    def start(self) -> threading.Thread:
        """Watch from a thread of its own until `stop`, or the end of the process."""
        self._tell()
        thread = threading.Thread(target=self._watch, name="succession", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Look no more; returns at once."""
        self._stop.set()

    def look(self) -> bool:
        """Look once, and act on it.

        Returns
        -------
        bool
            Whether another model took the place of the one before.
        """
        if self._left_over:
            # By now the requests that the old one was answering are over.
            self._left_over = False
            at_rest()
        named = fingerprint(self.model, self.store)
        settled, self._seen = named == self._seen, named
        if not settled or (named == self._judged and not self._due()):
            return False
        again = named == self._judged
        self._judged = named
        return self._try(again)

    def _due(self) -> bool:
        return self._refused_at is not None and time.monotonic() - self._refused_at >= AGAIN

    def _try(self, again: bool) -> bool:
        if self.seat.application.spec is None:
            return False  # the specification that ships with the service is at fault, and no model can help
        try:
            successor = load(self.seat.application, self.model, self.store)
        except ModelRefused as error:
            self._refused_at = time.monotonic()
            self._refuse(error.refused, again)
            return False
        self._refused_at = None
        self.seat.application = successor
        self._left_over = True
        assert successor.scorer is not None
        log.info("Version %s of the model answers now", successor.scorer.model_card["version"])
        self._tell()
        return True

    def _tell(self) -> None:
        scorer = self.seat.application.scorer
        if self.measures is None:
            return
        self.measures.ready(scorer is not None)
        if scorer is None:
            self.measures.model_refused(self.seat.application.refusals[0].code)
        else:
            card = scorer.model_card
            self.measures.model(card["version"], card["spec_digest"], card["learner"])

    def _refuse(self, refused: RefusedModel, again: bool) -> None:
        before = self.seat.application
        self.seat.application = before.without(refused)
        if before.scorer is not None and not again:
            log.warning("Version %s of the model keeps answering", before.scorer.model_card["version"])
        if self.measures is not None and not again:
            self.measures.model_refused(refused.code)

    def _watch(self) -> None:
        # Workers look at different moments, so that they do not all load at once.
        self._stop.wait(random.uniform(0, self.every))
        while not self._stop.wait(self.every):
            try:
                self.look()
            except Exception:
                # No patient is near; and a watch that ended would end in silence.
                log.exception("Looking for a new model failed; the one before keeps answering")


def at_rest(collect: Callable[[], object] = gc.collect) -> None:
    """Let the collector forget what lives as long as the model does.

    Left in its sight that is walked again and again, which shows as pauses of 100 ms; kept out of its sight for
    ever, the cycles of a model that was replaced would never be freed.
    """
    gc.unfreeze()
    collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)

"""The recorder: no answer leaves before its record is in the ledger."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.types import Scope

from features import InvalidValues
from serving.access import LOCAL, Role
from serving.ledger import (
    Caller,
    Challenge,
    Conflict,
    Draft,
    Estimate,
    Kind,
    Ledger,
    LedgerBusy,
    LedgerError,
    LedgerUnavailable,
    Prediction,
    Removed,
    Report,
    open_ledger,
)
from serving.ledger.opening import ADDRESS
from serving.logs import CALLER
from serving.measures import Measures
from serving.problems import BODY, Refusal, refuse
from serving.settings import OFF
from serving.shadow import Shadowed

log = logging.getLogger("resecta")

_TRY_AGAIN = 2.0  # seconds until a ledger that could not be opened is tried again


class Recorder:
    """One worker's hold on the ledger.

    Parameters
    ----------
    opening
        Opens the ledger; called again later when it fails. None where the operator switched the ledger off: then
        nothing is recorded, and the model's card says so.
    """

    def __init__(self, opening: Callable[[], Ledger] | None, measures: Measures) -> None:
        self._opening, self._measures = opening, measures
        self._ledger: Ledger | None = None
        self._problem: str | None = None
        self._tried = float("-inf")
        self._guard = threading.Lock()
        self._sound: bool | None = None
        self._tell(None)

    def begin(self) -> None:
        """Open the ledger now, before there are requests that would wait for it; a fault shows in `problem`."""
        if self.on:
            with suppress(Refusal):
                self._open()

    @property
    def on(self) -> bool:
        """Whether answers are recorded."""
        return self._opening is not None

    @property
    def problem(self) -> str | None:
        """Why nothing can be recorded now; None when it can, or need not.

        Whoever asks while there is one has the ledger tried again, in its own thread.
        """
        if not self.on:
            return None
        try:
            ledger = self._open()
        except Refusal as refusal:
            return refusal.problems[0].message
        ledger.probe()
        return self._tell(ledger.problem)

    def predicted(
        self,
        scope: Scope,
        answer: Mapping[str, Any],
        sent: bytes,
        request: Mapping[str, Any],
        milliseconds: float,
        digests: Mapping[str, str],
        kind: Kind = Kind.PREDICTION,
    ) -> Prediction:
        """Draft the record of one answer; the patient reference is kept as a keyed hash alone."""
        reference = request.get("reference")
        patient = self._open().pseudonym(reference) if self.on and reference else None
        return Prediction(answer, sent, request, milliseconds, caller_of(scope, Role.PREDICT), patient, digests, kind)

    def judged(self, scope: Scope, prediction_id: str, estimate: Mapping[str, Any]) -> Estimate:
        """Draft the record of what a board judged by itself: ``regimen``, ``outcome`` and ``probability``."""
        entry = {**estimate["regimen"], "outcomes": {estimate["outcome"]: estimate["probability"]}}
        return Estimate(prediction_id, [entry], caller_of(scope, Role.PREDICT))

    async def record(self, drafts: Sequence[Draft]) -> None:
        """Commit drafts; returns at once where the ledger is switched off.

        Raises
        ------
        Refusal
            503 when they are not known to be committed: the answer must then not be sent.
        """
        if not self.on:
            return
        started = time.perf_counter()
        ledger = self._open()
        try:
            await ledger.append(drafts)
        except LedgerError as error:
            self._measures.ledger_failed(len(drafts))
            self._tell(ledger.problem)
            raise _not_recorded(error) from None
        self._tell(None)
        self._measures.committed(time.perf_counter() - started)

    async def stored(self, prediction_id: str) -> bytes:
        """An earlier answer, bit for bit.

        Raises
        ------
        Refusal
            404 when there is none, 410 when it was removed under retention, 503 without a ledger.
        """
        with _refusing():
            found = await anyio.to_thread.run_sync(self._open().get, prediction_id)
            if found is None:
                raise KeyError(prediction_id)
        return found

    async def outcome(
        self, scope: Scope, prediction_id: str, values: Mapping[str, Any], idempotency_key: str | None
    ) -> Report:
        """Record what became of a patient.

        Raises
        ------
        Refusal
            404 when there is no such prediction, 409 when the key was used for other values, 410 when the prediction
            was removed, 422 with every problem of the values, 503 when it is not known to be committed.
        """
        ledger, caller = self._open(), caller_of(scope, Role.OUTCOMES)

        def work() -> Report:
            return ledger.record_outcome(prediction_id, values, caller=caller, idempotency_key=idempotency_key)

        try:
            with _refusing(self._measures):
                report = await anyio.to_thread.run_sync(work)
        finally:
            self._tell(ledger.problem)
        self._measures.outcome_recorded(
            "repeated" if report.existing else "first" if report.revision == 1 else "corrected"
        )
        return report

    async def estimate(self, scope: Scope, prediction_id: str, estimate: Mapping[str, Any]) -> None:
        """Record what a board judged by itself about a prediction that was answered before.

        Raises
        ------
        Refusal
            As `stored`, 422 when the id is not a prediction's, and 503 when it is not known to be committed.
        """
        with _refusing():
            await anyio.to_thread.run_sync(self._open().followed, prediction_id)
        await self.record([self.judged(scope, prediction_id, estimate)])

    def shadowed(self, shadowed: Shadowed) -> None:
        """Record what a challenger would have answered; called in the shadow's thread, and lost if it cannot be."""
        if not self.on:
            return
        try:
            draft = Challenge(shadowed.prediction_id, shadowed.answer, shadowed.seconds, shadowed.digests)
            self._open().append_sync([draft])
        except (LedgerError, Refusal):
            self._measures.ledger_failed()

    def required(self) -> Recorder:
        """Return this recorder, for what cannot be done without a ledger.

        Raises
        ------
        Refusal
            503 where the ledger is switched off.
        """
        if not self.on:
            raise refuse(503, "ledger", "ledger_off", "The ledger of this service is switched off (RESECTA_LEDGER).")
        return self

    def ledger(self) -> Ledger:
        """The ledger itself, for whoever reads it.

        Raises
        ------
        Refusal
            503 where it is switched off or cannot be opened.
        """
        return self._open()

    def _tell(self, problem: str | None) -> str | None:
        """Have the measures say whether records can be written; returns the problem."""
        if self._sound is not (problem is None):
            self._sound = problem is None
            self._measures.ledger_ready(self._sound)
        return problem

    def _open(self) -> Ledger:
        self.required()
        with self._guard:
            due = self._ledger is None and time.monotonic() - self._tried >= _TRY_AGAIN
            if due:
                first = self._tried == float("-inf")
                # None other tries while this one does, however long that takes.
                self._tried = float("inf")
        if due and first:
            self._attempt()
        elif due:
            # It failed before, and may wait for a lock or an address: no request is to wait with it.
            threading.Thread(target=self._attempt, name="resecta-ledger-opening", daemon=True).start()
        if self._ledger is None:
            raise _not_recorded(LedgerUnavailable(self._problem or "it is being opened."))
        return self._ledger

    def _attempt(self) -> None:
        assert self._opening is not None
        try:
            self._ledger = self._opening()
            self._problem = None
        except LedgerError as error:
            self._problem = self._tell(str(error))
            log.error("The ledger cannot be opened: %s", error)
        finally:
            self._tried = time.monotonic()


def ledger_opener(environment: Mapping[str, str], store: Path) -> Callable[[], Ledger] | None:
    """How the ledger of the environment is opened; None where it is switched off."""
    if environment.get(ADDRESS, "").strip().lower() in OFF - {""}:
        return None
    return partial(open_ledger, environment, store)


def caller_of(scope: Scope, role: Role) -> Caller:
    """Who asks, as the ledger names them."""
    return Caller(scope.get(CALLER) or LOCAL.name, role.value)


@contextmanager
def _refusing(measures: Measures | None = None) -> Iterator[None]:
    """Turn what the ledger raises into refusals; count what could not be recorded."""
    try:
        yield
    except KeyError:
        raise refuse(
            404, "prediction_id", "no_such_prediction", "No prediction with this id is in the ledger."
        ) from None
    except Removed as removed:
        raise refuse(410, "prediction_id", "removed", str(removed)) from None
    except Conflict as conflict:
        raise refuse(409, "idempotency_key", "conflict", str(conflict)) from None
    except InvalidValues as invalid:
        raise Refusal(422, tuple(invalid.problems)) from None
    except LedgerError as error:
        if measures is not None:
            measures.ledger_failed()
        raise _not_recorded(error) from None


def _not_recorded(error: LedgerError) -> Refusal:
    if isinstance(error, LedgerBusy):
        return refuse(503, BODY, "ledger_busy", f"Not answered: {error}", {"retry-after": "1"})
    return refuse(503, BODY, "ledger_unavailable", f"Not answered, because the ledger cannot be used: {error}")

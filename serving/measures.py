"""What the service counts about itself, for Prometheus: never a patient's value, and few distinct labels.

BentoML's own request metrics are off: they label by the path as it was sent, so that anyone could grow them
without end, and they halve the requests a second. These are written to the same place, so `/metrics` sums
over all workers.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import prometheus_client as prometheus
from prometheus_client.multiprocess import MultiProcessCollector

from serving.problems import Refusal

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST

#: Seconds; from a fast single patient to a batch of 1,000.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


#: Seconds for which the counts of regimens and flags are gathered before they are written.
GATHERED = 1.0


class _Children:
    """The counters of one name by their labels, found in a third of the time that `labels` takes."""

    def __init__(self, parent: Any) -> None:
        self._parent = parent
        self._found: dict[tuple[str, ...], Any] = {}

    def of(self, *labels: str) -> Any:
        found = self._found.get(labels)
        if found is None:
            found = self._found[labels] = self._parent.labels(*labels)
        return found


class Measures:
    """Counters of requests, predictions by regimen, refusals, flags, outcomes, and of the model and the ledger.

    Parameters
    ----------
    registry
        Where they are kept; None is a registry of their own.

    Notes
    -----
    Construct after ``PROMETHEUS_MULTIPROC_DIR`` is set, as it is in BentoML's workers: `prometheus_client`
    decides at that moment whether counts are shared between processes.
    """

    def __init__(self, registry: prometheus.CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else prometheus.CollectorRegistry()

        def counter(name: str, text: str, labels: Iterable[str] = ()) -> prometheus.Counter:
            return prometheus.Counter(f"resecta_{name}", text, tuple(labels), registry=self.registry)

        def gauge(name: str, text: str, mode: Any, labels: Iterable[str] = ()) -> prometheus.Gauge:
            return prometheus.Gauge(
                f"resecta_{name}", text, tuple(labels), registry=self.registry, multiprocess_mode=mode
            )

        def histogram(name: str, text: str, labels: Iterable[str] = ()) -> prometheus.Histogram:
            return prometheus.Histogram(f"resecta_{name}", text, tuple(labels), buckets=BUCKETS, registry=self.registry)

        self._requests = _Children(counter("requests", "Requests by route and status", ("route", "status")))
        self._seconds = _Children(histogram("request_seconds", "Time to answer, body included", ("route",)))
        self._predictions = counter("predictions", "Patients answered")
        self._options = counter("options", "Regimens answered")
        self._regimens = _Children(
            counter("regimens", "Regimens answered, by backbone and biologic", ("backbone", "biologic"))
        )
        self._refusals = _Children(counter("refusals", "Problems named in refused requests, by code", ("code",)))
        self._flags = _Children(
            counter("flags", "Flags in answers, present or unknown", ("code", "severity", "status"))
        )
        self._outcomes = _Children(
            counter("outcomes_recorded", "Outcomes recorded: first, repeated or corrected", ("kind",))
        )
        self._ledger_failures = counter("ledger_failures", "Answers withheld because their record was not committed")
        self._ledger_ready = gauge(
            "ledger_ready", "0 while a worker's last record could not be written, else 1", "livemin"
        )
        self._ledger_seconds = histogram("ledger_commit_seconds", "Time until a record was committed")
        self._shadow = _Children(counter("shadow_scored", "Patients scored by a challenger, never shown", ("result",)))
        self._audited = counter("audit_entries", "Entries of the ledger given to auditors")
        self._verified = _Children(
            counter("audit_verifications", "Walks along the chain: whole, partial or broken", ("result",))
        )
        self._model = gauge("model_info", "1 for the model that answers", "livemax", ("version", "digest", "learner"))
        self._answering: tuple[str, str, str] | None = None
        self._model_refused = gauge(
            "model_refused", "1 while a model that should answer is refused, by reason", "livemax", ("code",)
        )
        self._refused_as: str | None = None
        self._gathered_regimens, self._gathered_flags = Tally[tuple[str, ...]](), Tally[tuple[str, ...]]()
        self._due: asyncio.TimerHandle | None = None
        self._ready = gauge("ready", "1 when every worker has a model, else 0", "livemin")

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request under the template of the route that took it, so that labels are as many as routes."""
        self._requests.of(route, str(status)).inc()
        self._seconds.of(route).observe(seconds)

    def refused(self, refusal: Refusal) -> None:
        """Count the problems of a refusal by their codes."""
        for code, count in Tally(problem.code for problem in refusal.problems).items():
            self._refusals.of(code).inc(count)

    def answered(self, answers: Iterable[Mapping[str, Any]]) -> None:
        """Count answered patients, their regimens by backbone and biologic, and the flags by code and severity.

        Forty counters an answer are forty writes to a shared file: on an event loop they are gathered for `GATHERED`.
        """
        patients, options = 0, 0
        lists: dict[int, tuple[int, Any]] = {}
        for answer in answers:
            patients += 1
            options += len(answer["regimens"])
            for regimen in answer["regimens"]:
                self._gathered_regimens[regimen["backbone"], regimen["biologic"]] += 1
                # The scorer repeats a list of flags as the same object: a few are left of many.
                flags = regimen["flags"]
                lists[id(flags)] = (lists.get(id(flags), (0,))[0] + 1, flags)
        for times, flags in lists.values():
            for flag in flags:
                self._gathered_flags[flag["code"], flag["severity"], flag["status"]] += times
        self._predictions.inc(patients)
        self._options.inc(options)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._settle()
            return
        if self._due is None:
            self._due = loop.call_later(GATHERED, self._settle)

    def _settle(self) -> None:
        """Write what was gathered."""
        self._due = None
        for counters, gathered in ((self._regimens, self._gathered_regimens), (self._flags, self._gathered_flags)):
            for labels, count in gathered.items():
                counters.of(*labels).inc(count)
            gathered.clear()

    def outcome_recorded(self, kind: Literal["first", "repeated", "corrected"]) -> None:
        """Count an outcome that is in the ledger."""
        self._outcomes.of(kind).inc()

    def committed(self, seconds: float) -> None:
        """Count a record that the ledger holds, and the time that it took."""
        self._ledger_seconds.observe(seconds)

    def ledger_failed(self, answers: int = 1) -> None:
        """Count answers that were withheld because the ledger could not be written."""
        self._ledger_failures.inc(answers)

    def ledger_ready(self, ready: bool) -> None:
        """Say whether this worker's last record was written; that of a ledger that is switched off need not be."""
        self._ledger_ready.set(ready)

    def audited(self, entries: int) -> None:
        """Count entries of the ledger that were given to an auditor."""
        self._audited.inc(entries)

    def verified(self, result: Literal["whole", "partial", "broken"]) -> None:
        """Count a walk along the ledger's chain by what it found."""
        self._verified.of(result).inc()

    def shadow_scored(self, patients: int = 1, result: Literal["scored", "failed", "skipped"] = "scored") -> None:
        """Count patients that a challenger scored beside the champion, or failed or had no time to."""
        self._shadow.of(result).inc(patients)

    def model(self, version: str, digest: str, learner: str) -> None:
        """Say which model answers from now on, and that none is refused any more."""
        if self._answering is not None:
            self._model.labels(*self._answering).set(0)
        self._answering = (version, digest, learner)
        self._model.labels(*self._answering).set(1)
        self.model_refused(None)

    def model_refused(self, code: str | None) -> None:
        """Say why a model that should answer is refused, by the code of the refusal; None when none is."""
        if self._refused_as is not None:
            self._model_refused.labels(self._refused_as).set(0)
        self._refused_as = code
        if code is not None:
            self._model_refused.labels(code).set(1)

    def ready(self, ready: bool) -> None:
        """Say whether this worker has a model."""
        self._ready.set(ready)

    def exposition(self) -> bytes:
        """Return all counts in Prometheus's text format, summed over the workers."""
        self._settle()
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return prometheus.generate_latest(self.registry)
        gathered = prometheus.CollectorRegistry()
        MultiProcessCollector(gathered)
        return prometheus.generate_latest(gathered)

"""What the service counts about itself, for Prometheus: never a patient's value, and few distinct labels.

BentoML's own request metrics are off: they label by the path as it was sent, so that anyone could grow them
without end, and they halve the requests a second. These are written to the same place, so `/metrics` sums
over all workers.
"""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import Any

import prometheus_client as prometheus
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import Scope

from serving.problems import Refusal

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST

#: Seconds; from a fast single patient to a batch of 1,000.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Measures:
    """Counters of requests, predictions, refusals and flags.

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

        self._requests = counter("requests", "Requests by route and status", ("route", "status"))
        self._predictions = counter("predictions", "Patients answered")
        self._options = counter("options", "Regimens answered")
        self._refusals = counter("refusals", "Problems named in refused requests, by code", ("code",))
        self._flags = counter("flags", "Flags in answers, present or unknown", ("code", "status"))
        self._seconds = prometheus.Histogram(
            "resecta_request_seconds",
            "Time to answer, body included",
            ("route",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._ready = prometheus.Gauge(
            "resecta_ready",
            "1 when every worker has a model, else 0",
            registry=self.registry,
            multiprocess_mode="livemin",
        )

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request under the route that took it, so that the labels are as many as the routes."""
        route = getattr(scope.get("route"), "path", "none")
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, refusal: Refusal) -> None:
        """Count the problems of a refusal by their codes."""
        for code, count in Tally(problem.code for problem in refusal.problems).items():
            self._refusals.labels(code).inc(count)

    def answered(self, answers: Iterable[Mapping[str, Any]]) -> None:
        """Count answered patients, their regimens, and the flags by code."""
        patients, options, flags = 0, 0, Tally[tuple[str, str]]()
        for answer in answers:
            patients += 1
            options += len(answer["regimens"])
            for regimen in answer["regimens"]:
                flags.update((flag["code"], flag["status"]) for flag in regimen["flags"])
        self._predictions.inc(patients)
        self._options.inc(options)
        for (code, known), count in flags.items():
            self._flags.labels(code, known).inc(count)

    def ready(self, ready: bool) -> None:
        """Say whether this worker has a model."""
        self._ready.set(ready)

    def exposition(self) -> bytes:
        """Return all counts in Prometheus's text format, summed over the workers."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return prometheus.generate_latest(self.registry)
        gathered = prometheus.CollectorRegistry()
        MultiProcessCollector(gathered)
        return prometheus.generate_latest(gathered)

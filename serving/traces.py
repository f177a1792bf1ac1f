"""Traces for an OpenTelemetry collector, when an operator names one, and else nothing at all.

A span says which route answered, with what status and how long it took. It holds no address as it was sent, no
query, no header and no value.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from starlette.types import Scope

log = logging.getLogger("resecta")

#: What an operator sets; without one of them nothing is imported and no connection is made.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PACKAGE = "opentelemetry-exporter-otlp-proto-http"

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_SERVER_FAULT = 500


class Traces:
    """Spans of one worker's requests.

    Parameters
    ----------
    exporter
        Takes finished spans (`opentelemetry.sdk.trace.export.SpanExporter`).
    wait
        Whether spans are sent by a thread of their own, in batches; else each at once, which is for tests.
    """

    def __init__(self, exporter: Any, *, wait: bool = True) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # With OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, which go before ours.
        resource = Resource.create()
        if str(resource.attributes.get("service.name")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "resecta"}))
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter) if wait else SimpleSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("resecta")
        self._parents = TraceContextTextMapPropagator()
        self._server = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    def ended(self, scope: Scope, route: str, status: int, seconds: float) -> None:
        """Record a request that ended, below the span that its `traceparent` header names."""
        now = time.time_ns()
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        parent = None
        for name, value in scope["headers"]:
            if name == b"traceparent":
                parent = self._parents.extract({"traceparent": value.decode("latin-1")})
                break
        span = self._tracer.start_span(
            f"{method} {route}",
            context=parent,
            kind=self._server,
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            },
            start_time=now - int(seconds * 1e9),
        )
        if status >= _SERVER_FAULT:
            span.set_status(self._failed)
        span.end(now)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def open_traces(environment: Mapping[str, str]) -> Traces | None:
    """Return traces to the collector that the environment names, or None when it names none.

    A missing package is said in the log and stops nothing: predictions do not depend on traces.
    """
    if not any(environment.get(name, "").strip() for name in ENDPOINTS):
        return None
    try:
        exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter
    except ImportError as error:
        log.warning("%s is set, and no traces are sent (%s): install %s.", ENDPOINTS[0], error, PACKAGE)
        return None
    return Traces(exporter())

"""Spans only where an operator wants them, and nothing of a patient in them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from serving.traces import PACKAGE, Traces, open_traces

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.anyio


async def test_a_request_is_one_span_with_route_and_status_and_no_more(front):
    exporter = InMemorySpanExporter()
    built = front(traces=lambda environment: Traces(exporter, wait=False))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with built.client() as client:
        body = {"patient": {"age_years": 61}}
        await client.post("/predict?name=Jane", json=body, headers={"traceparent": parent})
        await client.get("/Jane_Doe", headers={"traceparent": "Jane"})
    first, unknown = exporter.get_finished_spans()
    assert (first.name, first.kind) == ("POST /predict", SpanKind.SERVER)
    assert dict(first.attributes) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
    }
    assert f"{first.context.trace_id:032x}" == parent.split("-")[1]
    assert first.end_time > first.start_time
    assert (unknown.name, unknown.parent) == ("GET none", None)
    assert "Jane" not in first.to_json() + unknown.to_json()
    assert first.resource.attributes["service.name"] == "resecta"


async def test_a_failure_of_the_service_marks_its_span(front, small):
    def fail(request: object) -> None:
        raise ValueError("61 years")

    exporter = InMemorySpanExporter()
    built = front(small(fail), traces=lambda environment: Traces(exporter, wait=False))
    async with built.client() as client:
        await client.post("/predict", json={"patient": {"age_years": 61}})
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert not span.events


def test_a_missing_package_is_named_and_stops_nothing(caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert open_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}) is None
    assert PACKAGE in caplog.text


def test_without_an_endpoint_no_socket_is_opened_by_anything_that_serving_imports():
    code = (
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        print('OPENED', event); sys.exit(3)\n"
        "sys.addaudithook(watch)\n"
        "import os\n"
        "import serving.service as service\n"
        "from serving.traces import open_traces\n"
        "assert open_traces(os.environ) is None\n"
        "service.Worker()\n"
        "assert not any(name.startswith('opentelemetry.exporter') for name in sys.modules)\n"
        "print('CLOSED')\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment |= {"PYTHONPATH": str(ROOT), "RESECTA_STORE": "/nowhere/at/all", "RESECTA_MODEL": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["CLOSED"], done.stdout + done.stderr

"""The service as it is started: processes, sockets and signals; without a model unless a test brings one."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.process import BENTOML_SERVE, ROOT, SERVE, Running, started

TOKEN = "a-long-random-text-of-32-letters"


@pytest.fixture(scope="module")
def exposed(tmp_path_factory) -> Iterator[Running]:
    """Two workers that listen on every address, with a token, started away from the project's folder."""
    folder = tmp_path_factory.mktemp("exposed")
    settings = {"RESECTA_HOST": "0.0.0.0", "RESECTA_TOKEN": TOKEN, "RESECTA_WORKERS": "2", "RESECTA_BENCH": "1"}
    with started(SERVE, folder, folder, **settings) as running:
        yield running


def test_without_a_model_it_stays_up_and_says_what_to_do(exposed):
    assert exposed.client.get("/livez").json() == {"status": "alive"}
    unready = exposed.client.get("/readyz")
    assert unready.status_code == 503
    (error,) = unready.json()["errors"]
    assert error["code"] == "no_registry"
    assert "resecta train --no-data" in error["message"]
    answer = exposed.client.post("/predict", json={"patient": {"age_years": 60}})
    assert (answer.status_code, answer.json()) == (503, unready.json())


def test_it_asks_for_the_token_on_every_address_but_two(exposed):
    with httpx.Client(base_url=exposed.client.base_url) as stranger:
        for path in ("/", "/docs", "/metrics", "/openapi.json", "/nothing", "/constant"):
            assert stranger.get(path).status_code == 401
        assert stranger.get("/livez").status_code == 200
        assert stranger.get("/readyz").status_code == 503
    assert exposed.client.get("/docs").status_code == 200


@pytest.mark.parametrize("path", ["/docs.json", "/schema.json", "/healthz", "/static_content/index.css", "/assets/x"])
def test_no_route_of_bentoml_is_reachable(exposed, path):
    refused = exposed.client.get(path)
    assert refused.status_code == 404
    assert refused.json()["errors"][0]["code"] == "no_such_route"


def test_the_index_is_ours_and_loads_nothing_from_elsewhere(exposed):
    index = exposed.client.get("/")
    assert "googletagmanager" not in index.text
    assert "default-src 'none'" in index.headers["content-security-policy"]


def test_metrics_sum_over_the_workers(exposed):
    def count() -> float:
        found = re.search(
            r'resecta_requests_total\{route="/constant",status="200"\} (\S+)', exposed.client.get("/metrics").text
        )
        return float(found[1]) if found else 0.0

    before = count()
    for _ in range(40):
        # A connection each, so that both workers take some.
        httpx.post(f"{exposed.client.base_url}/constant", headers=dict(exposed.client.headers))
    assert count() == before + 40
    assert len(exposed.workers) == 2
    assert "resecta_ready 0.0" in exposed.client.get("/metrics").text


def test_workers_run_on_uvloop_and_httptools(exposed):
    for worker in exposed.workers:
        assert {"uvloop", "httptools"} <= {part for m in worker.memory_maps() for part in Path(m.path).parts}


def test_a_body_without_end_is_refused_and_not_kept(exposed):
    def resident() -> int:
        return sum(p.memory_info().rss for p in exposed.workers)

    exposed.client.post("/predict", content=b"x")
    before = resident()
    host, port = exposed.client.base_url.host, exposed.client.base_url.port
    for _ in range(4):
        with socket.create_connection((host, port), timeout=20) as raw:
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            raw.sendall(f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
            try:
                for _ in range(800):
                    raw.sendall(chunk)
                pytest.fail("50 MB were taken")
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert resident() - before < 30 * 1024 * 1024
    assert exposed.client.get("/livez").status_code == 200


def test_what_is_asked_is_not_in_the_log(exposed):
    exposed.client.get("/Jane_Doe", params={"name": "Jane"})
    exposed.client.post("/predict", json={"patient": {"Jane": "Doe"}})
    exposed.client.post("/predict?name=Jane", content=b"{Jane")
    assert "Jane" not in exposed.log.read_text()


def test_bentoml_serve_answers_on_loopback_alone_by_itself(tmp_path, bundle):
    with started(BENTOML_SERVE, tmp_path, ROOT, RESECTA_MODEL=str(bundle)) as running:
        assert running.client.get("/readyz").status_code == 200
        answer = running.client.post("/predict", json={"patient": {"age_years": 60}})
        assert len(answer.json()["regimens"]) == 20
        deep = running.client.post("/predict", content=b"[" * 10_000, headers={"content-type": "application/json"})
        assert deep.status_code == 400
        family = [running.process, *running.process.children(recursive=True)]
        listening = {c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}


def refused_start(command: tuple[str, ...], **environment: str) -> subprocess.CompletedProcess[str]:
    everything = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=ROOT, env=everything, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", [SERVE, BENTOML_SERVE])
def test_it_does_not_start_beyond_loopback_without_a_token(command):
    ended = refused_start(command, RESECTA_HOST="0.0.0.0")
    assert ended.returncode != 0
    assert "RESECTA_TOKEN is not set" in ended.stdout + ended.stderr


def test_a_port_that_is_taken_is_named(exposed):
    port = str(exposed.client.base_url.port)
    ended = refused_start(SERVE, RESECTA_PORT=port)
    assert ended.returncode != 0
    assert f"port {port}" in ended.stderr
    assert "RESECTA_PORT" in ended.stderr

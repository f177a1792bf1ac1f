"""The guards of a running service: tokens made and withdrawn under it, hostile bodies, its log, and what it loads."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.access import Role
from serving.gate import LARGEST_BODY, LARGEST_OF_ONE
from serving.tokens import FILE, TokenFile
from tests.serving.process import ROOT, SERVE, Running, started

PATIENT = {"patient": {"age_years": 61}}
JSON = {"content-type": "application/json"}

#: What may not be in the memory of a process that answers: it validates nothing by suites, draws nothing, trains
#: nothing and keeps no registry.
NOT_LOADED = ("great_expectations", "matplotlib", "mlflow", "pandas", "pyarrow", "sklearn", "statsmodels", "IPython")

#: Run by Python at the start of each process of the service.
LEAVE_MODULES = """
import os, signal, sys

def leave(number, frame):
    path = os.path.join(os.environ["LEAVE_MODULES"], f"{os.getpid()}.modules")
    with open(f"{path}.draft", "w") as file:
        file.write("\\n".join([" ".join(sys.orig_argv), *sorted(sys.modules)]))
    os.rename(f"{path}.draft", path)

signal.signal(signal.SIGUSR1, leave)
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> Path:
    """Folder in which a process of the service leaves the names of its modules when it is sent SIGUSR1."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "sitecustomize.py").write_text(LEAVE_MODULES)
    return folder


@pytest.fixture(scope="module")
def token(tmp_path_factory) -> tuple[Path, str]:
    """A folder for a service whose store holds one administrator's token, and the token."""
    folder = tmp_path_factory.mktemp("guarded")
    return folder, TokenFile(folder / "store" / FILE).create("chief", [Role.ADMIN])


@pytest.fixture(scope="module")
def guarded(token, bundle, modules) -> Iterator[Running]:
    """Two workers on every address, with a model, opened by the token file alone."""
    folder, secret = token
    wanted = {"RESECTA_HOST": "0.0.0.0", "RESECTA_WORKERS": "2", "RESECTA_MODEL": str(bundle)}
    found = {"PYTHONPATH": f"{ROOT}{os.pathsep}{modules}", "LEAVE_MODULES": str(modules)}
    with started(SERVE, folder, folder, **wanted, **found) as running:
        running.client.headers["authorization"] = f"Bearer {secret}"
        yield running


def ask(running: Running, secret: str) -> set[int]:
    """Ask on connections of their own, so that both workers are met; return the statuses."""
    shown = {"authorization": f"Bearer {secret}"}
    return {
        httpx.post(f"{running.client.base_url}/predict", json=PATIENT, headers=shown).status_code for _ in range(12)
    }


def test_a_token_works_and_ends_in_all_workers_without_a_restart(guarded, token):
    kept = TokenFile(token[0] / "store" / FILE)
    secret = kept.create("board", [Role.PREDICT])
    assert ask(guarded, secret) == {200}
    shown = {"authorization": f"Bearer {secret}"}
    assert httpx.get(f"{guarded.client.base_url}/metrics", headers=shown).status_code == 403
    kept.revoke("board")
    assert ask(guarded, secret) == {401}


def test_each_request_is_a_line_of_json_with_its_prediction_and_without_its_patient(guarded):
    answer = guarded.client.post("/predict?name=Jane", json={"patient": {"age_years": 61, "albumin_g_l": 41.7}})
    guarded.client.post("/predict", json={"patient": {"Jane": "Doe", "albumin_g_l": "41.7"}})
    time.sleep(0.2)
    text = guarded.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith('{"time"') and '"route"' in line]
    (named,) = [line for line in lines if line.get("prediction") == answer.json()["prediction_id"]]
    assert (named["route"], named["status"], named["caller"]) == ("/predict", 200, "chief")
    assert named["model"] == answer.json()["model"]["version"]
    assert 0 < named["ms"] < 5000
    assert "Jane" not in text and "41.7" not in text


def resident(running: Running) -> int:
    return sum(worker.memory_info().rss for worker in running.workers)


def hostile_bodies() -> dict[str, tuple[bytes, set[int]]]:
    return {
        "too large": (b" " * (LARGEST_BODY + 1), {413}),
        "too large for one": (b" " * (LARGEST_OF_ONE + 1), {413}),
        "deep lists": (b"[" * 10_000 + b"]" * 10_000, {400}),
        "deep objects": (b'{"patient":' * 10_000 + b"1" + b"}" * 10_000, {400}),
        "deep and unfinished": (b'{"a":[' * 10_000, {400}),
        "no json": (b"{'patient'", {400}),
        "no utf-8": (b'{"patient": "\xff\xfe"}', {400}),
        "lone surrogate": (b'{"patient": {"sex": "\\ud800"}}', {400, 422}),
        "long number": (b'{"patient": {"age_years": ' + b"9" * 500_000 + b"}}", {400, 422}),
        "many names": (json.dumps({"patient": {f"n{n}": n for n in range(60_000)}}).encode(), {422}),
        "many patients": (b'{"patients": [' + b"{}," * 300_000 + b"{}]}", {422}),
        "same name": (b'{"patient": {' + b'"sex": 1,' * 100_000 + b'"sex": 1}}', {422}),
        "one long text": (b'{"patient": {"sex": "' + b"x" * 1_000_000 + b'"}}', {422}),
        "nothing": (b"", {400}),
        "nulls": (b"\x00" * 100_000, {400}),
    }


@pytest.mark.parametrize("name", list(hostile_bodies()))
def test_a_hostile_body_is_refused_in_words(guarded, name):
    body, statuses = hostile_bodies()[name]
    for path in ("/predict", "/predict_batch"):
        refused = guarded.client.post(path, content=body, headers=JSON)
        fits = len(body) <= (LARGEST_BODY if path == "/predict_batch" else LARGEST_OF_ONE)
        # Spaces alone are an empty body where they fit.
        assert refused.status_code in ((statuses - {413} or {400}) if fits else {413}), refused.text[:300]
        assert all(set(error) == {"field", "code", "message"} for error in refused.json()["errors"])
        assert len(refused.content) < 400_000


def test_memory_stays_bounded_under_hostile_bodies(guarded):
    bodies = [body for body, _ in hostile_bodies().values()]

    def round_of_all() -> None:
        for body in bodies:
            guarded.client.post("/predict_batch", content=body, headers=JSON)
        time.sleep(0.3)  # within the rate

    round_of_all()
    round_of_all()
    before = resident(guarded)
    for _ in range(5):
        round_of_all()
    assert resident(guarded) - before < 40 * 1024 * 1024


def test_a_hundred_bodies_that_come_byte_by_byte_hold_up_nobody_and_are_given_up(guarded, token):
    address = guarded.client.base_url.host, guarded.client.base_url.port
    head = (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token[1]}\r\nContent-Type: application/json\r\n"
    )
    time.sleep(2)  # a whole burst
    before = resident(guarded)
    slow = []
    for n in range(100):
        made = socket.create_connection(address, timeout=20)
        made.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        slow.append(made)
        if n % 25 == 24:
            time.sleep(0.5)
    started_at = time.monotonic()
    took = []
    while time.monotonic() - started_at < 3:
        for made in slow:
            made.sendall(b" ")
        began = time.perf_counter()
        assert guarded.client.get("/livez").status_code == 200
        assert guarded.client.post("/predict", json=PATIENT).status_code == 200
        took.append(time.perf_counter() - began)
        time.sleep(0.2)
    assert sorted(took)[len(took) // 2] < 1.0
    assert resident(guarded) - before < 30 * 1024 * 1024
    assert slow[0].recv(4096).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started_at < 20
    for made in slow:
        made.close()


def test_a_caller_beyond_the_rate_is_told_so_by_a_running_service(guarded, token):
    secret = TokenFile(token[0] / "store" / FILE).create("script", [Role.PREDICT])
    shown = {"authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=guarded.client.base_url, headers=shown) as client:
        answers = [client.get("/livez" if n == 0 else "/model") for n in range(260)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and int(refused[0].headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers} == {200, 429}
    time.sleep(1.5)
    assert re.search(r'resecta_refusals_total\{code="rate_exceeded"\}', guarded.client.get("/metrics").text)


def test_a_worker_that_answered_has_loaded_nothing_that_only_training_needs(guarded, modules):
    assert guarded.client.post("/predict", json=PATIENT).status_code == 200
    assert guarded.client.post("/predict_batch", json={"patients": [PATIENT["patient"]]}).status_code == 200
    worker = guarded.workers[0]
    left = modules / f"{worker.pid}.modules"
    worker.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 10
    while not left.exists():
        assert time.monotonic() < deadline
        guarded.client.get("/livez")
        time.sleep(0.05)
    command, *names = left.read_text().splitlines()
    assert "worker.service" in command and "serving.gate" in names
    loaded = {name.partition(".")[0] for name in names}
    assert not loaded & set(NOT_LOADED), loaded & set(NOT_LOADED)

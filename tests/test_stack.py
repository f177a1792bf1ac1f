"""What `make run` promises: everything starts, a second start skips, and nothing is left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

import stack

ROOT = Path(stack.__file__).parent
STUBS = str(ROOT / "tests" / "stub_commands.py")
LAUNCH = f"""
import sys, processes, stack
processes.STOP_WITHIN = 0.5
sys.exit(stack.main((sys.executable, {STUBS!r}, "resecta"), (sys.executable, {STUBS!r}, "mlflow")))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Launched:
    """A stack in a process of its own, with a store of its own; of stubs, unless a command says otherwise."""

    def __init__(self, store: Path, command: Sequence[str] = ("-c", LAUNCH), **environment: str) -> None:
        self.store = store
        self.environment = os.environ | {
            "RESECTA_STORE": str(store),
            "RESECTA_PORT": str(free_port()),
            "RESECTA_MLFLOW_PORT": str(free_port()),
            **environment,
        }
        self.output = store.with_suffix(".out")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command], env=self.environment, cwd=ROOT, stdout=output, stderr=output
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.said():
            assert time.monotonic() < deadline and self.process.poll() is None, self.said()
            time.sleep(0.05)

    def end(self, number: int | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def calls(self) -> list[str]:
        return [line.split()[1] for line in (self.store / "calls.txt").read_text().splitlines()]

    def alive(self) -> list[int]:
        pids = {int(line) for line in (self.store / "pids.txt").read_text().splitlines()}
        # A zombie has ended; that it is listed still is for the machine's first process to mend.
        living = (each for each in psutil.process_iter(["status"]) if each.info["status"] != "zombie")
        return [each.pid for each in living if each.pid in pids]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[object]:
    launched: list[Launched] = []

    def start(**environment: str) -> Launched:
        launched.append(Launched(tmp_path / "store", **environment))
        return launched[-1]

    yield start
    for each in launched:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)


def test_a_first_start_makes_everything_in_order_and_says_where_it_answers(launch):
    run = launch()
    run.wait_for("Ctrl-C stops everything")
    assert run.calls() == ["train", "serve", "server", "simulate", "validate", "train"]
    address = f"http://127.0.0.1:{run.environment['RESECTA_PORT']}"
    assert f"curl -s {address}/predict" in run.said()
    assert urllib.request.urlopen(f"{address}/readyz", timeout=5).status == 200
    assert run.said().index("curl") < run.said().index("Simulating"), "the first answer waits for no training"
    assert run.end(signal.SIGINT) == 0


def test_a_second_start_only_starts_what_answers(launch):
    first = launch()
    first.wait_for("Ctrl-C stops everything")
    first.end(signal.SIGINT)
    (first.store / "calls.txt").unlink()
    second = launch()
    second.wait_for("Ctrl-C stops everything")
    assert second.calls() == ["serve", "server"]


def test_a_changed_registry_is_validated_and_trained_again(launch):
    first = launch()
    first.wait_for("Ctrl-C stops everything")
    first.end(signal.SIGINT)
    (first.store / "calls.txt").unlink()
    (first.store / "registry.csv").write_text("another registry\n")
    second = launch()
    second.wait_for("Ctrl-C stops everything")
    assert second.calls() == ["serve", "server", "validate", "train"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_process_behind_not_even_one_that_ignores_it(launch, number):
    run = launch()
    run.wait_for("Ctrl-C stops everything")
    assert len(run.alive()) == 4
    assert run.end(number) == 0
    assert run.alive() == []


def test_a_service_that_dies_is_named_with_the_end_of_its_log_and_all_is_stopped(launch):
    run = launch()
    run.wait_for("Ctrl-C stops everything")
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{run.environment['RESECTA_PORT']}/die", timeout=5)
    assert run.end() == 1
    assert "service stopped by itself with status 3" in run.said()
    assert "| out of liver" in run.said()
    assert run.alive() == []


def test_a_step_that_fails_is_named_and_all_is_stopped(launch):
    run = launch(STUB_FAIL="validate")
    assert run.end() == 1
    assert "validate cannot go on" in run.said()
    assert "Ended with status 1" in run.said() and "validate" in run.said().splitlines()[-1]
    assert run.alive() == []


def test_a_failed_simulation_leaves_no_registry_to_be_taken_for_whole(launch):
    run = launch(STUB_FAIL="simulate")
    assert run.end() == 1
    assert not (run.store / "registry.csv").exists()


def test_a_busy_port_is_named_with_the_variable_that_moves_it(launch):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        run = launch(RESECTA_MLFLOW_PORT=str(port))
        assert run.end() == 2
    assert f"Port {port} (RESECTA_MLFLOW_PORT) is in use" in run.said()


def test_two_stacks_run_side_by_side_but_not_in_one_store(launch, tmp_path):
    one = launch()
    one.wait_for("Ctrl-C stops everything")
    in_its_store = launch()
    assert in_its_store.end() == 2
    assert "RESECTA_STORE" in in_its_store.said()
    beside = Launched(tmp_path / "other")
    beside.wait_for("Ctrl-C stops everything")
    assert one.process.poll() is None
    assert beside.end(signal.SIGTERM) == 0


def test_every_wrong_setting_is_reported_at_once():
    with pytest.raises(stack.Refused) as refusal:
        stack.Settings.read(
            {
                "RESECTA_PORT": "eighty",
                "RESECTA_MLFLOW_PORT": "70000",
                "RESECTA_REGISTRY": "/no/such/registry.csv",
                "RESECTA_PATIENTS": "-5",
            }
        )
    for variable in ("RESECTA_PORT", "RESECTA_MLFLOW_PORT", "RESECTA_REGISTRY", "RESECTA_PATIENTS"):
        assert variable in str(refusal.value)


def test_the_page_address_is_one_a_browser_can_open():
    assert stack.Settings(host="0.0.0.0").address == "http://127.0.0.1:3000"
    assert stack.Settings(host="::1").address == "http://[::1]:3000"


def test_what_is_registered_is_read_as_mlflow_itself_wrote_it(tmp_path):
    from mlflow import MlflowClient

    assert stack.registered(tmp_path) == ({}, frozenset())
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    for name in (stack.MODEL, "another"):
        client.create_registered_model(name)
        client.create_model_version(name, source=str(tmp_path))
    client.create_model_version(stack.MODEL, source=str(tmp_path))
    client.set_registered_model_alias(stack.MODEL, "challenger", "2")
    client.set_registered_model_alias("another", "champion", "1")
    assert stack.registered(tmp_path) == ({"challenger": 2}, frozenset({1, 2}))


def test_a_store_that_is_no_database_counts_as_empty(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database")
    assert stack.registered(tmp_path) == ({}, frozenset())


def test_the_example_patient_is_one_the_specification_knows():
    import features

    specification = features.load_specification()
    example = json.loads(stack.EXAMPLE.read_text())
    assert set(example["patient"]) <= set(specification.fields)


@pytest.mark.slow
def test_the_real_stack_predicts_compares_and_stops(tmp_path):
    run = Launched(tmp_path / "store", ["-m", "resecta", "up"], RESECTA_PATIENTS="600")
    try:
        run.wait_for("A prediction", 120)
        request = urllib.request.Request(
            f"http://127.0.0.1:{run.environment['RESECTA_PORT']}/predict",
            data=stack.EXAMPLE.read_bytes(),
            headers={"content-type": "application/json"},
        )
        answer = json.load(urllib.request.urlopen(request, timeout=10))
        asked = json.loads(stack.EXAMPLE.read_text())["regimens"]
        assert [{key: regimen[key] for key in asked[0]} for regimen in answer["regimens"]] == asked
        run.wait_for("Ctrl-C stops everything", 400)
        page = f"http://127.0.0.1:{run.environment['RESECTA_MLFLOW_PORT']}/"
        assert b"<title>MLflow</title>" in urllib.request.urlopen(page, timeout=10).read()
        aliases, versions = stack.registered(run.store)
        assert aliases["champion"] != aliases["challenger"] and len(versions) == 2
        family = psutil.Process(run.process.pid).children(recursive=True)
    finally:
        run.end(signal.SIGINT)
    assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]

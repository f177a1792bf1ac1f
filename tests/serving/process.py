"""The service as a process, for tests: started, reached, and stopped without a trace."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = "import os, sys; from serving.launch import serve; from serving.settings import Settings; "
LAUNCH += "sys.exit(serve(Settings.from_environment(os.environ)))"
SERVE = (sys.executable, "-c", LAUNCH)
BENTOML_SERVE = (sys.executable, "-m", "bentoml", "serve", "serving.service:Resecta")


@dataclass
class Running:
    """A started service: how to reach it, and what it wrote."""

    client: httpx.Client
    process: psutil.Process
    log: Path

    @property
    def workers(self) -> list[psutil.Process]:
        return [p for p in self.process.children(recursive=True) if "worker.service" in " ".join(p.cmdline())]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: tuple[str, ...], folder: Path, cwd: Path, **environment: str) -> Iterator[Running]:
    """Run a service in a block, and stop it as a terminal would: nothing may be left of it."""
    port = free_port()
    # Our own start makes its home and takes it away again.
    found = {"PYTHONPATH": str(ROOT)} if command == SERVE else {"BENTOML_HOME": str(folder / "store" / "bentoml")}
    own = {"RESECTA_PORT": str(port), "TMPDIR": str(folder), "RESECTA_STORE": str(folder / "store")}
    inherited = {name: value for name, value in os.environ.items() if name != "BENTOML_HOME"}
    everything = {**inherited, **found, **own, **environment}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, env=everything, stdout=output, stderr=output)
    headers = {"authorization": f"Bearer {environment['RESECTA_TOKEN']}"} if "RESECTA_TOKEN" in environment else {}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
            deadline = time.monotonic() + 60
            while True:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                try:
                    client.get("/livez")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield Running(client, psutil.Process(process.pid), log)
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert not psutil.wait_procs(family, timeout=10)[1], "a process outlived the service"
    assert {path.name for path in folder.iterdir()} <= {"log", "store"}, "the service left files behind"

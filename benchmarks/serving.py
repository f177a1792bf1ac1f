"""Latency of `POST /predict` beside what surrounds it: python -m benchmarks.serving

Starts the service of the current settings (RESECTA_MODEL, RESECTA_STORE) with its ledger and its own constant endpoint;
a BentoML service that answers a constant; `mlflow models serve` on the same model, which answers each outcome for one
regimen; and a bare server that answers fixed bytes. At the end, where the time goes within one answer, beside bare
booster calls (benchmarks.inside). All are asked in turns within one run, so that a busy machine
slows each alike. Ratios hold across machines, milliseconds do not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop

from serving.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SERVE = (
    "import os, sys; from serving.launch import serve; from serving.settings import Settings; "
    "sys.exit(serve(Settings.from_environment(os.environ)))"
)
FLOOR, MLFLOW = "BentoML constant endpoint", "mlflow models serve"
BARE_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Connection(asyncio.Protocol):
    """One kept-alive connection that sends a request and waits for the whole answer, and parses no more."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.end = -1
        self.answered: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.end < 0:
            head = self.buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            headers = bytes(self.buffer[:head]).lower()
            at = headers.index(b"content-length:") + len(b"content-length:")
            self.end = head + 4 + int(headers[at:].split(b"\r\n", 1)[0])
        if len(self.buffer) >= self.end and self.answered is not None:
            status = int(self.buffer[9:12])
            self.buffer.clear()
            self.end = -1
            self.answered.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(error or ConnectionResetError("the server closed the connection"))

    async def ask(self, request: bytes) -> int:
        self.answered = asyncio.get_running_loop().create_future()
        assert self.transport is not None
        self.transport.write(request)
        return await self.answered


@dataclass
class Target:
    """What is asked, and what was measured: seconds of each answer, and the time that all took."""

    name: str
    port: int
    requests: list[bytes]
    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    failed: int = 0

    async def round(self, requests: int, concurrency: int, keep: bool) -> None:
        loop = asyncio.get_running_loop()
        made = [loop.create_connection(Connection, "127.0.0.1", self.port) for _ in range(concurrency)]
        connections = await asyncio.gather(*made)

        async def client(connection: Connection) -> None:
            for step in range(max(requests // concurrency, 1)):
                started = time.perf_counter()
                status = await connection.ask(self.requests[step % len(self.requests)])
                if keep:
                    self.seconds.append(time.perf_counter() - started)
                    self.failed += status != 200

        started = time.perf_counter()
        await asyncio.gather(*(client(connection) for _, connection in connections))
        if keep:
            self.elapsed += time.perf_counter() - started
        for transport, _ in connections:
            transport.close()

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Bare(asyncio.Protocol):
    """Answers fixed bytes to whatever comes; requests here fit one segment."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(BARE_ANSWER)


async def bare(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port)
    await server.serve_forever()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[None]:
    # A file, for the service writes a line a request; a terminal or a pipe would be measured as well.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            # MLflow looks for uvicorn on the path.
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_for(address: str, seconds: float = 60) -> tuple[int, str]:
    """Return the first answer of an address, be it a refusal."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def post(path: str, body: object, token: str | None) -> bytes:
    content = json.dumps(body).encode()
    secret = f"authorization: Bearer {token}\r\n" if token else ""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{secret}content-type: application/json\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


async def measure(targets: list[Target], requests: int, rounds: int, concurrency: int) -> None:
    for target in targets:
        await target.round(max(requests // 10, concurrency), concurrency, keep=False)
    for _ in range(rounds):
        for target in targets:
            await target.round(requests // rounds, concurrency, keep=True)


def report(targets: list[Target], concurrency: int) -> None:
    floors = [target for target in targets if target.name in (FLOOR, MLFLOW)]
    print(f"\nconcurrency {concurrency}, {len(targets[-1].seconds)} requests each")
    heads = "".join(f"{name:>16}" for name in ("p50 / BentoML", "rate / mlflow"))
    print(f"{'':26}{'p50 ms':>9}{'p99 ms':>9}{'a second':>10}{heads}")
    by_name = {target.name: target for target in floors}
    for target in targets:
        p50, p99 = target.quantile(0.5), target.quantile(0.99)
        rate = len(target.seconds) / target.elapsed
        floor, other = by_name.get(FLOOR), by_name.get(MLFLOW)
        first = f"{p50 / floor.quantile(0.5):16.2f}" if floor else f"{'-':>16}"
        second = f"{rate / (len(other.seconds) / other.elapsed):16.1f}" if other else f"{'-':>16}"
        print(f"{target.name:26}{p50:9.3f}{p99:9.3f}{rate:10.0f}{first}{second}", end="")
        print(f"   {target.failed} FAILED" if target.failed else "")


def varied(everything: dict[str, object]) -> list[dict[str, object]]:
    """The example and patients like it, so that no cache of single values is measured."""
    patient = everything["patient"]
    assert isinstance(patient, dict)
    numbers = [name for name, value in patient.items() if isinstance(value, int) and not isinstance(value, bool)]
    return [
        {**everything, "patient": {**patient, **{name: patient[name] + step % 7 for name in numbers}}}
        for step in range(7)
    ]


def mlflow_row(store: str) -> dict[str, object]:
    """The registered model's own example, as `mlflow models serve` takes it."""
    from features import load_specification
    from training.registration import input_example

    row = input_example(load_specification()).iloc[0]
    return {"dataframe_split": {"columns": list(row.index), "data": [row.tolist()]}}


def main() -> int:
    arguments = argparse.ArgumentParser(description="Latency of POST /predict and of what surrounds it.")
    arguments.add_argument("--requests", type=int, default=2000, help="of each target at each concurrency")
    arguments.add_argument("--rounds", type=int, default=10, help="turns that the targets take")
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 64])
    arguments.add_argument("--no-mlflow", action="store_true", help="leave out `mlflow models serve`")
    chosen = arguments.parse_args()

    settings = Settings.from_environment(os.environ)
    port, bento, bare_port, mlflow = (free_port() for _ in range(4))
    example = json.loads((ROOT / "examples" / "patient.json").read_text())
    everything = {key: value for key, value in example.items() if key != "regimens"}
    single = {**example, "regimens": example["regimens"][:1]}
    bare_server = f"import uvloop; from benchmarks.serving import bare; uvloop.run(bare({bare_port}))"
    address = f"sqlite:///{settings.store / 'mlflow.db'}"
    with ExitStack() as started:
        ours = {"RESECTA_PORT": str(port), "RESECTA_HOST": "127.0.0.1", "RESECTA_BENCH": "1"}
        started.enter_context(running("-c", SERVE, **ours, RESECTA_RATE="0"))
        started.enter_context(running("-c", bare_server))
        serve = ("-m", "bentoml", "serve", "benchmarks.constant:Constant", "--port", str(bento))
        started.enter_context(running(*serve, "--host", "127.0.0.1"))
        status, reason = wait_for(f"http://127.0.0.1:{port}/readyz")
        wait_for(f"http://127.0.0.1:{bento}/livez")
        if not chosen.no_mlflow:
            answer = ("-m", "mlflow", "models", "serve", "-m", settings.model, "--env-manager", "local")
            place = ("--host", "127.0.0.1", "--port", str(mlflow), "--workers", str(settings.workers))
            started.enter_context(running(*answer, *place, MLFLOW_TRACKING_URI=address, MLFLOW_REGISTRY_URI=address))
            wait_for(f"http://127.0.0.1:{mlflow}/ping", 180)
        if status != 200:
            print(f"The service is not ready, so /predict is not measured: {reason}")
        for concurrency in chosen.concurrency:
            targets = [
                Target("bare server", bare_port, [post("/constant", everything, None)]),
                Target("our constant endpoint", port, [post("/constant", everything, settings.token)]),
                Target(FLOOR, bento, [post("/constant", {"patient": everything["patient"]}, None)]),
            ]
            if not chosen.no_mlflow:
                targets.append(Target(MLFLOW, mlflow, [post("/invocations", mlflow_row(address), None)]))
            if status == 200:
                single_requests = [post("/predict", body, settings.token) for body in varied(single)]
                all_requests = [post("/predict", body, settings.token) for body in varied(everything)]
                targets.append(Target("predict, 1 regimen", port, single_requests))
                targets.append(Target("predict, all 20 regimens", port, all_requests))
            uvloop.run(measure(targets, chosen.requests, chosen.rounds, concurrency))
            report(targets, concurrency)
    if status == 200:
        subprocess.run([sys.executable, "-m", "benchmarks.inside"], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Latency of `POST /predict` beside what surrounds it: python -m benchmarks.serving

Starts the service of the current settings (RESECTA_MODEL, RESECTA_STORE) with its constant endpoint, and a bare
server that answers fixed bytes, and asks all of them in turns within one run, so that a busy machine slows each
alike. The bare server shows what client, kernel and loop cost: no row can be faster. Ratios hold across
machines, milliseconds do not.
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
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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
    request: bytes
    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    failed: int = 0

    async def round(self, requests: int, concurrency: int, keep: bool) -> None:
        loop = asyncio.get_running_loop()
        made = [loop.create_connection(Connection, "127.0.0.1", self.port) for _ in range(concurrency)]
        connections = await asyncio.gather(*made)

        async def client(connection: Connection) -> None:
            for _ in range(requests // concurrency):
                started = time.perf_counter()
                status = await connection.ask(self.request)
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
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
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
    constant = next(target for target in targets if target.name == "constant endpoint")
    print(f"\nconcurrency {concurrency}, {len(constant.seconds)} requests each")
    print(f"{'':24}{'p50 ms':>9}{'p99 ms':>9}{'a second':>10}{'p50 ratio':>11}{'p99 ratio':>11}")
    for target in targets:
        p50, p99 = target.quantile(0.5), target.quantile(0.99)
        ratios = p50 / constant.quantile(0.5), p99 / constant.quantile(0.99)
        rate = len(target.seconds) / target.elapsed
        print(f"{target.name:24}{p50:9.3f}{p99:9.3f}{rate:10.0f}{ratios[0]:11.2f}{ratios[1]:11.2f}", end="")
        print(f"   {target.failed} FAILED" if target.failed else "")


def main() -> int:
    arguments = argparse.ArgumentParser(description="Latency of POST /predict and of what surrounds it.")
    arguments.add_argument("--requests", type=int, default=2000, help="of each target at each concurrency")
    arguments.add_argument("--rounds", type=int, default=10, help="turns that the targets take")
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 8])
    chosen = arguments.parse_args()

    settings = Settings.from_environment(os.environ)
    port, bare_port = free_port(), free_port()
    example = json.loads((ROOT / "examples" / "patient.json").read_text())
    everything = {key: value for key, value in example.items() if key != "regimens"}
    single = {**example, "regimens": example["regimens"][:1]}
    bare_server = f"import uvloop; from benchmarks.serving import bare; uvloop.run(bare({bare_port}))"

    with (
        running("-c", SERVE, RESECTA_PORT=str(port), RESECTA_HOST="127.0.0.1", RESECTA_BENCH="1"),
        running("-c", bare_server),
    ):
        status, reason = wait_for(f"http://127.0.0.1:{port}/readyz")
        requests = {
            "bare server": (bare_port, "/constant", everything),
            "constant endpoint": (port, "/constant", everything),
            "predict, 1 regimen": (port, "/predict", single),
            "predict, all regimens": (port, "/predict", everything),
        }
        if status != 200:
            print(f"The service is not ready, so /predict is not measured: {reason}")
        for concurrency in chosen.concurrency:
            targets = [
                Target(name, at, post(path, body, settings.token))
                for name, (at, path, body) in requests.items()
                if status == 200 or path != "/predict"
            ]
            uvloop.run(measure(targets, chosen.requests, chosen.rounds, concurrency))
            report(targets, concurrency)
    return 0


if __name__ == "__main__":
    sys.exit(main())

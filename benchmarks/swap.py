"""Champions changed under load: python -m benchmarks.swap

Makes a registry of two models with different known numbers and of one spoilt model of each kind, starts the service
on it, and moves the alias while eight connections ask without a pause. Every answer is compared with what the
version that it names says of the same patient: an answer that mixed two models would be found. Then the alias is
pointed at each spoilt model: the service must go on answering and say on `/readyz` what it refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

import mlflow
import psutil

from benchmarks.serving import ROOT, SERVE, free_port, post, running, wait_for
from features import Specification, load_specification
from serving.answer import Scorer
from serving.source import BUNDLE, DATABASE
from training.bundle import Manifest, OutcomeModel, PriorParameters, Support, TrainedOn, load_bundle, save_bundle
from training.bundle.manifest import seal
from training.evidence.committed import load_parameters

NAME, ALIAS = "resecta", "champion"
MOVED = 0.8  # log-odds between the two models, under every outcome


def change(folder: Path, name: str, how: Callable[[Any], None]) -> None:
    document = json.loads((folder / name).read_text("utf-8"))
    how(document)
    (folder / name).write_text(json.dumps(document), "utf-8")


def sealed(name: str, how: Callable[[Any], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        change(folder, name, how)
        seal(folder)

    return spoil


def unreadable(folder: Path) -> None:
    (folder / "support.json").write_text("{", "utf-8")
    seal(folder)


def unsound(prior: Any) -> None:
    for outcome in prior["outcomes"]:
        outcome["coefficients"][0]["mean"] = float("nan")


#: How a bundle is spoilt, by the code with which it must be refused.
SPOILT: dict[str, Callable[[Path], None]] = {
    "checksum": lambda folder: change(folder, "prior.json", lambda prior: prior.update(evidence_digest="1" * 64)),
    "foreign": sealed("manifest.json", lambda manifest: manifest.update(name="another")),
    "digest": sealed("manifest.json", lambda manifest: manifest.update(spec_digest="f" * 64)),
    "format": sealed("manifest.json", lambda manifest: manifest.update(format=99)),
    "malformed": unreadable,
    "missing": lambda folder: (folder / "checksums.json").unlink(),
    "smoke": sealed("prior.json", unsound),
    "no_bundle": shutil.rmtree,
}


def moved(parameters: PriorParameters, by: float) -> PriorParameters:
    outcomes = []
    for outcome in parameters.outcomes:
        first, *others = outcome.coefficients
        coefficients = (first.model_copy(update={"mean": first.mean + by}), *others)
        outcomes.append(outcome.model_copy(update={"coefficients": coefficients}))
    return parameters.model_copy(update={"outcomes": tuple(outcomes)})


def make(folder: Path, spec: Specification, by: float) -> Path:
    manifest = Manifest(
        name=NAME,
        learner="evidence",
        created="2026-01-01T00:00:00+00:00",
        code_version="benchmark",
        spec_digest=spec.digest,
        trained_on=TrainedOn(kind="evidence", text="Published studies alone.", data_digest="0" * 64),
        outcomes=tuple(OutcomeModel(outcome=n, learner="evidence") for n in spec.outcomes.names),
    )
    return save_bundle(folder, manifest, moved(load_parameters(), by), spec, Support())


def make_registry(store: Path, spec: Specification) -> tuple[Any, dict[str, Path]]:
    """Register two sound models as versions 1 and 2, and the spoilt ones after them."""
    address = f"sqlite:///{store / DATABASE}"
    client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
    client.create_registered_model(NAME)
    folders: dict[str, Path] = {}
    for kind, by in (("first", 0.0), ("second", MOVED), *((code, MOVED) for code in SPOILT)):
        folder = make(store / kind / BUNDLE, spec, by)
        if kind in SPOILT:
            SPOILT[kind](folder)
        version = client.create_model_version(NAME, (store / kind).as_uri()).version
        folders[str(version)] = folder
    client.set_registered_model_alias(NAME, ALIAS, "1")
    return client, folders


@dataclass
class Seen:
    """What the clients saw."""

    expected: dict[str, str]
    versions: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    seconds: list[float] = field(default_factory=list)
    latest: str = ""
    in_a_row: int = 0

    def add(self, status: int, body: bytes, seconds: float) -> None:
        self.seconds.append(seconds)
        if status != 200:
            self.failed[f"{status} {body[:80]!r}"] += 1
            return
        answer = json.loads(body)
        version = answer["model"]["version"]
        self.versions[version] += 1
        self.mixed += numbers(answer) != self.expected[version]
        self.in_a_row = self.in_a_row + 1 if version == self.latest else 1
        self.latest = version

    def quantile(self, share: float) -> float:
        return 1000 * sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def numbers(answer: Any) -> str:
    return json.dumps([[r["outcomes"], r["states"]] for r in answer["regimens"]], sort_keys=True)


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return int(head[9:12]), await reader.readexactly(length)


async def client_of(port: int, request: bytes, seen: Seen, over: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not over.is_set():
        started = time.perf_counter()
        try:
            status, body = await exchange(reader, writer, request)
        except (OSError, asyncio.IncompleteReadError) as error:
            seen.failed[type(error).__name__] += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        seen.add(status, body, time.perf_counter() - started)
    writer.close()


async def until(true: Callable[[], bool], seconds: float, what: str) -> float:
    started = time.perf_counter()
    while not true():
        if time.perf_counter() - started > seconds:
            raise SystemExit(f"waited {seconds:.0f} s in vain for {what}")
        await asyncio.sleep(0.02)
    return time.perf_counter() - started


async def readiness(port: int) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    status, body = await exchange(reader, writer, b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    writer.close()
    return status, json.loads(body)


def resident() -> int:
    """Bytes of the workers, which alone hold models."""
    family = psutil.Process().children(recursive=True)
    return sum(p.memory_info().rss for p in family if "worker.service" in " ".join(p.cmdline()))


async def measure(port: int, client: Any, request: bytes, seen: Seen, chosen: argparse.Namespace) -> None:
    over = asyncio.Event()
    clients = [asyncio.create_task(client_of(port, request, seen, over)) for _ in range(chosen.connections)]
    # As many answers in a row as make it near certain that every worker has changed.
    enough = 20 * chosen.workers * chosen.connections

    async def point(version: str) -> None:
        await asyncio.to_thread(client.set_registered_model_alias, NAME, ALIAS, version)

    await until(lambda: seen.in_a_row >= enough, 60, "the first answers")
    memory, waited = [resident()], []
    for i in range(chosen.swaps):
        version = "2" if i % 2 == 0 else "1"
        await point(version)
        waited.append(
            await until(lambda v=version: seen.latest == v and seen.in_a_row >= enough, 120, f"version {version}")
        )
        memory.append(resident())
    asked = len(seen.seconds)
    print(f"{chosen.swaps} changes of champion under {chosen.connections} connections, {chosen.workers} workers")
    print(f"  {asked} requests, {sum(seen.failed.values())} failed, {seen.mixed} mixed two models")
    print(f"  answers by version: {dict(seen.versions)}")
    print(f"  p50 {seen.quantile(0.5):.1f} ms, p99 {seen.quantile(0.99):.1f} ms, longest {seen.quantile(1):.0f} ms")
    print(f"  {min(waited):.1f} to {max(waited):.1f} s from the alias to the last worker")
    first, second, last = (memory[i] / 2**20 for i in (0, min(2, len(memory) - 1), -1))
    print(f"  memory of the workers: {first:.0f} MB, after 2 changes {second:.0f} MB, at the end {last:.0f} MB")

    before = len(seen.seconds)
    for number, code in enumerate(SPOILT, start=3):
        await point(str(number))
        found: Any = {}
        started = time.perf_counter()
        while found.get("refused", {}).get("code") != code:
            if time.perf_counter() - started > 60:
                raise SystemExit(f"{code} was not refused: {found}")
            await asyncio.sleep(0.2)
            status, found = await readiness(port)
            if status != 200:
                raise SystemExit(f"/readyz answers {status} after {code}")
        refused = found["refused"]
        print(f"  version {refused['version']} refused as {refused['code']}: {refused['reason'][:90]}")
    print(f"  {len(seen.seconds) - before} requests meanwhile, {sum(seen.failed.values())} failed in all; ", end="")
    print(f"answers by version: {dict(seen.versions)}")
    over.set()
    await asyncio.gather(*clients)


def main() -> int:
    arguments = argparse.ArgumentParser(description="Champions changed under load.")
    arguments.add_argument("--swaps", type=int, default=20)
    arguments.add_argument("--connections", type=int, default=8)
    arguments.add_argument("--workers", type=int, default=1)
    chosen = arguments.parse_args()
    spec = load_specification()
    example = json.loads((ROOT / "examples" / "patient.json").read_text())
    everything = {key: value for key, value in example.items() if key != "regimens"}
    profile = spec.flags.profiles[0]
    with tempfile.TemporaryDirectory(prefix="resecta-swap-") as folder:
        store = Path(folder)
        client, folders = make_registry(store, spec)
        expected = {}
        for version in ("1", "2"):
            scorer = Scorer(load_bundle(folders[version], spec), spec, version)
            request = {"patient": example["patient"], "regimens": None, "profile": profile}
            expected[version] = numbers(json.loads(json.dumps(scorer.answer(request))))
        seen, port = Seen(expected), free_port()
        settings = {
            "RESECTA_PORT": str(port),
            "RESECTA_HOST": "127.0.0.1",
            "RESECTA_STORE": str(store),
            "RESECTA_MODEL": f"models:/{NAME}@{ALIAS}",
            "RESECTA_WORKERS": str(chosen.workers),
            "RESECTA_TOKEN": "",
            "RESECTA_LOG": "off",
        }
        with running("-c", SERVE, **settings):
            deadline = time.monotonic() + 90
            while wait_for(f"http://127.0.0.1:{port}/readyz")[0] != 200:
                if time.monotonic() > deadline:
                    raise SystemExit(f"not ready: {wait_for(f'http://127.0.0.1:{port}/readyz')[1]}")
                time.sleep(0.2)
            asyncio.run(measure(port, client, post("/predict", everything, None), seen, chosen))
    for what, count in seen.failed.items():
        print(f"  failed {count} times: {what}")
    return 1 if seen.failed or seen.mixed or set(seen.versions) != {"1", "2"} else 0


if __name__ == "__main__":
    sys.exit(main())

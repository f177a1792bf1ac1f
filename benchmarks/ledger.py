"""What the ledger adds to an answer: python -m benchmarks.ledger [--folder FOLDER] [--seconds 3]

Writes answers of the size of a real one (20 regimens with all outcomes and flags) into ledgers of its own in a
folder of the disk that counts, from 1, 8 and 64 requests at once, once with each choice of `synchronous`, and takes
apart what one append consists of. Beside it stands a bare fsync of the same file system in the same run: on a busy
machine both wait alike, so read the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from features import Specification, load_specification
from serving.ledger import Ledger, Prediction
from serving.ledger.database import Synchronous
from serving.ledger.entry import digest_of
from serving.ledger.packing import pack

KEY = "benchmark" * 4
REQUEST = {"regimens": None, "profile": "eu"}


def answer(spec: Specification) -> dict[str, Any]:
    """An answer with invented numbers, of the size and repetition of a real one."""
    draw = np.random.default_rng(3)

    def part() -> dict[str, float]:
        low, middle, high = np.sort(draw.uniform(size=3)).round(4).tolist()
        return {"probability": middle, "low": low, "high": high}

    flags = [
        {"code": r.code, "severity": "caution", "status": "unknown", "text": r.text, "source": "A source. " * 4}
        for r in spec.flags.rules[:10]
    ]
    return {
        "prediction_id": "",
        "model": {"name": "resecta", "version": "12", "spec_digest": spec.digest, "flags_digest": spec.flags_digest},
        "assumed": [{"field": f.name, "label": f.label, "assumed": "the case mix"} for f in spec.asked[5:30]],
        "regimens": [
            {
                "backbone": r.backbone,
                "biologic": r.biologic,
                "planned_cycles": r.planned_cycles,
                "label": r.label,
                "support": {"level": "none", "effective_patients": 0, "text": "It rests on published evidence alone."},
                "outcomes": {name: part() for name in spec.outcomes.names},
                "states": {str(i): float(draw.uniform()) for i in range(3)},
                "flags": flags,
            }
            for r in spec.regimens.all()
        ],
    }


def timed(work: Callable[[], Any], times: int = 300) -> str:
    """Median and tenth percentile of one piece of work, in ms."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1e3)
    return f"p50 {statistics.median(taken):6.3f} ms   p10 {np.quantile(taken, 0.1):6.3f} ms"


def fsync(folder: Path, size: int) -> Callable[[], None]:
    """Overwrite and sync a file that does not grow, as a commit into the log does."""
    handle = os.open(folder / "fsync", os.O_CREAT | os.O_RDWR)
    os.write(handle, b"x" * size * 64)
    os.fsync(handle)
    place = iter(range(10**9))

    def work() -> None:
        os.pwrite(handle, b"y" * size, next(place) % 64 * size)
        os.fdatasync(handle)

    return work


async def at_once(
    ledger: Ledger, make: Callable[[], Prediction], requests: int, seconds: float, work: float = 0.0
) -> list[float]:
    """Seconds that each append took, with so many requests at once, each after so many seconds of Python's work."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        while time.perf_counter() < end:
            one = make()
            until = time.perf_counter() + work
            while time.perf_counter() < until:
                pass
            start = time.perf_counter()
            await ledger.append([one])
            taken.append(time.perf_counter() - start)

    await asyncio.gather(*(client() for _ in range(requests)))
    return taken


def measure(folder: Path, synchronous: Synchronous, make: Callable[[], Prediction], seconds: float) -> None:
    """Print the figures of one choice of `synchronous`."""
    import uvloop

    with Ledger(f"sqlite:///{folder / f'{synchronous}.db'}", KEY, synchronous=synchronous) as ledger:
        uvloop.run(at_once(ledger, make, 1, 0.5))
        for requests in (1, 8, 64):
            taken = np.array(uvloop.run(at_once(ledger, make, requests, seconds))) * 1e3
            p10, p50, p99 = np.quantile(taken, [0.1, 0.5, 0.99])
            print(
                f"synchronous={synchronous:6s} {requests:2d} at once: {len(taken) / seconds:7,.0f} entries/s   "
                f"p10 {p10:6.2f}   p50 {p50:6.2f}   p99 {p99:6.2f} ms"
            )


def beside_work(folder: Path, make: Callable[[], Prediction], seconds: float, work: float) -> None:
    """Print how many answers a second are left when each takes the event loop some work besides."""
    import uvloop

    with Ledger(f"sqlite:///{folder / 'work.db'}", KEY) as ledger:
        taken = uvloop.run(at_once(ledger, make, 8, seconds, work))
    print(f"8 at once, {work * 1e3:g} ms of work each: {len(taken) / seconds:5,.0f}/s of {1 / work:,.0f}/s without")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk that counts; a temporary one if absent")
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    spec = load_specification()
    whole = answer(spec)
    sent = json.dumps(whole, separators=(",", ":")).encode()
    patient = {f.name: 1 for f in spec.asked[:25]}

    def make() -> Prediction:
        return Prediction({**whole, "prediction_id": str(uuid.uuid4())}, sent, {**REQUEST, "patient": patient}, 5.0)

    folder = Path(tempfile.mkdtemp(prefix="ledger-", dir=asked.folder))
    try:
        payload = make().content().bytes()
        stored = pack(payload)
        print(f"answer {len(sent):,} bytes; stored {len(stored):,} bytes; load {os.getloadavg()[0]:.1f}")
        print("record      ", timed(lambda: make().content().bytes()))
        print("digest      ", timed(lambda: digest_of(payload)))
        print("compression ", timed(lambda: pack(payload)))
        print("bare fsync  ", timed(fsync(folder, 16384)))
        measure(folder, "full", make, asked.seconds)
        measure(folder, "normal", make, asked.seconds)
        beside_work(folder, make, asked.seconds, 0.002)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

"""The service killed under load, again and again: python -m benchmarks.killed --times 20

Eight connections ask for predictions while workers and supervisor are killed (SIGKILL) at a random moment. Afterwards
every prediction id that a client had received must be in the ledger, the chain must be whole, and the service must
start again on the same store. RESECTA_STORE must hold a champion; the ledger is made in a folder of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from benchmarks.serving import ROOT, SERVE, free_port, wait_for
from serving.ledger import open_ledger
from serving.ledger.verify import verify

CLIENTS = 8


async def load(port: int, body: bytes, received: list[str], until: asyncio.Event) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        while not until.is_set():
            try:
                answer = await client.post("/predict", content=body, headers={"content-type": "application/json"})
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                # Only a whole answer counts as received.
                received.append(json.loads(answer.content)["prediction_id"])


async def once(port: int, body: bytes, process: subprocess.Popen[bytes], seconds: float) -> list[str]:
    received: list[str] = []
    until = asyncio.Event()
    clients = [asyncio.create_task(load(port, body, received, until)) for _ in range(CLIENTS)]
    await asyncio.sleep(seconds)
    # The workers first: they are what answers.
    for one in (*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)):
        one.kill()
    until.set()
    await asyncio.gather(*clients)
    return received


def main() -> int:
    arguments = argparse.ArgumentParser(description="The service killed under load.")
    arguments.add_argument("--times", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=3)
    chosen = arguments.parse_args()
    body = json.dumps(json.loads((ROOT / "examples" / "patient.json").read_text())).encode()
    rng = random.Random(chosen.seed)
    acknowledged: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        ledger = {"RESECTA_LEDGER": f"sqlite:///{scratch}/ledger.db", "RESECTA_LEDGER_KEY": "k" * 64}
        for turn in range(chosen.times):
            port = free_port()
            environment = {**os.environ, **ledger, "RESECTA_PORT": str(port), "RESECTA_LOG": "off", "TMPDIR": scratch}
            began = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-c", SERVE],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            status, reason = wait_for(f"http://127.0.0.1:{port}/readyz")
            while status != 200 and time.monotonic() - began < 60:
                time.sleep(0.2)
                status, reason = wait_for(f"http://127.0.0.1:{port}/readyz")
            if status != 200:
                print(f"turn {turn + 1}: the service did not start again: {reason}")
                return 1
            slowest = max(slowest, time.monotonic() - began)
            acknowledged += asyncio.run(once(port, body, process, rng.uniform(0.3, 2.0)))
            process.wait()
        with open_ledger(ledger, Path(scratch), make=False) as opened:
            lost = [i for i in acknowledged if opened.get(i) is None]
            verdict = verify(opened.database, opened.key)
    whole = verdict.broken is None
    print(
        f"killed {chosen.times} times: {len(acknowledged):,} predictions acknowledged, {len(lost)} not in the ledger "
        f"of {verdict.entries:,}; chain {'whole' if whole else 'BROKEN'}; slowest start {slowest:.1f} s"
    )
    return 0 if whole and not lost else 1


if __name__ == "__main__":
    sys.exit(main())

"""Processes that are killed, and processes that write at the same time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.ledger import Kind, Ledger
from serving.ledger.verify import verify

ROOT = Path(__file__).resolve().parents[3]

#: Appends without end and says each id only once it is acknowledged.
WRITING = """
import asyncio, json, os, sys, uuid
from serving.ledger import Ledger, Prediction
url, key, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
ledger = Ledger(url, key)
async def one():
    written = 0
    while written < many:
        answer = {"prediction_id": str(uuid.uuid4()), "model": {"version": "1"}, "regimens": [], "text": "x" * 20000}
        sent = json.dumps(answer).encode()
        await ledger.append([Prediction(answer, sent, {"patient": {}}, 1.0)])
        os.write(1, (answer["prediction_id"] + "\\n").encode())
        written += 1
async def all():
    await asyncio.gather(*(one() for _ in range(8)))
asyncio.run(all())
ledger.close()
"""


def started(url, key, many=10**9):
    return subprocess.Popen(
        [sys.executable, "-c", WRITING, url, key, str(many)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def present(url, key) -> tuple[set[str], object]:
    with Ledger(url, key) as ledger:
        ids = {stored.id for stored in ledger.stored(Kind.PREDICTION)}
        return ids, verify(ledger.database, ledger.key).broken


def killed_in_the_act(url, key, acknowledged):
    process = started(url, key)
    lines = [process.stdout.readline() for _ in range(acknowledged)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    # A line that was cut short was not sent.
    return {line.strip() for line in lines if line.endswith("\n")}


def test_what_was_acknowledged_outlives_kill_9_and_the_chain_is_whole(file, key):
    url, acknowledged = f"sqlite:///{file}", set()
    for round in range(4):
        acknowledged |= killed_in_the_act(url, key, 20 + 15 * round)
        ids, broken = present(url, key)
        assert acknowledged <= ids
        assert broken is None


@pytest.mark.slow
def test_kill_9_twenty_times(file, key):
    url, acknowledged = f"sqlite:///{file}", set()
    for round in range(20):
        acknowledged |= killed_in_the_act(url, key, 10 + 7 * round)
        ids, broken = present(url, key)
        assert acknowledged <= ids
        assert broken is None


def test_two_processes_that_open_a_new_ledger_at_once_share_one_chain(file, key):
    url = f"sqlite:///{file}"
    both = [started(url, key, many=15) for _ in range(2)]
    acknowledged = {line.strip() for process in both for line in process.communicate(timeout=120)[0].splitlines()}
    assert [process.returncode for process in both] == [0, 0]
    assert len(acknowledged) == 2 * 8 * 15
    assert present(url, key) == (acknowledged, None)


def test_one_killed_beside_another_hinders_it_in_nothing(file, key):
    url = f"sqlite:///{file}"
    going = started(url, key, many=60)
    acknowledged = killed_in_the_act(url, key, 40)
    acknowledged |= {line.strip() for line in going.communicate(timeout=120)[0].splitlines()}
    assert going.returncode == 0
    ids, broken = present(url, key)
    assert acknowledged <= ids
    assert broken is None

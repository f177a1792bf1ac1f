"""The store's lock, with real processes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from training.lock import Locked, StoreLock

HOLD = """
import sys, time
from training.lock import StoreLock
with StoreLock(sys.argv[1], "retrain of ward data"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def _hold(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    job = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "held\n"
    return job


def test_a_second_job_is_told_who_holds_the_store(tmp_path: Path) -> None:
    job = _hold(tmp_path, 60)
    try:
        with pytest.raises(Locked) as refused, StoreLock(tmp_path, "promote"):
            pass
        assert f"retrain of ward data (process {job.pid} on {os.uname().nodename}, since 2" in str(refused.value)
        assert "--wait" in str(refused.value)
    finally:
        job.kill()
        job.wait()


def test_a_job_that_waits_takes_the_store_when_the_first_is_done(tmp_path: Path) -> None:
    job = _hold(tmp_path, 0.6)
    with StoreLock(tmp_path, "promote", wait=20) as lock:
        assert job.wait(timeout=20) == 0
        assert lock.left_by is None


def test_a_killed_job_lets_go_and_is_known_to_have_died(tmp_path: Path) -> None:
    job = _hold(tmp_path, 60)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    with StoreLock(tmp_path, "retrain") as lock:
        assert lock.left_by is not None
        assert lock.left_by.pid == job.pid


def test_a_job_may_call_what_locks_for_itself_and_keeps_the_store(tmp_path: Path) -> None:
    with StoreLock(tmp_path, "retrain"):
        with StoreLock(tmp_path, "promote"):
            pass
        outside = subprocess.run(
            [sys.executable, "-c", HOLD, str(tmp_path), "0"], capture_output=True, text=True, check=False
        )
        assert "held by retrain" in outside.stderr


def test_another_thread_of_the_same_process_is_another_job(tmp_path: Path) -> None:
    refused: list[str] = []

    def second() -> None:
        try:
            with StoreLock(tmp_path, "promote"):
                pass
        except Locked as error:
            refused.append(str(error))

    with StoreLock(tmp_path, "retrain"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert refused and "held by retrain" in refused[0]


def test_a_job_that_fails_lets_go(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ward"), StoreLock(tmp_path, "retrain"):
        raise RuntimeError("ward")
    with StoreLock(tmp_path, "retrain") as lock:
        assert lock.left_by is None

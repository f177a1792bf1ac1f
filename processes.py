"""Child processes that are watched together: when one dies by itself, or Ctrl-C comes, all are stopped."""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

#: Seconds: until a service must answer, on a slow and busy machine; for which it may answer that it is not
#: ready; until one that will not stop is killed.
READY_WITHIN = 180.0
UNREADY_FOR = 20.0
STOP_WITHIN = 15.0
POLL_EVERY = 0.1
MEET_EVERY = 1.0


class Failed(Exception):
    """A step or a service failed; the message says which, and what it last wrote."""


class Interrupted(Exception):
    """Ctrl-C, or a request to terminate."""


class Processes:
    """Steps that end and services that stay.

    Parameters
    ----------
    environment
        Of every child.
    logs
        An existing folder; a service writes to `<name>.log` in it.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.environment = environment
        self.logs = logs
        self.interrupted = False
        self._services: dict[str, subprocess.Popen[bytes]] = {}
        self._family: set[psutil.Process] = set()
        self._met = 0.0

    def catch_signals(self) -> None:
        """Turn Ctrl-C, termination and a closed terminal into `Interrupted`, where no child gets lost."""

        def note(_number: int, _frame: FrameType | None) -> None:
            self.interrupted = True

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, note)

    def step(self, command: Sequence[str]) -> None:
        """Run a command to its end, its output in the terminal.

        Raises
        ------
        Failed
            When it ends with another status than 0, or a service dies meanwhile.
        Interrupted
            At a signal.
        """
        process = self._start(command, None)
        while (status := process.poll()) is None:
            self._pause()
        if status != 0:
            raise Failed(f"Ended with status {status}, for the reasons above: {shlex.join(command)}")

    def serve(self, name: str, command: Sequence[str], ready: str) -> None:
        """Start a service and wait until the address `ready` answers.

        Raises
        ------
        Failed
            When it dies, answers nothing within `READY_WITHIN` or is unready for `UNREADY_FOR` seconds.
        Interrupted
            At a signal.
        """
        with self._log(name).open("wb") as output:
            self._services[name] = self._start(command, output.fileno())
        answer = "no answer"
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(ready, timeout=5):
                    return
            except urllib.error.HTTPError as error:
                # It runs and says why it is not ready, which time seldom mends.
                answer = f"{error.code} {error.read(2000).decode(errors='replace')}"
                deadline = min(deadline, time.monotonic() + UNREADY_FOR)
            except OSError:
                pass
            self._pause()
        raise Failed(f"{name} did not become ready. {ready}: {answer}\n{self._tail(name)}")

    def watch(self) -> NoReturn:
        """Wait for a signal or for the death of a service.

        Raises
        ------
        Failed, Interrupted
        """
        while True:
            self._pause()

    def stop(self) -> None:
        """End every process that was started, and all that those started: first asked, then killed."""
        for end in (psutil.Process.terminate, psutil.Process.kill):
            self._meet_family()
            for process in self._family:
                with suppress(psutil.NoSuchProcess):
                    end(process)
            deadline = time.monotonic() + STOP_WITHIN
            while any(map(_lives, self._family)) and time.monotonic() < deadline:
                time.sleep(POLL_EVERY)

    def _start(self, command: Sequence[str], output: int | None) -> subprocess.Popen[bytes]:
        # A session of its own keeps the terminal's Ctrl-C from the children, which stop() ends in order.
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,
        )
        self._meet_family()
        return process

    def _meet_family(self) -> None:
        # A worker may leave its group and outlive whoever started it, so it is met while that one lives.
        self._family.update(psutil.Process().children(recursive=True))
        self._met = time.monotonic()

    def _pause(self) -> None:
        if self.interrupted:
            raise Interrupted
        for name, process in self._services.items():
            if (status := process.poll()) is not None:
                raise Failed(f"{name} stopped by itself with status {status}.\n{self._tail(name)}")
        if time.monotonic() - self._met > MEET_EVERY:
            self._meet_family()
        time.sleep(POLL_EVERY)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _tail(self, name: str) -> str:
        end = self._log(name).read_text(errors="replace").splitlines()[-30:]
        return "\n".join([f"The end of {self._log(name)}:", *(f"  | {line}" for line in end)])


def _lives(process: psutil.Process) -> bool:
    # A zombie has ended, and in a container there may be nobody to collect it.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

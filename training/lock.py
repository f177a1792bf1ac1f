"""One job at a time on a store: a lock that the kernel releases, however its holder ends."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

FILE = "store.lock"
_POLL = 0.25  # seconds between attempts while waiting


@dataclass(frozen=True)
class Holder:
    """Who holds a store, as written into the lock file.

    Attributes
    ----------
    since
        When the lock was taken, ISO 8601 in UTC.
    """

    pid: int
    host: str
    purpose: str
    since: str

    def __str__(self) -> str:
        return f"{self.purpose} (process {self.pid} on {self.host}, since {self.since})"


class Locked(RuntimeError):
    """Another job holds the store; the message says which, where and since when."""

    def __init__(self, folder: Path, holder: Holder | None) -> None:
        self.holder = holder
        who = str(holder) if holder is not None else "another job that has not yet said which"
        super().__init__(f"the store {folder} is held by {who}; wait for it to end, or ask to wait with --wait SECONDS")


class StoreLock:
    """Hold a store while it is changed.

    ``flock`` on a file in the store's folder: the kernel lets go of it when the process ends, by ``kill -9`` too, so
    that no lock is ever stale. The thread that holds a store may take it again, so that a job can call what locks for
    itself. On a network file system the lock reaches other machines if the file system's locks do (NFS 4 does).

    Parameters
    ----------
    folder
        The store's folder, made if missing.
    purpose
        What is being done, such as ``retrain``; shown to whoever finds the store held.
    wait
        Seconds to wait for the present holder.

    Raises
    ------
    Locked
        On entry, when the store is still held after `wait` seconds.

    Attributes
    ----------
    left_by
        The previous holder if it ended without letting go, that is, was killed.
    """

    def __init__(self, folder: Path | str, purpose: str, wait: float = 0.0) -> None:
        self.folder = Path(folder).resolve()
        self.purpose = purpose
        self.wait = wait
        self.left_by: Holder | None = None
        self._file: int | None = None

    def __enter__(self) -> StoreLock:
        if _held.get(self._key):
            _held[self._key] += 1
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self.folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        try:
            self._take(file)
        except BaseException:
            os.close(file)
            raise
        self.left_by = _read(file)
        _write(file, Holder(os.getpid(), socket.gethostname(), self.purpose, _now()))
        self._file = file
        _held[self._key] = 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _held[self._key] -= 1
        if _held[self._key] == 0:
            del _held[self._key]
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    @property
    def _key(self) -> tuple[Path, int, int]:
        return self.folder, os.getpid(), threading.get_ident()

    def _take(self, file: int) -> None:
        deadline = time.monotonic() + self.wait
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Locked(self.folder, _read(file)) from None
            time.sleep(_POLL)


# Stores held by this process: the process and the thread are part of the key, so neither a fork nor a second thread
# takes a lock for its own.
_held: dict[tuple[Path, int, int], int] = {}


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _read(file: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(file, 4096, 0)))
    except (ValueError, TypeError):
        return None


def _write(file: int, holder: Holder) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(asdict(holder)).encode(), 0)

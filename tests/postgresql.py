"""A PostgreSQL server of Debian's packages, started for the tests that need one."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "p@ss/w:rd%7"
QUOTED = "p%40ss%2Fw%3Ard%257"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A server with its data in a folder of its own; it refuses to run as root, so root runs it as nobody."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="resecta-pg-"))
        self.port = _free_port()
        self.user = None
        if os.getuid() == 0:
            self.user = "postgres" if "postgres" in {u.pw_name for u in pwd.getpwall()} else "nobody"
            shutil.chown(self.folder, self.user)

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            user=self.user,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=120,
        )

    def start(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD, "utf-8")
        if self.user is not None:
            shutil.chown(secret, self.user)
        data = str(self.folder / "data")
        self.run(
            "initdb", "-D", data, "-U", "owner", "--pwfile", str(secret), "-A", "scram-sha-256", "-E", "UTF8", "-N"
        )
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self.run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        try:
            self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, user: str = "owner", password: str = QUOTED) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/postgres"


@contextmanager
def started() -> Iterator[Server]:
    """Start a server; skips the test where there is none."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("no PostgreSQL server: Debian's package postgresql is not installed (/usr/lib/postgresql/*/bin)")
    made = Server(programs[-1].parent)
    try:
        made.start()
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(made.folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL is installed but does not start here: {error}")
    try:
        yield made
    finally:
        made.stop()

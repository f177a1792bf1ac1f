"""Stand-ins for `resecta` and `mlflow`, so that the tests of the stack take seconds.

Run as `python stub_commands.py resecta|mlflow ARGUMENTS`. Each call adds a line to `calls.txt` in the store,
and each process its number to `pids.txt`. STUB_FAIL names the command that ends with status 1.
"""

import http.server
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

STORE = Path(os.environ["RESECTA_STORE"])
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def note(file: str, line: object) -> None:
    with (STORE / file).open("a") as lines:
        print(line, file=lines)


def register(alias: str) -> None:
    with sqlite3.connect(STORE / "mlflow.db") as rows:
        rows.execute("CREATE TABLE IF NOT EXISTS registered_model_aliases (alias, version, name)")
        rows.execute("CREATE TABLE IF NOT EXISTS model_versions (name, version)")
        version = rows.execute("SELECT count(*) + 1 FROM model_versions").fetchone()[0]
        rows.execute("INSERT INTO model_versions VALUES ('resecta', ?)", [version])
        rows.execute("INSERT INTO registered_model_aliases VALUES (?, ?, 'resecta')", [alias, version])


def answer(port: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/die":
                print("out of liver", file=sys.stderr, flush=True)
                os._exit(3)
            self.send_response(200)
            self.end_headers()

    http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()


def main() -> int:
    kind, command, *rest = sys.argv[1:]
    note("pids.txt", os.getpid())
    note("calls.txt", " ".join([kind, command, *rest]))
    if os.environ.get("STUB_FAIL") == command:
        print(f"{command} cannot go on")
        return 1
    if command == "train":
        register("champion" if "--no-data" in rest else "challenger")
    elif command == "simulate":
        Path(rest[rest.index("--out") + 1]).write_text("a registry\n")
    elif command in ("serve", "server"):
        # A worker in a session of its own that does not stop when asked, as the worst real one would.
        worker = subprocess.Popen([sys.executable, "-c", STUBBORN], start_new_session=True)
        note("pids.txt", worker.pid)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        answer(int(rest[rest.index("--port") + 1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

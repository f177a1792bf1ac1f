"""The whole of Resecta on one machine: models, a registry, the service and the MLflow page.

`resecta up` (and so `make run`) makes what is missing, starts what answers, and stops all of it on Ctrl-C.
Every step is a `resecta` command run as a process of its own: this module imports none of the rooms, and any
step can be repeated by hand.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import socket
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from processes import Failed, Interrupted, Processes

MODEL = "resecta"
# The experiment comes first after MLflow's own; the key names a view that each training job prepares.
_RUNS = "#/experiments/1/runs?viewStateShareKey=table&workflowType=machine_learning"
RESECTA = (sys.executable, "-m", "resecta")
MLFLOW = (sys.executable, "-m", "mlflow")
EXAMPLE = Path(__file__).resolve().parent / "examples" / "patient.json"


class Refused(Exception):
    """The settings do not allow a start; the message names every variable at fault."""


@dataclass(frozen=True)
class Settings:
    """Where the stack listens and keeps its files, from the environment variables RESECTA_*.

    Attributes
    ----------
    store
        Folder of `mlflow.db`, `artifacts/`, `logs/` and the simulated registry.
    registry
        A registry of one's own, which must exist; None simulates one in the store.
    patients, seed, sites
        Of the simulated registry.
    """

    host: str = "127.0.0.1"
    port: int = 3000
    mlflow_port: int = 5000
    store: Path = Path("mlruns")
    registry: Path | None = None
    patients: int = 3000
    seed: int = 7
    sites: int = 6

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables, collecting every problem.

        Raises
        ------
        Refused
            When a number is none, a port is taken, or the registry that was named does not exist.
        """
        problems: list[str] = []

        def number(variable: str, default: int, low: int, high: int) -> int:
            text = environment.get(variable) or str(default)
            if text.isascii() and text.isdigit() and low <= int(text) <= high:
                return int(text)
            problems.append(f"{variable} is {text!r}; it takes a whole number from {low} to {high}.")
            return default

        named = environment.get("RESECTA_REGISTRY")
        if named and not Path(named).is_file():
            problems.append(f"RESECTA_REGISTRY: no file {named!r}. Correct it, or unset it to simulate one.")
        settings = cls(
            host=environment.get("RESECTA_HOST") or cls.host,
            port=number("RESECTA_PORT", cls.port, 1, 65535),
            mlflow_port=number("RESECTA_MLFLOW_PORT", cls.mlflow_port, 1, 65535),
            store=Path(environment.get("RESECTA_STORE") or cls.store).absolute(),
            registry=Path(named).absolute() if named else None,
            patients=number("RESECTA_PATIENTS", cls.patients, 1, 1_000_000),
            seed=number("RESECTA_SEED", cls.seed, 0, 2**32 - 1),
            sites=number("RESECTA_SITES", cls.sites, 1, 1000),
        )
        if settings.port == settings.mlflow_port:
            problems.append(f"RESECTA_PORT and RESECTA_MLFLOW_PORT are both {settings.port}; they must differ.")
        problems += _port_problems("RESECTA_PORT", settings.host, settings.port)
        problems += _port_problems("RESECTA_MLFLOW_PORT", cls.host, settings.mlflow_port)
        if problems:
            raise Refused("\n".join(problems))
        return settings

    @property
    def address(self) -> str:
        """Where this machine reaches the service, which may listen on every address."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def mlflow_address(self) -> str:
        """Where this machine reaches the MLflow page."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    def children(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of every child."""
        mine = {
            "RESECTA_STORE": str(self.store),
            "RESECTA_HOST": self.host,
            "RESECTA_PORT": str(self.port),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "BENTOML_DO_NOT_TRACK": "True",
            "GX_ANALYTICS_ENABLED": "false",
            # With job execution MLflow runs 11 processes instead of 3.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        # Spinning OpenMP threads of the training would starve the service.
        return {"GOMP_SPINCOUNT": "1000"} | dict(environment) | mine


def _port_problems(variable: str, host: str, port: int) -> list[str]:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        return [f"RESECTA_HOST is {host!r}, which is no address of this machine."]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return [f"Port {port} ({variable}) is in use. Choose another: make run {variable}={port + 10}"]
            return [f"Nothing can listen on {host}:{port} ({variable}): {error.strerror}."]
    return []


def registered(store: Path) -> tuple[dict[str, int], frozenset[int]]:
    """Return the aliases (alias to version) and the versions of the model in a store.

    Read from MLflow's tables, because importing MLflow to ask takes three seconds that a second start should
    not; a test holds this to what MLflow's own client writes. A store that cannot be read counts as empty:
    the step that follows opens it by MLflow, whose error says more.
    """
    database = store / "mlflow.db"
    if not database.exists():
        return {}, frozenset()
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as rows:
        aliases = rows.execute("SELECT alias, version FROM registered_model_aliases WHERE name = ?", [MODEL])
        versions = rows.execute("SELECT version FROM model_versions WHERE name = ?", [MODEL])
        return {alias: int(version) for alias, version in aliases}, frozenset(int(row[0]) for row in versions)
    return {}, frozenset()


def bring_up(settings: Settings, processes: Processes, resecta: tuple[str, ...], mlflow: tuple[str, ...]) -> None:
    """Make what is missing and start what answers.

    The service starts as soon as there is a champion, and answers while the candidates are trained.

    Raises
    ------
    Failed, Interrupted
        As `Processes` does.
    """
    store = settings.store
    notes = store / "stack.json"
    known = json.loads(notes.read_text()) if notes.exists() else {}

    aliases, _ = registered(store)
    if "champion" not in aliases:
        _say("1/6 Registering the evidence as champion")
        processes.step([*resecta, "train", "--no-data"])
        aliases, _ = registered(store)
    _say(f"1/6 Champion: version {aliases.get('champion', 'unknown')}")

    _say("2/6 Starting the service")
    serve = [*resecta, "serve", "--host", settings.host, "--port", str(settings.port)]
    processes.serve("service", serve, f"{settings.address}/readyz")
    _say(f"\n{_answers(settings)}\n")

    _say("3/6 Starting the MLflow page")
    page = [*mlflow, "server", "--host", "127.0.0.1", "--port", str(settings.mlflow_port), "--workers", "1"]
    page += ["--backend-store-uri", f"sqlite:///{store / 'mlflow.db'}"]
    page += ["--default-artifact-root", (store / "artifacts").as_uri()]
    processes.serve("mlflow", page, f"{settings.mlflow_address}/health")

    registry = settings.registry or store / "registry.csv"
    if not registry.exists():
        _say(f"4/6 Simulating {settings.patients} patients")
        # Under another name until it is whole, so that an interrupted run leaves no half registry.
        part = registry.with_name(f"part-{registry.name}")
        size = [
            "--patients",
            str(settings.patients),
            "--seed",
            str(settings.seed),
            "--sites",
            str(settings.sites),
        ]
        processes.step([*resecta, "simulate", *size, "--out", str(part), "--truth", str(store / "truth.parquet")])
        part.replace(registry)
    _say(f"4/6 Registry: {_near(registry)}")

    with registry.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if known.get("validated") != digest:
        _say("5/6 Validating it")
        processes.step([*resecta, "validate", str(registry), "--docs", str(store / "data_docs")])
        known["validated"] = digest
        notes.write_text(json.dumps(known))
    _say(f"5/6 Validated: {_near(store / 'data_docs')}")

    _, versions = registered(store)
    if known.get("trained") != digest or known.get("version") not in versions:
        _say("6/6 Training the candidates; the service answers meanwhile")
        processes.step([*resecta, "train", "--data", str(registry)])
        aliases, versions = registered(store)
        if not versions:
            raise Failed("The training registered no version; its output is above.")
        known |= {"trained": digest, "version": aliases.get("challenger", max(versions))}
        notes.write_text(json.dumps(known))
    _say(f"6/6 Trained: version {known['version']}; served only once promoted (resecta promote --help)")
    _say(f"\n{_answers(settings)}")
    _say(f"Models        {settings.mlflow_address}/{_RUNS}  (MLflow)")
    _say(f"Logs          {_near(store / 'logs')}")
    _say("\nCtrl-C stops everything.")


def _answers(settings: Settings) -> str:
    token = ' -H "authorization: Bearer $RESECTA_TOKEN"' if os.environ.get("RESECTA_TOKEN") else ""
    return (
        f"The page      {settings.address}/\n"
        f"A prediction  curl -s {settings.address}/predict -H 'content-type: application/json'{token}"
        f" -d @{_near(EXAMPLE)} | python3 -m json.tool"
    )


def _near(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say(text: str) -> None:
    print(text, flush=True)


def main(resecta: tuple[str, ...] = RESECTA, mlflow: tuple[str, ...] = MLFLOW) -> int:
    """Bring the stack up and keep it until Ctrl-C.

    Parameters
    ----------
    resecta, mlflow
        The commands to run; tests put others in their place.

    Returns
    -------
    int
        The exit status: 0 when stopped by a signal once all was up, 130 when before; 1 when a step or a
        service failed; 2 when the settings do not allow a start.
    """
    try:
        settings = Settings.read(os.environ)
        for folder in ("artifacts", "logs"):
            (settings.store / folder).mkdir(parents=True, exist_ok=True)
    except (Refused, OSError) as refusal:
        print(refusal, file=sys.stderr)
        return 2
    with (settings.store / "stack.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{settings.store} (RESECTA_STORE) is in use by another `make run`.", file=sys.stderr)
            return 2
        return _keep(settings, resecta, mlflow)


def _keep(settings: Settings, resecta: tuple[str, ...], mlflow: tuple[str, ...]) -> int:
    processes = Processes(settings.children(os.environ), settings.store / "logs")
    processes.catch_signals()
    status = 130
    try:
        bring_up(settings, processes, resecta, mlflow)
        status = 0
        processes.watch()
    except Interrupted:
        _say("Stopping")
    except Failed as failure:
        print(failure, file=sys.stderr, flush=True)
        status = 1
    finally:
        processes.stop()
    return status

"""Run retraining jobs and kill them with SIGKILL, each at its own point; for tests.

``python driver.py REGISTRY STORE OPTIONS POINT...`` runs one job for each point, in a process of its own that is forked
from this one so that libraries are imported once, and prints a line of JSON on each. A point is the name of a stage, or
the call of a method of MLflow's client: its name, ``#``, the count from 1, and after a colon an argument that the call
must have, as ``set_registered_model_alias#1:champion``. An empty point kills nobody, and ``together`` runs three jobs
at once, of which the third waits.
"""

import json
import os
import signal
import sys
import time
from functools import partial, wraps
from pathlib import Path

os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "OMP_NUM_THREADS": "1",
}

import mlflow
from matplotlib.figure import Figure

import training.experiment
import training.job
import training.judgement
from features import load_specification
from training.bundle import load_bundle
from training.dossier import Dossier, gate_facts
from training.registration import alias_version, bundle_folder, is_complete
from training.registry import read_registry
from training.retraining import job
from training.retraining.command import run_retrain
from training.store import MODEL, Store


def hasten(registry: str) -> None:
    """Leave out what takes long and has no part in what is left behind: one candidate, few resamples, no report."""
    spec = load_specification()
    job.CANDIDATES = ("evidence",)
    training.judgement.evaluate = partial(training.judgement.evaluate, replicates=20)
    training.experiment.reliability_figure = lambda *a: Figure()
    training.job.compile_dossier = lambda m, tick: Dossier(
        m.judgement, gate_facts(load_bundle(m.folder, spec), m.cohort, m.judgement, m.quality)
    )
    if Path(registry).is_file():
        read = read_registry(registry, spec)
        # The same registry each time, so that one verdict does for all.
        report = job.validate_registry(read.frame, spec, reading=read.problems, notes=read.notes)
        job.validate_registry = lambda *a, **k: report


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_call(point: str) -> None:
    call, _, argument = point.partition(":")
    name, _, nth = call.partition("#")
    original = getattr(mlflow.MlflowClient, name)
    count = 0

    @wraps(original)
    def counted(*args, **kwargs):
        nonlocal count
        count += not argument or argument in map(str, (*args, *kwargs.values()))
        if count == int(nth):
            die()
        return original(*args, **kwargs)

    setattr(mlflow.MlflowClient, name, counted)


def retrain(registry: str, store: Store, options: dict, point: str) -> int:
    if "#" in point:
        kill_at_call(point)
    pause = options.pop("pause", None)

    def announce(stage) -> None:
        if stage.value == point:
            die()
        if pause is not None and stage.value == "read":
            Path(pause).touch()
            while Path(pause).exists():
                time.sleep(0.05)

    return run_retrain(registry, store, announce=announce, **options)


def look(store: Store) -> dict:
    """What is found by whoever comes next."""
    client, spec = store.open(), load_specification()
    champion = alias_version(store, "champion")
    versions = client.search_model_versions(f"name='{MODEL}'")
    aliased = {v.version for v in versions if client.get_model_version(MODEL, v.version).aliases}
    experiment = client.get_experiment_by_name("resecta").experiment_id
    return {
        "champion": champion,
        "answers": champion is not None and load_bundle(bundle_folder(store, champion), spec) is not None,
        "aliases_on_incomplete": sorted(
            str(v.version) for v in versions if v.version in aliased and not is_complete(v)
        ),
        "incomplete": sorted(str(v.version) for v in versions if not is_complete(v)),
        "running": len(client.search_runs([experiment], "attributes.status = 'RUNNING'")),
        "scratch": sorted(p.name for p in store.bundles.iterdir()) if store.bundles.is_dir() else [],
    }


def begin(work) -> tuple[int, int]:
    """Begin something in a process of its own; return its number and where it will write what it returns."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    return child, read


def end(begun: tuple[int, int]) -> tuple[int, str]:
    """Wait for it; return its status and what it returned."""
    with os.fdopen(begun[1]) as answer:
        said = answer.read()
    return os.waitpid(begun[0], 0)[1], said


def together(registry: str, store: Store, options: dict) -> list[str]:
    """Start a job that holds the store, then one that does not wait and one that does; the first goes on after both."""
    pause = store.folder.with_name("pause")
    first = begin(lambda: retrain(registry, store, {**options, "pause": str(pause)}, ""))
    while not pause.exists():
        time.sleep(0.05)
    waiting = begin(lambda: retrain(registry, store, {**options, "wait": 300}, ""))
    second = end(begin(lambda: retrain(registry, store, dict(options), "")))
    pause.unlink()
    return [json.loads(code) for _, code in (end(first), second, end(waiting))]


def main(registry: str, folder: str, options: str, *points: str) -> None:
    store = Store(Path(folder))
    hasten(registry)
    for point in points:
        if point == "together":
            print(json.dumps({"point": point, "codes": together(registry, store, json.loads(options))}), flush=True)
            continue
        status, code = end(begin(lambda point=point: retrain(registry, store, json.loads(options), point)))
        found = json.loads(end(begin(lambda: look(store)))[1])
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps({"point": point, "killed": killed, "code": json.loads(code or "null"), **found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

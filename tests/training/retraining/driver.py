"""Run a retraining job with few candidates, and kill it with SIGKILL at a given point; for tests.

``python driver.py REGISTRY STORE POINT [OPTIONS AS JSON]``. A point is a stage, or the call of an MLflow client's method
with its count from 1 and, after a colon, an argument that it must have: ``set_registered_model_alias#1:champion``.
"""

import json
import os
import signal
import sys
from functools import wraps
from pathlib import Path

os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "OMP_NUM_THREADS": "1",
}

import mlflow  # noqa: E402 - after the switches above

import training.retraining.job as job  # noqa: E402
from training.retraining.command import run_retrain  # noqa: E402
from training.store import Store  # noqa: E402

LEARNERS = ("evidence", "logistic")


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
        if not argument or argument in map(str, (*args, *kwargs.values())):
            count += 1
        if count == int(nth):
            die()
        return original(*args, **kwargs)

    setattr(mlflow.MlflowClient, name, counted)


def main(registry: str, folder: str, point: str = "", options: str = "{}") -> int:
    job.CANDIDATES = LEARNERS
    if "#" in point:
        kill_at_call(point)
    wanted = json.loads(options)
    pause = wanted.pop("pause", None)

    def announce(stage) -> None:
        if stage.value == point:
            die()
        if pause is not None and stage.value == "read":
            Path(pause).touch()
            while Path(pause).exists():
                pass

    return run_retrain(registry, Store(Path(folder)), announce=announce, **wanted)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

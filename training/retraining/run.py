"""The MLflow run of a retraining job: where it stands while it goes on, and its summary when it has ended."""

from __future__ import annotations

from features import Specification
from training.retraining.record import Code, Record
from training.retraining.stages import Stage
from training.retraining.summary import render
from training.store import EXPERIMENT, Store


def open_run(store: Store, spec: Specification, record: Record) -> str:
    """Begin the run; if the process is killed, the next job's sweep ends it and says at which stage that was.

    Returns
    -------
    str
        The run's identifier.
    """
    client = store.open()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None  # opening the store makes it
    tags = {
        "mlflow.runName": f"retrain-{record.name}",
        "level": "retraining",
        "job": "retrain",
        "spec_digest": spec.digest,
        "by": record.by,
        "reason": record.reason,
    }
    return str(client.create_run(experiment.experiment_id, tags=tags).info.run_id)


def mark(store: Store, run_id: str, stage: Stage) -> None:
    """Say which stage has begun."""
    store.open().set_tag(run_id, "stage", stage.value)


def close_run(store: Store, record: Record) -> None:
    """Log the summary and how the job ended, and link the training that it started."""
    if record.run_id is None:
        return
    client = store.open()
    tags = {
        "exit_code": str(record.code.value),
        "simulated": str(record.simulated).lower(),
        "data_digest": record.digest,
        "decided": record.choice.size.value if record.choice else None,
        "made": record.made,
        "training_run": record.training_run_id,
    }
    for key, value in tags.items():
        if value is not None:
            client.set_tag(record.run_id, key, value)
    if record.training_run_id is not None:
        client.set_tag(record.training_run_id, "retraining_run", record.run_id)
    client.log_text(record.run_id, render(record), "summary.md")
    client.set_terminated(record.run_id, "FAILED" if record.code is Code.UNEXPECTED else "FINISHED")

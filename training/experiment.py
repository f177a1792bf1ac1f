"""Everything that MLflow is told about a job and its candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from features import Specification
from training.bundle import TrainedOn
from training.contrasts import moved_contrasts
from training.crossfit import METRICS, Assessed
from training.encoded import Encoded
from training.plots import reliability_figure
from training.store import Store


@contextmanager
def job(store: Store, kind: str, spec: Specification, trained_on: TrainedOn, split: str | None = None) -> Iterator[str]:
    """Open the parent run of a job; it ends as failed when the job raises.

    Yields
    ------
    str
        The run's identifier.
    """
    import mlflow

    store.open()
    tags = {
        "level": "job",
        "job": kind,
        "trained_on": trained_on.kind,
        "simulated": str(trained_on.kind == "simulated").lower(),
        "spec_digest": spec.digest,
        "data_digest": trained_on.data_digest,
    }
    with mlflow.start_run(run_name=f"{kind}-{trained_on.data_digest[:8]}", tags=tags) as run:
        mlflow.log_params(
            {
                "patients": trained_on.patients,
                "sites": trained_on.sites,
                "first_date": trained_on.first_date,
                "last_date": trained_on.last_date,
                "split": split,
                "spec_digest": spec.digest,
                "flags_version": spec.flags.version,
            }
        )
        mlflow.log_input(_dataset(trained_on), context="training")
        yield run.info.run_id


@contextmanager
def candidate(learner: str, split: str) -> Iterator[None]:
    """Open a child run for one candidate."""
    import mlflow

    tags = {"level": "candidate", "model_family": learner}
    with mlflow.start_run(run_name=learner, nested=True, tags=tags):
        mlflow.log_params({"learner": learner, "split": split})
        yield


def log_candidate(assessed: Assessed, encoded: Encoded) -> None:
    """Log a candidate's metrics for every outcome, its settings and its reliability plot in the active run."""
    import mlflow

    mlflow.log_metrics(_metrics(assessed))
    uncomputed = {
        f"{outcome}/{name}": m.reason
        for outcome, metrics in assessed.metrics.items()
        for name, m in metrics.items()
        if m.value is None
    }
    settings = {f"{o}/{name}": value for o, fit in assessed.fits.items() for name, value in fit.notes}
    if settings:
        mlflow.log_params(settings)
    answered = {"answered_from_evidence": dict(assessed.reasons), "not_computed": uncomputed}
    mlflow.log_dict(answered, "notes.json")
    moved = moved_contrasts(assessed, encoded)
    if moved:
        mlflow.log_dict({"regimen_effects": moved}, "regimen_effects.json")
    mlflow.log_figure(reliability_figure(assessed, encoded), "reliability.png")


def log_comparison(assessed: Sequence[Assessed], winner: Assessed, encoded: Encoded) -> None:
    """Log on the parent run what lets jobs be compared: the winner's figures and who won."""
    import mlflow

    mlflow.set_tag("winner", winner.learner)
    mlflow.set_tag("model_family", winner.learner)
    mlflow.log_metrics(_metrics(winner))
    for other in assessed:
        loss = other.mean("log_loss")
        if loss is not None:
            mlflow.log_metric(f"candidates/{other.learner}_log_loss", loss)
    events = {
        f"{name}/events": float(encoded.outcomes[name][encoded.eligible(name)].sum()) for name in assessed[0].metrics
    }
    mlflow.log_metrics(events)


def _metrics(assessed: Assessed) -> dict[str, float]:
    logged = {
        f"{outcome}/{name}": m.value
        for outcome, metrics in assessed.metrics.items()
        for name, m in metrics.items()
        if m.value is not None
    }
    means = {f"mean/{name}": assessed.mean(name) for name in METRICS}
    found = {**logged, **{name: value for name, value in means.items() if value is not None}}
    # MLflow's table cuts off what does not fit; five digits tell candidates apart.
    return {name: round(value, 5) for name, value in found.items()}


def _dataset(trained_on: TrainedOn) -> Any:
    # The digest names the data; no patient's values are logged.
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas

    described = pd.DataFrame([trained_on.model_dump()]).astype({"patients": float, "sites": float})
    return from_pandas(described, name=f"{trained_on.kind}-{trained_on.patients}", digest=trained_on.data_digest[:32])

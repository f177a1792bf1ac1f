"""Everything that MLflow is told about a job and its candidates."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from features import Specification
from training.bundle import TrainedOn
from training.contrasts import moved_contrasts
from training.crossfit import Assessed
from training.dashboard import prepare
from training.encoded import Encoded
from training.judgement import Judgement
from training.plots import reliability_figure
from training.store import Store
from validation.evaluation import Evaluation, ModelFigures

HEADLINE = "log_loss"  # the metric that jobs and candidates are compared by


@contextmanager
def job(
    store: Store,
    kind: str,
    spec: Specification,
    trained_on: TrainedOn,
    split: str | None = None,
    compared: bool = True,
) -> Iterator[str]:
    """Open the parent run of a job; it ends as failed when the job raises.

    Parameters
    ----------
    compared
        Whether models are compared in it; the MLflow page is then prepared to show them.

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
        if compared:
            prepare(store.open(), run.info.experiment_id, spec, run.info.run_id)
        mlflow.log_params(
            {
                **data_params(trained_on),
                "first_date": trained_on.first_date,
                "last_date": trained_on.last_date,
                "split": split,
                "spec_digest": spec.digest,
                "flags_version": spec.flags.version,
            }
        )
        mlflow.log_input(_dataset(trained_on), context="training")
        yield run.info.run_id


def data_params(trained_on: TrainedOn) -> dict[str, Any]:
    """What every run says of the data behind it."""
    return {"patients": trained_on.patients, "sites": trained_on.sites, "data": trained_on.data_digest[:8]}


@contextmanager
def candidate(learner: str, split: str, trained_on: TrainedOn) -> Iterator[str]:
    """Open a child run for one candidate.

    Yields
    ------
    str
        The run's identifier.
    """
    import mlflow

    tags = {"level": "candidate", "model_family": learner}
    with mlflow.start_run(run_name=learner, nested=True, tags=tags) as run:
        mlflow.log_params({"learner": learner, "split": split, **data_params(trained_on)})
        yield run.info.run_id


def log_candidate(assessed: Assessed, encoded: Encoded) -> None:
    """Log a candidate's settings, what it left to the evidence, and its reliability plot in the active run."""
    import mlflow

    uncomputed = {
        f"{outcome}/{name}": m.reason
        for outcome, metrics in assessed.metrics.items()
        for name, m in metrics.items()
        if m.value is None
    }
    # As parameters they would fill the first axes of the compare page.
    settings = {outcome: dict(fit.notes) for outcome, fit in assessed.fits.items() if fit.notes}
    if settings:
        mlflow.log_dict(settings, "settings.json")
    answered = {"answered_from_evidence": dict(assessed.reasons), "not_computed": uncomputed}
    mlflow.log_dict(answered, "notes.json")
    moved = moved_contrasts(assessed, encoded)
    if moved:
        mlflow.log_dict({"regimen_effects": moved}, "regimen_effects.json")
    mlflow.log_figure(reliability_figure(assessed, encoded), "reliability.png")


def log_judgement(
    runs: Mapping[str, str],
    winner: str,
    judgement: Judgement,
    encoded: Encoded,
    store: Store,
    shared: Mapping[str, Any],
) -> None:
    """Log every model's figures under its own child run, and the winner's on the job's, so that jobs compare.

    Parameters
    ----------
    runs
        Child run of each candidate. Champion and baselines get one here.
    shared
        Parameters that every run of the job has.
    """
    import mlflow

    mlflow.set_tags({"winner": winner, "model_family": winner})
    client = store.open()
    everywhere = _answered_by_all(judgement.evaluation)
    for model in judgement.evaluation.models:
        figures = _figures(judgement.evaluation, model, everywhere)
        if model.name in runs:
            _log(client, runs[model.name], figures)
        else:
            tags = {"level": model.kind, "model_family": model.name}
            with mlflow.start_run(run_name=model.name, nested=True, tags=tags):
                mlflow.log_params({"learner": model.name, **shared})
                mlflow.log_metrics(figures)
        if model.name == winner:
            mlflow.log_metrics(figures)
        if f"mean/{HEADLINE}" in figures:
            mlflow.log_metric(f"candidates/{model.name}_{HEADLINE}", figures[f"mean/{HEADLINE}"])
    events = {
        f"{name}/events": float(encoded.outcomes[name][encoded.eligible(name)].sum()) for name in encoded.outcomes
    }
    mlflow.log_metrics(events)


def _log(client: Any, run_id: str, figures: Mapping[str, float]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    client.log_batch(run_id, metrics=[Metric(key, value, now, 0) for key, value in figures.items()])


def _answered_by_all(evaluation: Evaluation) -> dict[str, tuple[str, ...]]:
    """By metric: the outcomes on which every model has it, so that means over them compare like with like."""
    names = {name for m in evaluation.models for judged in m.outcomes.values() for name in judged.metrics}

    def known(model: ModelFigures, outcome: str, name: str) -> bool:
        judged = model.outcomes.get(outcome)
        return judged is not None and name in judged.metrics and judged.metrics[name].value is not None

    outcomes = dict.fromkeys(outcome for m in evaluation.models for outcome in m.outcomes)
    return {n: tuple(o for o in outcomes if all(known(m, o, n) for m in evaluation.models)) for n in names}


def _figures(
    evaluation: Evaluation, model: ModelFigures, everywhere: Mapping[str, tuple[str, ...]]
) -> dict[str, float]:
    single = {
        f"{outcome}/{name}": figure.value
        for outcome, judged in model.outcomes.items()
        for name, figure in judged.metrics.items()
        if figure.value is not None
    }
    # The metric logged first is the one that the compare page opens with.
    found: dict[str, float] = {}
    for name in (HEADLINE, *(n for n in everywhere if n != HEADLINE)):
        values = [single[f"{outcome}/{name}"] for outcome in everywhere.get(name, ())]
        if values:
            found[f"mean/{name}"] = sum(values) / len(values)
    found |= single
    for d in evaluation.differences:
        if d.model == model.name and d.metric == HEADLINE and d.group is None and d.figure.value is not None:
            found[f"{d.outcome}/{HEADLINE}_minus_{d.against}"] = d.figure.value
    # MLflow's table cuts off what does not fit; five digits tell candidates apart.
    return {name: round(value, 5) for name, value in found.items()}


def _dataset(trained_on: TrainedOn) -> Any:
    # The digest names the data; no patient's values are logged.
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas

    described = pd.DataFrame([trained_on.model_dump()]).astype({"patients": float, "sites": float})
    return from_pandas(described, name=f"{trained_on.kind}-{trained_on.patients}", digest=trained_on.data_digest[:32])

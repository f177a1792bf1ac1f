"""The MLflow page as a dashboard: prepared views of the runs, and addresses that open them.

MLflow keeps a shared view as a tag of the experiment (its Share button writes the same one). Written by every job, it
spares each reader from choosing columns, sorting and drawing the first charts by hand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from features import Specification
from training.store import CHAMPION, MODEL

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Views that a job prepares: its models in a table, the same in charts, and all jobs with what became of them.
TABLE, CHARTS, JOBS = "table", "charts", "jobs"
_VIEW = "mlflow.sharedViewState."
_KIND, _PRIMARY = "mlflow.experimentKind", "mlflow.experiment.primaryMetric.name"
_RANK = "log_loss"
#: Figures that a column is shown of, for each headline outcome.
_COLUMNS = ("log_loss", "auroc")
_TAGS = ("job", "winner", "trained_on", "decision")
_LETTER, _MARGIN, _NARROWEST = 6, 40, 110  # pixels; the page's own columns cut off every name
# MLflow cuts off a longer value of an experiment's tag.
LONGEST_TAG = 5000


def prepare(client: MlflowClient, experiment: str, spec: Specification, job: str | None = None) -> None:
    """Write the views on an experiment, and what kind of experiment it is, so that it does not open as one of traces.

    Parameters
    ----------
    experiment
        Its identifier.
    job
        Run of the job whose models the table and the charts show; without one they show those of every job. Models of
        two jobs faced different patients, so that sorting them by one figure says nothing.
    """
    models = "tags.level != 'job'" if job is None else f"tags.mlflow.parentRunId = '{job}'"
    wanted = {
        _KIND: "custom_model_development",
        _PRIMARY: f"mean/{_RANK}",
        _VIEW + TABLE: json.dumps(table_view(spec, models)),
        _VIEW + CHARTS: json.dumps(charts_view(spec, models)),
        _VIEW + JOBS: json.dumps(jobs_view(spec)),
    }
    held = client.get_experiment(experiment).tags
    for key, value in wanted.items():
        if held.get(key) != value:
            client.set_experiment_tag(experiment, key, value)


def table_view(spec: Specification, models: str) -> dict[str, Any]:
    """Models, lowest mean log loss first, with the figures of the headline outcomes."""
    metrics = [f"mean/{_RANK}", *(f"{outcome}/{name}" for outcome in _headline(spec) for name in _COLUMNS)]
    columns = [*(f"metrics.`{m}`" for m in metrics), "tags.`level`"]
    return {**_search(models), **_columns(columns)}


def jobs_view(spec: Specification) -> dict[str, Any]:
    """Every job, newest first: what it was trained on, what came of it against the champion, and what was decided."""
    differences = [f"metrics.`{outcome}/{_RANK}_minus_{CHAMPION}`" for outcome in _headline(spec)]
    columns = [*(f"tags.`{tag}`" for tag in _TAGS), "params.`patients`", *differences]
    newest = {"orderByKey": "attributes.start_time", "orderByAsc": False}
    return {**_search("tags.level = 'job'"), **newest, **_columns(columns)}


def charts_view(spec: Specification, models: str) -> dict[str, Any]:
    """The charts: parallel coordinates over the headline outcomes, and discrimination against calibration of each."""
    section = "resecta-comparison"
    outcomes = _headline(spec)
    cards: list[dict[str, Any]] = [
        _card(
            "parallel",
            section,
            "PARALLEL",
            "Log loss of the headline outcomes (lower is better)",
            selectedParams=["learner"],
            selectedMetrics=[f"{outcome}/{_RANK}" for outcome in outcomes],
            showAllRuns=True,
        )
    ]
    for outcome in outcomes:
        label = spec.outcomes[outcome].label
        cards.append(
            _card(
                f"scatter-{outcome}",
                section,
                "SCATTER",
                f"{label}: AUROC against log loss",
                xaxis={"key": f"{outcome}/auroc", "type": "METRIC"},
                yaxis={"key": f"{outcome}/{_RANK}", "type": "METRIC"},
                runsCountToCompare=100,
            )
        )
    sections = [{"uuid": section, "name": "Comparison", "display": True, "isReordered": True, "deleted": False,
                 "isGenerated": False, "columns": 2, "cardHeight": 420}]  # fmt: skip
    return {
        **_search(models),
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": cards,
        "compareRunSections": sections,
        "isAccordionReordered": True,
    }


def experiment_url(address: str, experiment: str, view: str = TABLE) -> str:
    """Address that opens the run table or the charts as prepared.

    Parameters
    ----------
    address
        Of the MLflow page, without a slash at its end.
    """
    mode = "&compareRunsMode=CHART" if view == CHARTS else ""
    return f"{address}/#/experiments/{experiment}/runs?viewStateShareKey={view}&workflowType=machine_learning{mode}"


def compare_url(address: str, experiment: str, runs: Sequence[str]) -> str:
    """Address of MLflow's compare page for some runs."""
    chosen = quote(json.dumps(list(runs), separators=(",", ":")))
    experiments = quote(json.dumps([experiment], separators=(",", ":")))
    return f"{address}/#/compare-runs?runs={chosen}&experiments={experiments}"


def artifact_url(address: str, experiment: str, run: str, path: str) -> str:
    """Address of an artifact of a run, such as its report, inside the page."""
    return f"{address}/#/experiments/{experiment}/runs/{run}/artifacts/{path}"


def model_url(address: str, version: str | None = None) -> str:
    """Address of the registered model, or of one of its versions."""
    return f"{address}/#/models/{MODEL}" + (f"/versions/{version}" if version else "")


def _headline(spec: Specification) -> list[str]:
    return [o.name for o in spec.outcomes.outcomes if o.headline]


def _columns(columns: Sequence[str]) -> dict[str, Any]:
    widths = {column: max(_NARROWEST, _LETTER * len(column.split("`")[1]) + _MARGIN) for column in columns}
    return {"selectedColumns": list(columns), "columnOrder": list(columns), "columnWidths": widths}


def _search(models: str) -> dict[str, Any]:
    return {
        "searchFilter": models,
        "orderByKey": f"metrics.`mean/{_RANK}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
    }


def _card(name: str, section: str, kind: str, title: str, **settings: Any) -> dict[str, Any]:
    return {
        "uuid": f"resecta-{name}",
        "type": kind,
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        "runsCountToCompare": 100,
        **settings,
    }

"""The views that a job writes for the MLflow page, and the addresses that open them."""

import json
from urllib.parse import unquote

import mlflow
import pytest

from training.dashboard import (
    CHARTS,
    JOBS,
    LONGEST_TAG,
    TABLE,
    artifact_url,
    compare_url,
    experiment_url,
    model_url,
    prepare,
)
from training.store import EXPERIMENT, Store

JOB = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, spec):
    store = Store(tmp_path_factory.mktemp("prepared"))
    client = store.open()
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    prepare(client, experiment, spec, JOB)
    return client, experiment


@pytest.fixture
def views(prepared):
    client, experiment = prepared
    tags = client.get_experiment(experiment).tags
    return {name: json.loads(tags[f"mlflow.sharedViewState.{name}"]) for name in (TABLE, CHARTS, JOBS)}


def test_the_experiment_opens_as_one_of_models_rather_than_of_traces(prepared):
    client, experiment = prepared
    assert client.get_experiment(experiment).tags["mlflow.experimentKind"] == "custom_model_development"


def test_no_view_is_so_long_that_mlflow_would_cut_it_off(prepared):
    client, experiment = prepared
    assert all(len(value) < LONGEST_TAG for value in client.get_experiment(experiment).tags.values())


def test_models_are_sorted_and_charted_within_one_job_because_two_jobs_have_other_patients(views):
    for name in (TABLE, CHARTS):
        assert views[name]["searchFilter"] == f"tags.mlflow.parentRunId = '{JOB}'"
        assert views[name]["orderByKey"] == "metrics.`mean/log_loss`"
    assert views[JOBS]["searchFilter"] == "tags.level = 'job'"


def test_every_headline_outcome_is_in_the_table_and_in_the_charts(views, spec):
    charted = json.dumps(views[CHARTS])
    for outcome in (o.name for o in spec.outcomes.outcomes if o.headline):
        for metric in ("log_loss", "auroc"):
            assert f"metrics.`{outcome}/{metric}`" in views[TABLE]["selectedColumns"]
            assert f'"{outcome}/{metric}"' in charted
        assert f"metrics.`{outcome}/log_loss_minus_champion`" in views[JOBS]["selectedColumns"]


def test_every_column_is_wide_enough_for_its_name(views):
    for name in (TABLE, JOBS):
        for column in views[name]["selectedColumns"]:
            assert views[name]["columnWidths"][column] > 6 * len(column.split("`")[1])


def test_a_filter_is_one_that_mlflow_understands(prepared, views):
    client, experiment = prepared
    for view in views.values():
        assert client.search_runs([experiment], view["searchFilter"]) == []


def test_preparing_twice_writes_nothing_new(prepared, spec, monkeypatch):
    client, experiment = prepared

    def refuse(*given):
        raise AssertionError(f"wrote {given}")

    monkeypatch.setattr(mlflow.MlflowClient, "set_experiment_tag", refuse)
    prepare(client, experiment, spec, JOB)


def test_addresses_lead_to_runs_artifacts_and_versions():
    page = "http://127.0.0.1:5000"
    assert experiment_url(page, "1").endswith(
        "#/experiments/1/runs?viewStateShareKey=table&workflowType=machine_learning"
    )
    assert experiment_url(page, "1", CHARTS).endswith("compareRunsMode=CHART")
    assert '["a","b"]' in unquote(compare_url(page, "1", ["a", "b"]))
    assert artifact_url(page, "1", "a", "report.html") == f"{page}/#/experiments/1/runs/a/artifacts/report.html"
    assert model_url(page, "3") == f"{page}/#/models/resecta/versions/3"

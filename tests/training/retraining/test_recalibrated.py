"""A registry in which fewer come to resection than the champion says: recalibrated, left for want of a permission,
promoted by a person, and then left at that."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from training.bundle import load_bundle
from training.promotion import promote
from training.registration import alias_version, bundle_folder
from training.retraining.command import run_retrain
from training.retraining.record import Code
from training.simulator import simulate, write_registry
from training.store import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Store
from validation.evaluation import Evaluation


@pytest.fixture(scope="module")
def fewer(spec, small, tmp_path_factory) -> Path:
    """900 simulated patients under the columns of the small registry, of whom most of the resected are left out."""
    path = tmp_path_factory.mktemp("fewer") / "fewer.csv"
    write_registry(simulate(spec, patients=900, seed=31, sites=3)[0], path)
    whole = pd.read_csv(path, dtype=str, keep_default_na=False)[list(pd.read_csv(small, nrows=1).columns)]
    resected = whole["resection_date"] != ""
    kept = ~resected | (np.random.default_rng(1).random(len(whole)) < 0.4)
    whole[kept].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def recalibrated(fewer, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("recalibrated") / "store")
    stages = []
    code = run_retrain(str(fewer), store, update="line", announce=lambda s: stages.append(s.value))
    (summary,) = (store.folder / "retraining").glob("*.md")
    return store, code, stages, summary.read_text("utf-8")


def test_simulated_patients_need_a_permission_without_which_the_challenger_is_left(recalibrated):
    store, code, stages, summary = recalibrated
    assert code == Code.REFUSED == 3, summary
    assert stages == [
        *("lock", "sweep", "read", "validate", "cohort", "decide"),
        *("train", "evaluate", "register", "gate", "promote", "summary"),
    ]
    assert "## Decision: recalibration" in summary
    assert "Version 2 is left as challenger" in summary and "--allow-simulated" in summary
    assert "## Gates: " in summary
    assert (alias_version(store, CHAMPION), alias_version(store, CHALLENGER)) == ("1", "2")


def test_the_version_is_the_champion_with_a_lower_intercept(recalibrated, spec):
    store = recalibrated[0]
    models = {m.outcome: m for m in load_bundle(bundle_folder(store, "2"), spec).manifest.outcomes}
    moved = models["resection_12m"].recalibration
    assert moved is not None and moved.intercept < -0.3
    assert models["resection_12m"].learner == "evidence"


def test_its_run_holds_what_gates_read_and_what_the_run_table_compares(recalibrated):
    store = recalibrated[0]
    client = store.open()
    run = client.get_run(client.get_model_version(MODEL, "2").run_id)
    assert {"deciding.json", "checks.json"} <= {a.path for a in client.list_artifacts(run.info.run_id)}
    local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="deciding.json")
    losses = {
        m["name"]: m["outcomes"]["resection_12m"]["metrics"]["log_loss"]["value"]
        for m in json.loads(Path(local).read_text("utf-8"))["models"]
    }
    assert losses["evidence"] < losses["champion"] - 0.01
    assert "resection_12m/log_loss" in run.data.metrics
    assert run.data.tags["retraining_run"]


def test_it_carries_curves_of_its_own_judging_and_none_of_the_champion(recalibrated, spec):
    store = recalibrated[0]
    client = store.open()
    run_id = client.get_model_version(MODEL, "2").run_id
    local = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="evaluation.json")
    evaluation = Evaluation.model_validate_json(Path(local).read_text("utf-8"))
    before, after = (load_bundle(bundle_folder(store, v), spec).calibration for v in ("1", "2"))
    assert (before.basis, after.basis) == ("evidence", "simulated")
    assert evaluation.rows in after.text and "Simulated patients" in after.text
    curve, drawn = after.curves["resection_12m"], evaluation.model("evidence").outcomes["resection_12m"].calibration
    assert curve.observed == pytest.approx(drawn.observed, abs=5.1e-5)
    assert curve.observed != before.curves["resection_12m"].observed


def test_once_it_is_champion_the_same_patients_justify_nothing_more(recalibrated, fewer, spec, tmp_path):
    store = recalibrated[0]
    promote(store, spec, "2", True, "Dr Example", "demonstration")
    assert (alias_version(store, CHAMPION), alias_version(store, PREVIOUS)) == ("2", "1")
    code = run_retrain(str(fewer), store, allow_simulated=True, summary=tmp_path / "again.md")
    text = (tmp_path / "again.md").read_text("utf-8")
    assert code == Code.FINISHED
    assert "## Decision: nothing" in text, text
    assert alias_version(store, CHAMPION) == "2"
    assert len(store.open().search_model_versions(f"name='{MODEL}'")) == 2

"""What killed jobs leave behind, made by real registrations that are cut short."""

import signal
import subprocess
import sys

import pytest

from features import load_specification
from training.bundle import load_bundle
from training.evidence import load_prior
from training.job import train_from_evidence
from training.registration import IncompleteVersion, alias_version, bundle_folder, export
from training.retraining.sweep import ENDED_BY, Swept, sweep
from training.store import CHALLENGER, CHAMPION, MODEL, Store


@pytest.fixture(scope="module")
def spec():
    return load_specification()


@pytest.fixture(scope="module")
def prior(spec):
    return load_prior(spec)


@pytest.fixture(scope="module")
def store(tmp_path_factory, spec, prior):
    made = Store(tmp_path_factory.mktemp("sweep") / "store")
    train_from_evidence(spec, prior, made)
    return made


#: Registers the evidence once more, and is killed when its version is to be described.
CUT_SHORT = """
import os, signal, sys
from pathlib import Path
import mlflow
mlflow.MlflowClient.update_model_version = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
from features import load_specification
from training.evidence import load_prior
from training.job import train_from_evidence
from training.store import Store
spec = load_specification()
train_from_evidence(spec, load_prior(spec), Store(Path(sys.argv[1])))
"""


@pytest.fixture
def cut_short(store):
    """The number of a version whose process was killed before it was complete."""
    before = set(_versions(store))
    job = subprocess.run([sys.executable, "-c", CUT_SHORT, str(store.folder)], capture_output=True, check=False)
    assert job.returncode == -signal.SIGKILL, job.stderr[-2000:]
    (made,) = set(_versions(store)) - before
    return made


def _versions(store):
    return {str(v.version) for v in store.open().search_model_versions(f"name='{MODEL}'")}


def test_a_version_whose_registration_was_cut_short_does_not_count_and_is_removed(store, spec, cut_short, tmp_path):
    client = store.open()
    run = client.get_model_version(MODEL, cut_short).run_id
    others = _versions(store) - {cut_short}
    models = len(list((store.folder / "artifacts" / "models").iterdir()))
    with pytest.raises(IncompleteVersion, match="train it anew"):
        bundle_folder(store, cut_short)
    with pytest.raises(LookupError, match="never completed"):
        export(store, cut_short, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert sweep(store).versions == (cut_short,)
    assert _versions(store) == others
    assert len(list((store.folder / "artifacts" / "models").iterdir())) == models - 1
    assert client.get_run(run).info.status == "KILLED"
    assert "ended without a word" in client.get_run(run).data.tags[ENDED_BY]
    assert list(store.bundles.iterdir()) == []
    champion = alias_version(store, CHAMPION)
    assert load_bundle(bundle_folder(store, champion), spec).manifest.learner == "evidence"


def test_an_alias_set_by_hand_on_a_half_registered_version_is_refused_and_the_version_kept(store, cut_short):
    client = store.open()
    client.set_registered_model_alias(MODEL, CHALLENGER, cut_short)
    with pytest.raises(IncompleteVersion, match="never completed"):
        alias_version(store, CHALLENGER)
    assert sweep(store).versions == ()
    client.delete_registered_model_alias(MODEL, CHALLENGER)
    assert sweep(store).versions == (cut_short,)


def test_sweeping_a_store_in_order_changes_nothing(store, spec):
    sweep(store)
    before = {p: p.stat().st_mtime_ns for p in (store.folder / "artifacts").rglob("*")}
    assert sweep(store) == Swept()
    assert {p: p.stat().st_mtime_ns for p in (store.folder / "artifacts").rglob("*")} == before


def test_versions_from_before_their_completion_was_recorded_count_when_described(store, spec, prior):
    made = train_from_evidence(spec, prior, store)
    client = store.open()
    client.delete_model_version_tag(MODEL, made.version, "state")
    assert sweep(store).versions == ()
    assert alias_version(store, CHAMPION) == made.version
    assert load_bundle(bundle_folder(store, made.version), spec)


def test_a_run_of_something_else_that_may_be_going_on_is_left(store):
    client = store.open()
    experiment = client.get_experiment_by_name("resecta").experiment_id
    run = client.create_run(experiment, tags={"level": "monitoring"}).info.run_id
    old = client.create_run(experiment, start_time=1_600_000_000_000).info.run_id
    sweep(store)
    assert client.get_run(run).info.status == "RUNNING"
    assert client.get_run(old).info.status == "KILLED"
    client.set_terminated(run)


def test_a_version_that_someone_registered_by_hand_is_not_ours_to_remove(store):
    client = store.open()
    source = client.get_model_version(MODEL, alias_version(store, CHAMPION)).source
    mine = client.create_model_version(MODEL, source).version
    try:
        assert sweep(store).versions == ()
    finally:
        client.delete_model_version(MODEL, mine)


def test_a_store_whose_making_was_cut_short_is_made_anew(tmp_path, spec, prior):
    store = Store(tmp_path / "store")
    store.folder.mkdir()
    (store.folder / "mlflow.db.making-0123").write_bytes(b"half a database")
    assert store.open().get_experiment_by_name("resecta") is not None
    assert "mlflow.db.making-0123" in sweep(store).folders
    assert store.unfinished == []

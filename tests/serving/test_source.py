"""Where the model comes from, and what is said when it is not there."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from serving.registry import RegistryUnknown, look_up
from serving.source import Source, SourceRefused, find_bundle, fingerprint

ROOT = Path(__file__).resolve().parents[2]

MODEL_CODE = """
import mlflow

class Nothing(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input

mlflow.models.set_model(Nothing())
"""


def test_a_folder_is_taken_as_it_is(tmp_path):
    assert find_bundle(str(tmp_path), Path("nowhere")) == Source(tmp_path, None)


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("no/such/folder", "no_model"),
        ("models:/resecta@champion", "no_registry"),
        ("models:/resecta", "bad_model_address"),
        ("models:/resecta/champion", "bad_model_address"),
        ("models:/a/b@c", "bad_model_address"),
    ],
)
def test_what_is_missing_is_said(tmp_path, model, code):
    with pytest.raises(SourceRefused) as refused:
        find_bundle(model, tmp_path)
    assert refused.value.code == code
    assert str(tmp_path) not in refused.value.reason and model not in refused.value.reason
    assert (str(tmp_path) if code == "no_registry" else model) in str(refused.value)
    assert not list(tmp_path.iterdir()), "asking for a model must not make a registry"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A registry of two versions, the first with the alias champion, the second without a bundle."""
    store = tmp_path_factory.mktemp("store")
    code, bundle = store / "model_code.py", store / "made" / "bundle"
    code.write_text(MODEL_CODE)
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text(json.dumps({"made": "here"}))
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    address = f"sqlite:///{store / 'mlflow.db'}"
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    try:
        mlflow.create_experiment("made", (store / "artifacts").as_uri())
        mlflow.set_experiment("made")
        for artifacts in ({"bundle": str(bundle)}, {"other": str(code)}):
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(code),
                artifacts=artifacts,
                pip_requirements=[],
                registered_model_name="resecta",
            )
        mlflow.MlflowClient().set_registered_model_alias("resecta", "champion", "1")
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])
    return store


@pytest.mark.parametrize("model", ["models:/resecta@champion", "models:/resecta/1"])
def test_a_registered_bundle_is_found_by_alias_and_by_version(store, model):
    source = find_bundle(model, store)
    assert source.version == "1"
    assert json.loads((source.folder / "manifest.json").read_text()) == {"made": "here"}


def test_a_registered_bundle_is_read_where_it_is_and_nothing_is_written(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (store / "artifacts").rglob("*")}
    assert find_bundle("models:/resecta/1", store).folder.is_relative_to(store / "artifacts")
    assert not list(tmp_path.iterdir())
    assert {path: path.stat().st_mtime_ns for path in (store / "artifacts").rglob("*")} == before


@pytest.mark.parametrize("model", ["models:/resecta@nobody", "models:/resecta/9", "models:/other@champion"])
def test_an_alias_or_version_that_is_not_registered_is_refused(store, model):
    with pytest.raises(SourceRefused, match="The registry has no") as refused:
        find_bundle(model, store)
    assert refused.value.code == "no_model"


def test_a_registered_model_without_a_bundle_is_refused(store):
    with pytest.raises(SourceRefused) as refused:
        find_bundle("models:/resecta/2", store)
    assert refused.value.code == "no_bundle"


def test_the_alias_is_read_without_loading_mlflow(store):
    asked = "import sys; from pathlib import Path; from serving.source import find_bundle, fingerprint; "
    asked += f"store = Path({str(store)!r}); find_bundle('models:/resecta@champion', store); "
    asked += "fingerprint('models:/resecta@champion', store); print('mlflow' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_another_version_under_the_alias_changes_the_fingerprint(store, tmp_path):
    copy = tmp_path / "store"
    copy.mkdir()
    shutil.copy(store / "mlflow.db", copy / "mlflow.db")
    before = fingerprint("models:/resecta@champion", copy)
    assert fingerprint("models:/resecta@champion", copy) == before
    address = f"sqlite:///{copy / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
    client.set_registered_model_alias("resecta", "champion", "2")
    assert fingerprint("models:/resecta@champion", copy) != before
    client.set_registered_model_alias("resecta", "champion", "1")
    assert fingerprint("models:/resecta@champion", copy) == before
    client.delete_registered_model_alias("resecta", "champion")
    assert fingerprint("models:/resecta@champion", copy) == "nothing"


def test_a_changed_file_of_the_bundle_changes_the_fingerprint(tmp_path):
    (tmp_path / "prior.json").write_text("{}")
    before = fingerprint(str(tmp_path), Path("nowhere"))
    (tmp_path / "prior.json").write_text("{ }")
    assert fingerprint(str(tmp_path), Path("nowhere")) != before


@pytest.mark.parametrize("model", ["models:/resecta@champion", "models:/resecta", "no/such/folder"])
def test_a_fingerprint_never_fails(model, tmp_path):
    assert fingerprint(model, tmp_path) == fingerprint(model, tmp_path)


def test_mlflow_is_asked_when_its_tables_are_not_those_that_are_known(store, monkeypatch):
    direct = find_bundle("models:/resecta@champion", store)

    def unknown(*_: object) -> None:
        raise RegistryUnknown("no such column")

    monkeypatch.setattr("serving.source.look_up", unknown)
    assert find_bundle("models:/resecta@champion", store) == direct
    assert fingerprint("models:/resecta@champion", store).startswith("database")


def test_a_database_of_something_else_is_not_taken_for_a_registry(tmp_path):
    sqlite3.connect(tmp_path / "mlflow.db").execute("CREATE TABLE other (x)").connection.close()
    with pytest.raises(RegistryUnknown):
        look_up(tmp_path / "mlflow.db", "resecta", alias="champion")

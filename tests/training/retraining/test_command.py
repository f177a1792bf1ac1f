"""How a job ends for whoever started it: exit codes, what is said, and what never is."""

import io
import logging
import sqlite3

import pandas as pd
import pytest
from rich.console import Console

from training.registration import alias_version
from training.retraining import job
from training.retraining.command import run_retrain
from training.retraining.record import MEANING, Code
from training.retraining.stages import Stage
from training.store import CHAMPION, MODEL, Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("command") / "store")


@pytest.fixture
def retrain(store, tmp_path):
    """Run a job; return its code, what the terminal shows, and the summary (None when none was written)."""

    def run(data, **options):
        out = Console(width=200, record=True, file=io.StringIO())
        path = tmp_path / "summary.md"
        path.unlink(missing_ok=True)
        code = run_retrain(str(data), store, console=out, summary=path, **options)
        return code, out.export_text(), path.read_text("utf-8") if path.exists() else None

    return run


def _run(store, summary):
    """The MLflow run that a summary is of."""
    name = summary.splitlines()[0].removeprefix("# Retraining ")
    client = store.open()
    experiment = client.get_experiment_by_name("resecta").experiment_id
    (run,) = client.search_runs([experiment], f"tags.mlflow.runName = 'retrain-{name}'")
    return run


def test_a_missing_source_has_its_own_code_and_leaves_the_evidence_as_champion(retrain, store, tmp_path):
    code, said, summary = retrain(tmp_path / "nowhere.csv")
    assert code == Code.UNREADABLE == 5
    assert "nowhere.csv: no such file" in said
    assert "Exit code 5" in summary
    assert alias_version(store, CHAMPION) == "1"
    run = _run(store, summary)
    assert run.info.status == "FINISHED"
    assert run.data.tags["exit_code"] == "5"
    assert run.data.tags["stage"] == "summary"
    assert {a.path for a in store.open().list_artifacts(run.info.run_id)} == {"summary.md"}


def test_data_that_do_not_pass_are_rejected_with_what_is_wrong_and_no_value(retrain, small, tmp_path):
    whole = pd.read_csv(small, dtype=str, keep_default_na=False)
    whole.loc[:30, "age_years"] = "777"
    whole.to_csv(tmp_path / "bad.csv", index=False)
    code, said, summary = retrain(tmp_path / "bad.csv")
    assert code == Code.REJECTED == 1
    assert "error: age_years" in summary and "(31 rows)" in summary
    assert "777" not in said + summary
    assert Stage.COHORT.value not in said


def test_from_a_table_of_sqlite_few_failing_rows_are_set_aside_and_the_job_goes_on(retrain, small, tmp_path):
    whole = pd.read_csv(small)
    whole.loc[:2, "age_years"] = 777
    with sqlite3.connect(tmp_path / "ward.db") as connection:
        whole.to_sql("registry", connection, index=False)
    code, _, summary = retrain(
        f"sqlite:///{tmp_path / 'ward.db'}",
        table="registry",
        quarantine=tmp_path / "aside.csv",
        update="intercept",
        promote=False,
    )
    assert code == Code.FINISHED == 0
    assert "sqlite ward.db, table registry (250 rows" in summary
    assert "250 rows were validated, 3 set aside" in summary
    assert str(tmp_path) not in summary
    assert len(pd.read_csv(tmp_path / "aside.csv")) == 3


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("x.csv", {"update": "everything"}, "--update everything is none of auto, intercept, line, refit, full"),
        ("x.csv", {"max_bad_share": 0.0}, "--max-bad-share"),
        ("x.csv", {"wait": -1}, "--wait"),
        ("x.csv", {"table": "registry"}, "--table and --query are for databases"),
        ("sqlite:///x.db", {}, "--query FILE.sql"),
        ("postgresql://me:secret@host:x/db?table=t", {}, "the address of the database cannot be read"),
    ],
)
def test_a_job_asked_for_wrongly_does_nothing_and_says_what_is_right(retrain, data, options, words):
    code, said, summary = retrain(data, **options)
    assert code == Code.USAGE == 2
    assert words in said
    assert "secret" not in said
    assert summary is None


def test_a_column_map_at_fault_is_usage_and_named_in_the_summary(retrain, small, tmp_path):
    (tmp_path / "map.yaml").write_text("columns: {theirs: no_such_field}", "utf-8")
    code, _, summary = retrain(small, columns=tmp_path / "map.yaml")
    assert code == Code.USAGE
    assert "no_such_field" in summary


def test_an_unexpected_error_is_named_by_its_class_and_stage_and_quotes_no_patient(
    retrain, small, monkeypatch, caplog, store
):
    def fail(*args, **kwargs):
        raise KeyError("patient RES-0061 aged 61")

    monkeypatch.setattr(job, "validate_registry", fail)
    with caplog.at_level(logging.DEBUG):
        code, said, summary = retrain(small)
    assert code == Code.UNEXPECTED == 70
    for text in (said, summary, caplog.text):
        assert "KeyError" in text and "validate" in text
        assert "RES-0061" not in text and "Traceback" not in text
    assert _run(store, summary).info.status == "FAILED"
    with pytest.raises(KeyError):
        retrain(small, debug=True)


def test_the_summary_is_text_that_brings_in_no_markup(retrain, tmp_path):
    source = tmp_path / "a|b <script>alert(1)<_script> [x](javascript:y).csv"
    _, _, summary = retrain(source, by="<b>Dr</b>", reason="a\n# heading")
    assert "<" not in summary
    assert "&lt;b&gt;Dr&lt;/b&gt; (a # heading)" in summary
    assert "a\\|b &lt;script&gt;" in summary and "\\[x\\](javascript:y)" in summary


def test_each_code_has_its_meaning_and_the_docs_list_them_all():
    from pathlib import Path

    text = (Path(__file__).resolve().parents[3] / "docs" / "retraining.md").read_text("utf-8")
    for code in Code:
        assert MEANING[code]
        assert f"| {code.value} |" in text
    for stage in Stage:
        assert f"`{stage.value}`" in text


def test_monitoring_that_asks_for_nothing_ends_the_job_before_the_source_is_read(retrain, store, tmp_path, monkeypatch):
    import mlflow

    code, _, _ = retrain(tmp_path / "nowhere.csv", if_needed=True)
    assert code == Code.UNREADABLE, "never monitored, so the job goes on"
    store.open()
    version = alias_version(store, CHAMPION)
    found = {"champion": f"version {version}", "as_of": "2026-01-31", "needs_retraining": False, "reason": "All quiet."}
    for needs, expected in ((False, Code.FINISHED), (True, Code.UNREADABLE)):
        with mlflow.start_run(tags={"level": "monitor", "job": "monitor"}):
            mlflow.log_dict({**found, "needs_retraining": needs}, "monitoring.json")
        code, _, summary = retrain(tmp_path / "nowhere.csv", if_needed=True)
        assert code == expected
        assert "2026-01-31: All quiet." in summary
    versions = store.open().search_model_versions(f"name='{MODEL}'")
    assert len(versions) == 1

"""`resecta monitor` as a job runs it: exit codes, a page that needs nothing else, and a run in the store."""

import io
import json
import re

import mlflow
import pytest
from rich.console import Console

from training.monitor import job
from training.monitor.command import ALERT, QUIET, UNREADABLE, USAGE, run_monitor
from training.monitor.reference import cohort_profile
from training.store import EXPERIMENT


@pytest.fixture(scope="module")
def ran(predictions, outcomes, store, spec, cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "profile.json").write_text(cohort_profile(cohort).model_dump_json())
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_SIMULATED", 8000)
        code = run_monitor(
            predictions,
            outcomes(conversion_12m=1.5),
            store,
            spec=spec,
            reference=folder / "profile.json",
            out=folder / "page.html",
            json_path=folder / "found.json",
            console=Console(file=said, width=200),
        )
    return code, said.getvalue(), (folder / "page.html").read_text(), json.loads((folder / "found.json").read_text())


def test_an_alert_exits_with_three_and_says_why(ran):
    code, said, _, found = ran
    assert code == ALERT
    assert "alert  Calibration: All liver disease removed: more events than predicted" in said
    assert found["needs_retraining"] and "more events" in found["reason"]


def test_the_page_needs_no_other_file(ran):
    page = ran[2]
    assert not re.search(r"(src|href)=[\"'](?!#)", page.replace('xlink:href="#', 'href="#'))
    assert "<script" not in page
    assert "@import" not in page and "url(http" not in page


def test_the_page_can_be_read_aloud_and_says_its_power_and_limits(ran):
    page = ran[2]
    assert page.count('<figure role="img" aria-label="') == 2
    assert "limit" in re.search(r'aria-label="CUSUM\. ([^"]+)"', page)[1]
    assert 'lang="en"' in page and page.count("<h1>") == 1
    for said in ("false alarms a year", "Within 60 events", "Stop rule", "An update should be considered."):
        assert said in page
    assert page.count("<th scope=") > 40


def test_no_pseudonym_or_date_of_a_patient_stands_on_the_page(ran, cohort):
    assert not [record for record in cohort.record.tolist() if record in ran[2]]
    assert not [record for record in cohort.record.tolist() if record in json.dumps(ran[3])]


def test_the_run_lies_in_the_store_beside_the_jobs(ran, store):
    client = store.open()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    (run, *_) = client.search_runs([experiment.experiment_id], "tags.level = 'monitor'")
    assert run.data.tags["needs_retraining"] == "true"
    assert run.data.metrics["conversion_12m/observed_to_expected_12m"] > 1.2
    assert run.data.metrics["monitor/alerts"] >= 1
    assert {a.path for a in client.list_artifacts(run.info.run_id)} == {"monitoring.html", "monitoring.json"}
    assert mlflow.active_run() is None


def test_nothing_found_exits_with_zero(predictions, outcomes, store, spec, monkeypatch):
    monkeypatch.setattr(job, "_SIMULATED", 8000)
    console = Console(file=io.StringIO())
    assert run_monitor(predictions, outcomes(), store, spec=spec, console=console) == QUIET


def test_an_unreadable_file_and_a_missing_one_have_codes_of_their_own(predictions, outcomes, store, spec, tmp_path):
    said = io.StringIO()
    console = Console(file=said, width=200)
    assert run_monitor(tmp_path / "no.csv", outcomes(), store, spec=spec, console=console) == USAGE
    assert run_monitor(outcomes(), outcomes(), store, spec=spec, console=console) == UNREADABLE
    assert "model_version" in said.getvalue() and "Traceback" not in said.getvalue()

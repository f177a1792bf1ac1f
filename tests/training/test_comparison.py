"""What `resecta compare` reads back from a real store, with evaluations made by hand."""

import io

import mlflow
import pytest
from rich.console import Console

from tests.training.report.made import NAMES, made_evaluation
from training.comparison import CHECKS, EVALUATION, beside, judged_version, version_named
from training.comparison_command import NOTHING, SHOWN, USAGE, run_compare
from training.job import train_from_evidence
from training.registration import register
from training.store import CHALLENGER, CHAMPION, MODEL, Store
from validation.gates import GateFacts


@pytest.fixture(scope="module")
def made(tmp_path_factory, spec, prior):
    """A store with the evidence as champion and two judged versions, on patients of their own each."""
    from training.bundle import Support, save_bundle
    from training.registration import registered_manifest

    store = Store(tmp_path_factory.mktemp("compared"))
    evidence = train_from_evidence(spec, prior, store).version
    manifest = registered_manifest(store, evidence)
    versions = [evidence]
    for place, champion in enumerate((evidence, "2")):
        folder = tmp_path_factory.mktemp("made") / "bundle"
        trained_on = manifest.trained_on.model_copy(
            update={"kind": "simulated", "patients": 1000, "sites": 4, "data_digest": str(place) * 64}
        )
        own = manifest.model_copy(update={"trained_on": trained_on})
        save_bundle(folder, own, prior.parameters, spec, Support(), {})
        with mlflow.start_run():
            mlflow.log_text(made_evaluation().model_dump_json(), EVALUATION)
            facts = GateFacts(model="xgboost_prior", judged_against=champion)
            mlflow.log_text(facts.model_dump_json(), CHECKS)
            versions.append(register(store, folder, own, spec, "made by hand"))
    client = store.open()
    client.set_registered_model_alias(MODEL, CHALLENGER, versions[-1])
    client.set_model_version_tag(MODEL, versions[-1], "gate.resection_12m.log_loss", "failed: 0.0060; allowed: 0.005")
    client.set_model_version_tag(MODEL, versions[-1], "gate.loads", "passed: 1; allowed: at least 1")
    client.set_model_version_tag(MODEL, versions[-1], "decision", "refused 2026-01-01 by board: too soon")
    return store, versions


@pytest.fixture
def compare(made, spec):
    def run(width: int = 140, **options):
        out = io.StringIO()
        code = run_compare(made[0], spec, console=Console(file=out, width=width), **options)
        return code, out.getvalue()

    return run


def test_the_challenger_is_compared_when_no_version_is_named(compare, made):
    code, text = compare()
    assert code == SHOWN
    assert f"Version {made[1][2]} (challenger)" in text
    assert "Simulated patients are no evidence" in text
    assert "Judged on 1,000 patients, whole calendar periods held out." in text


def test_every_model_and_outcome_is_tabled_with_its_interval(compare, spec):
    _, text = compare()
    for label in ("Evidence alone", "Boosted trees", "Evidence updated", "Champion", "Prevalence"):
        assert label in text
    for name in NAMES:
        assert spec.outcomes[name].label.split(",")[0] in text
    assert "0.588 to 0.628" in text


def test_a_narrow_terminal_gets_several_tables_and_loses_no_model(compare):
    _, text = compare(width=80)
    assert text.count("Log loss, with 95% intervals") == 3
    assert all(len(line) <= 80 for line in text.splitlines() if line.startswith(("│", "┃")))
    assert "Prevalence" in text


def test_differences_say_which_way_and_where_nothing_can_be_told(compare):
    _, text = compare()
    assert "−0.0040 │ −0.0070 to −0.0010 │ better" in text
    assert "no reliable difference" in text
    assert "not compared: too few events" in text
    assert "better on 1, worse on 1, no reliable difference on 1, not comparable on 1" in text


def test_gates_and_the_decision_are_shown_as_they_were_written(compare):
    _, text = compare()
    assert "Gates: 1 of 2 passed" in text
    assert "not passed" in text
    assert "Decision: refused 2026-01-01 by board: too soon" in text


def test_gates_that_were_not_asked_are_said_not_to_have_been(compare, made):
    assert "not asked yet" in compare(version=made[1][1])[1]


def test_against_the_version_that_was_champion_the_comparison_is_paired(compare, made):
    code, text = compare(version=made[1][2], against=made[1][1])
    assert code == SHOWN
    assert "version 3 minus version 2, the same patients" in text
    assert "lower log loss than version 2 by 0.0040" in text


def test_versions_on_different_patients_are_not_compared_as_paired(made, spec):
    store, (_, second, third) = made
    pair = beside(judged_version(store, second), judged_version(store, third))
    assert pair.paired == ()
    assert "on different patients" in pair.why_not
    out = io.StringIO()
    assert run_compare(store, spec, second, third, console=Console(file=out, width=140)) == SHOWN
    assert "says nothing about which predicts better" in out.getvalue()
    assert "better │" not in out.getvalue()


def test_an_unknown_metric_is_refused_with_those_that_there_are(compare):
    code, text = compare(metric="accuracy")
    assert code == USAGE
    assert "log_loss, auroc, calibration_slope" in text


def test_another_metric_can_be_asked_for(compare):
    code, text = compare(metric="auroc")
    assert code == SHOWN
    assert "AUROC, with 95% intervals" in text
    assert "higher than the champion" not in text


def test_a_version_that_is_compared_with_itself_is_refused(compare):
    assert compare(version="2", against="2")[0] == USAGE


def test_an_unknown_version_is_refused_with_those_that_there_are(compare):
    code, text = compare(version="17")
    assert code == NOTHING
    assert "there are 1, 2, 3, challenger, champion" in text


def test_evidence_alone_has_nothing_to_compare_and_says_what_would(compare):
    code, text = compare(version=CHAMPION)
    assert code == NOTHING
    assert "resecta train --data" in text


def test_an_empty_store_says_what_to_do(tmp_path, spec):
    out = io.StringIO()
    assert run_compare(Store(tmp_path), spec, console=Console(file=out, width=100)) == NOTHING
    assert "train one with" in out.getvalue()


def test_without_a_challenger_the_champion_is_taken(made):
    store, versions = made
    client = store.open()
    client.delete_registered_model_alias(MODEL, CHALLENGER)
    try:
        assert version_named(store, None) == versions[0]
    finally:
        client.set_registered_model_alias(MODEL, CHALLENGER, versions[-1])

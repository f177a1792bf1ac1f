"""A training job leaves tracked candidates, a registered model, and never promotes itself."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest

from features import Part, Patients
from training.bundle import load_bundle
from training.promotion import PromotionRefused, promote
from training.registration import alias_version, bundle_folder, export, input_example, registered_manifest
from training.store import CHALLENGER, CHAMPION, EXPERIMENT, MODEL, PREVIOUS


@pytest.fixture(scope="module")
def runs(challenger, store):
    client = store.open()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found = client.search_runs([experiment.experiment_id], max_results=100)
    parent = next(r for r in found if r.info.run_id == challenger.run_id)
    children = [r for r in found if r.data.tags.get("mlflow.parentRunId") == challenger.run_id]
    return parent, {r.data.tags["model_family"]: r for r in children}


@pytest.fixture(scope="module")
def candidates(runs):
    return {name: run for name, run in runs[1].items() if run.data.tags["level"] == "candidate"}


def test_the_evidence_is_champion_and_a_simulated_model_only_challenger(champion, challenger, store):
    assert alias_version(store, CHAMPION) == champion.version
    assert alias_version(store, CHALLENGER) == challenger.version
    assert registered_manifest(store, champion.version).trained_on.kind == "evidence"
    assert registered_manifest(store, challenger.version).simulated


def test_every_candidate_is_a_child_run_with_metrics_for_every_outcome(candidates, spec):
    assert set(candidates) == {"evidence", "logistic", "xgboost", "xgboost_prior"}
    for run in candidates.values():
        for name in spec.outcomes.names:
            assert f"{name}/log_loss" in run.data.metrics
        for metric in ("auroc", "brier", "calibration_slope"):
            assert f"resection_12m/{metric}" in run.data.metrics


def test_champion_and_published_scores_stand_beside_the_candidates_with_the_same_metrics(runs, candidates):
    _, children = runs
    beside = {name: run for name, run in children.items() if name not in candidates}
    assert {run.data.tags["level"] for run in beside.values()} == {"champion", "baseline"}
    assert {"champion", "prevalence"} <= set(beside)
    for run in beside.values():
        assert {"conversion_12m/log_loss", "conversion_12m/auroc"} <= set(run.data.metrics)


def test_a_job_leaves_a_report_a_reporting_record_and_what_gates_read(runs, store):
    parent, _ = runs
    kept = {a.path for a in store.open().list_artifacts(parent.info.run_id)}
    wanted = {"evaluation.json", "deciding.json", "checks.json", "contrasts.json", "profile.json"}
    assert wanted | {"report.html", "tripod_ai.json", "tripod_ai.md"} <= kept


def test_the_parent_run_carries_what_compares_jobs(runs, spec, registry):
    parent, _ = runs
    assert parent.data.tags["spec_digest"] == spec.digest
    assert parent.data.tags["data_digest"] == registry.digest
    assert parent.data.tags["simulated"] == "true"
    assert parent.data.metrics["candidates/evidence_log_loss"] > 0
    assert parent.inputs.dataset_inputs[0].dataset.digest == registry.digest[:32]


def test_a_metric_that_could_not_be_computed_is_absent_and_has_a_reason(runs, store):
    _, children = runs
    run = children["evidence"]
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="notes.json")
    notes = json.loads(Path(path).read_text("utf-8"))
    for key, reason in notes["not_computed"].items():
        assert key not in run.data.metrics
        assert reason


def test_a_reliability_plot_is_kept_for_each_candidate(candidates, store):
    client = store.open()
    for run in candidates.values():
        assert "reliability.png" in {a.path for a in client.list_artifacts(run.info.run_id)}


def test_the_run_says_which_regimen_effects_the_registry_moved_and_on_how_many_patients(runs, store):
    _, children = runs
    run_id = children["xgboost_prior"].info.run_id
    path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="regimen_effects.json")
    effects = json.loads(Path(path).read_text("utf-8"))["regimen_effects"]
    assert {"evidence", "with_registry", "patients_with", "text"} <= set(effects[0])
    for effect in effects:
        assert effect["with_registry"]["low"] < effect["with_registry"]["odds_ratio"] < effect["with_registry"]["high"]


def test_the_winner_has_the_lowest_mean_held_out_log_loss(challenger):
    losses = {a.learner: a.mean("log_loss") for a in challenger.assessed}
    assert losses[challenger.winner] == min(losses.values())


def test_outcomes_given_resection_are_learned_from_the_resected_only(challenger, store, cohort):
    resected = int(np.nansum(cohort.outcomes["resection_12m"]))
    models = {m.outcome: m for m in registered_manifest(store, challenger.version).outcomes}
    assert models["any_complication"].patients <= resected
    assert models["major_complication"].patients <= models["any_complication"].patients
    assert models["resection_12m"].patients > resected


def test_the_registered_model_answers_in_mlflow_as_the_bundle_does(challenger, store, spec):
    store.open()
    loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}/{challenger.version}")
    example = input_example(spec)
    answered = loaded.predict(example)
    bundle = load_bundle(bundle_folder(store, challenger.version), spec)
    row = example.to_dict("records")[0]
    record = {}
    for field in spec.asked:
        value = row[field.name]
        kinds = {"boolean": bool, "codes": lambda v: v.split(";")}
        record[field.name] = kinds.get(field.kind.value, lambda v: v)(value)
    patients = Patients.from_records(spec, [record])
    regimen = spec.regimens.regimen(row["planned_backbone"], row["planned_biologic"], int(row["planned_cycles"]))
    scores = bundle.score(patients, [regimen], intervals=False)
    for name in spec.outcomes.names:
        assert answered[name].iloc[0] == pytest.approx(float(scores.probability[name][0, 0]))


def test_simulated_patients_are_no_support_and_narrow_no_interval(challenger, champion, store, spec):
    learned = load_bundle(bundle_folder(store, challenger.version), spec)
    evidence = load_bundle(bundle_folder(store, champion.version), spec)
    assert learned.support.counts == ()
    # Little known, so that much of the doubt is about what is missing, and everything that a form asks.
    records = [{"age_years": 54}, {"age_years": 71, "ras_status": "mutant", "n_liver_metastases": 12, "bilobar": True}]
    patients, regimens = Patients.from_records(spec, records), spec.regimens.all()
    resection = spec.outcomes.part(Part.RESECTION).name

    def width(bundle):
        scores = bundle.score(patients, regimens)
        low, high = (np.clip(bound[resection], 1e-6, 1 - 1e-6) for bound in (scores.low, scores.high))
        return np.log(high / (1 - high)) - np.log(low / (1 - low))

    assert (width(learned) >= 0.98 * width(evidence)).all()


def test_a_real_registry_narrows_what_it_informs_and_counts_as_support(as_if_real, champion, store, spec):
    learned = load_bundle(bundle_folder(store, as_if_real.version), spec)
    evidence = load_bundle(bundle_folder(store, champion.version), spec)
    assert sum(c.patients for c in learned.support.counts) > 300
    mine, theirs = (
        next(o for o in b.prior.parameters.outcomes if o.outcome == "resection_12m") for b in (learned, evidence)
    )
    if as_if_real.winner == "xgboost_prior":
        assert np.trace(mine.covariance) < np.trace(theirs.covariance) + 0.25


def test_export_makes_a_folder_that_loads_without_mlflow_and_names_its_version(champion, store, spec, tmp_path):
    number = export(store, CHAMPION, tmp_path / "bundle")
    assert number == champion.version
    assert load_bundle(tmp_path / "bundle", spec).manifest.version == champion.version


def test_exporting_an_alias_that_does_not_exist_says_what_makes_one(store, champion, tmp_path):
    with pytest.raises(LookupError, match="no version has the alias nobody"):
        export(store, "nobody", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_job_that_fails_leaves_no_version_and_no_scratch(store, champion, spec, prior, monkeypatch):
    import training.job

    before = len(store.open().search_model_versions(f"name='{MODEL}'"))
    monkeypatch.setattr(training.job, "save_bundle", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        training.job.train_from_evidence(spec, prior, store)
    assert len(store.open().search_model_versions(f"name='{MODEL}'")) == before
    assert list(store.bundles.iterdir()) == []


def test_a_simulated_model_is_refused_without_permission_and_the_champion_stays(challenger, store, spec):
    before = alias_version(store, CHAMPION)
    with pytest.raises(PromotionRefused, match="--allow-simulated"):
        promote(store, spec, challenger.version, False, "tester", "try")
    assert alias_version(store, CHAMPION) == before


def test_a_permitted_promotion_moves_the_aliases_and_records_who_and_why(challenger, champion, store, spec):
    done = promote(store, spec, challenger.version, True, "Dr Example", "demonstration")
    try:
        assert alias_version(store, CHAMPION) == challenger.version
        assert alias_version(store, PREVIOUS) == champion.version == done.replaced
        tags = store.open().get_model_version(MODEL, challenger.version).tags
        assert "by Dr Example: demonstration" in tags["decision"]
    finally:
        promote(store, spec, champion.version, False, "tester", "restore")
    assert alias_version(store, CHAMPION) == champion.version


def test_a_model_from_a_real_registry_is_judged_by_gates_whose_figures_are_kept(as_if_real, champion, store, spec):
    try:
        promote(store, spec, as_if_real.version, False, "tester", "gates")
    except PromotionRefused as refused:
        assert "gates not passed" in str(refused)
    finally:
        promote(store, spec, champion.version, False, "tester", "restore")
    tags = store.open().get_model_version(MODEL, as_if_real.version).tags
    assert any(k.startswith("gate.resection_12m.") for k in tags)

"""An update moves what newer patients justify, and leaves evidence, intervals and regimen contrasts as they were."""

import dataclasses
import datetime as dt
import json

import mlflow
import numpy as np
import pytest
from scipy.special import expit, logit

from features import Patients, SpecificationError
from training import experiment, updating
from training.bundle import BundleRefused, Manifest, load_bundle, reference_regimen
from training.champion import Champion, evidence, load_champion, predict
from training.closed_cohort import newest_date
from training.registration import bundle_folder, input_example, register
from training.store import MODEL
from training.updating import decide, describe, load_updating, revision_design, write_update
from validation.closed_testing import Minimums

AS_OF = dt.date(2026, 1, 1)
RECORDS = [
    {"age_years": 54, "n_liver_metastases": 9, "ras_status": "mutant", "bilobar": True},
    {"age_years": 71, "n_liver_metastases": 3, "ras_status": "wt", "braf_status": "wt", "primary_site": "sigmoid"},
    {"age_years": 40},
]


@pytest.fixture(scope="module")
def patients(spec):
    return Patients.from_records(spec, RECORDS)


@pytest.fixture(scope="module")
def twice(spec, prior, cohort):
    """Patients enough for a line, with outcomes drawn from the champion except where a test says otherwise."""
    many = cohort.take(np.tile(np.arange(len(cohort)), 2))
    said = predict(evidence(spec, prior).bundle, many)

    def drawn(moves, seed=3):
        rng = np.random.default_rng(seed)
        outcomes = {}
        for outcome in spec.outcomes.outcomes:
            name = outcome.name
            true = said.log_odds[name]
            true = moves[name](true, said.reference[name]) if name in moves else true
            y = (rng.random(len(many)) < expit(true)).astype(float)
            if outcome.within is not None:
                y = np.where(outcomes[outcome.within] == 0, 0.0, np.where(outcomes[outcome.within] == 1, y, np.nan))
            if outcome.given is not None:
                y = np.where(outcomes[outcome.given] == 1, y, np.nan)
            outcomes[name] = y
        return dataclasses.replace(many, outcomes=outcomes)

    return drawn


@pytest.fixture(scope="module")
def moved(twice):
    return twice(
        {
            "objective_response": lambda full, reference: full + 0.7,
            "resection_12m": lambda full, reference: full - 0.55 * (reference - reference.mean()) + 0.3,
            "sinusoidal_injury": lambda full, reference: full + 1.5,
        }
    )


@pytest.fixture(scope="module")
def decision(moved, spec, prior):
    return decide(evidence(spec, prior), moved, AS_OF, spec)


@pytest.fixture
def written(moved, decision, spec, prior, tmp_path):
    folder = tmp_path / "bundle"
    manifest = write_update(evidence(spec, prior), decision, moved, folder, "d" * 64, False, "test")
    return folder, manifest


def test_a_champion_that_is_right_is_left_alone(twice, spec, prior):
    found = decide(evidence(spec, prior), twice({}), AS_OF, spec)
    assert found.step == "nothing"
    with pytest.raises(ValueError, match="justifies no update"):
        write_update(evidence(spec, prior), found, twice({}), None, "d" * 64, False, "test")


def test_each_outcome_gets_the_least_update_and_its_reason_names_test_and_patients(decision, spec):
    steps = {name: c.step for name, c in decision.chosen.items()}
    assert steps["objective_response"] == "intercept"
    assert steps["resection_12m"] == "line"
    assert decision.step == "line"
    assert decision.chosen["objective_response"].intercept == pytest.approx(0.7, abs=0.25)
    assert decision.chosen["resection_12m"].slope == pytest.approx(0.45, abs=0.25)
    lines = decision.text.splitlines()
    assert len(lines) == len(spec.outcomes.names)
    assert "on 4 degrees of freedom" in lines[0] and "closed patients" in lines[0]


def test_an_outcome_recorded_when_suspected_is_not_moved_by_its_rate(decision):
    chosen = decision.chosen["sinusoidal_injury"]
    assert chosen.step == "nothing" and "recorded when it is suspected" in chosen.reason


def test_a_revision_re_estimates_patient_factors_only_and_what_is_missing_counts_as_the_mean(cohort, spec):
    shipped = load_updating(spec)
    rows = np.ones(len(cohort), dtype=bool)
    for outcome in spec.outcomes.outcomes:
        assert not set(shipped.revision[outcome.group]) & {f.name for f in spec.encoding.regimen_factors}
        design = revision_design(cohort, outcome.name, rows)
        assert np.isfinite(design).all()
        assert design.mean(axis=0) == pytest.approx(0, abs=1e-9)
    values = spec.encoding.patient_matrix(cohort.patients, shipped.revision["complications"])
    assert (revision_design(cohort, "any_complication", rows)[np.isnan(values)] == 0).all()


def test_only_closed_patients_decide(moved, spec, prior):
    early = decide(evidence(spec, prior), moved, dt.date(2018, 9, 1), spec)
    assert early.step == "nothing"
    assert "nothing could be tested" in early.chosen["resection_12m"].reason


def test_higher_minimums_hold_an_update_back(moved, spec, prior):
    found = decide(evidence(spec, prior), moved, AS_OF, spec, minimums=Minimums(intercept=10_000, line=10_000))
    assert found.step == "nothing"


def test_the_new_bundle_loads_and_answers_as_the_decision_says(written, decision, spec, prior, patients):
    folder, manifest = written
    before, after = evidence(spec, prior).bundle, load_bundle(folder, spec)
    assert after.manifest == manifest
    regimens = list(spec.regimens.all())
    old, new = (b.score(patients, regimens) for b in (before, after))
    chosen = decision.chosen["objective_response"]
    assert logit(new.probability["objective_response"]) == pytest.approx(
        logit(old.probability["objective_response"]) + chosen.intercept, abs=1e-6
    )
    line, root = decision.chosen["resection_12m"], logit(old.probability["resection_12m"])
    at_reference = root[:, [regimens.index(reference_regimen(spec))]]
    assert logit(new.probability["resection_12m"]) == pytest.approx(
        root + line.intercept + (line.slope - 1) * at_reference, abs=1e-6
    )
    assert {p.suffix for p in folder.iterdir()} == {".json"}


def test_a_slope_keeps_every_contrast_between_regimens_on_the_log_odds_scale(written, spec, prior, patients):
    before, after = evidence(spec, prior).bundle, load_bundle(written[0], spec)
    regimens = list(spec.regimens.all())[3:9]
    old, new = (logit(b.score(patients, regimens).probability["resection_12m"]) for b in (before, after))
    assert new[:, 1:] - new[:, :1] == pytest.approx(old[:, 1:] - old[:, :1], abs=1e-6)
    assert not np.allclose(new, old)


def test_no_interval_is_narrower_on_the_log_odds_scale(written, spec, prior, patients):
    before, after = evidence(spec, prior).bundle, load_bundle(written[0], spec)
    regimens = list(spec.regimens.all())[:8]

    def width(bundle, name):
        scores = bundle.score(patients, regimens)
        low, high = (np.clip(b[name], 1e-9, 1 - 1e-9) for b in (scores.low, scores.high))
        return logit(high) - logit(low)

    for name in ("objective_response", "resection_12m"):
        # Quantiles are interpolated between draws on the probability scale, hence the percent of slack.
        assert (width(after, name) >= 0.99 * width(before, name)).all()


def test_an_outcome_that_was_left_alone_answers_as_before(written, spec, prior, patients):
    before, after = evidence(spec, prior).bundle, load_bundle(written[0], spec)
    regimens = list(spec.regimens.all())[:4]
    old, new = (b.score(patients, regimens).probability["any_complication"] for b in (before, after))
    assert (old == new).all()


def test_the_manifest_says_what_was_updated_on_whom_and_keeps_what_it_rests_on(written, decision, spec, prior, moved):
    _, manifest = written
    text = manifest.trained_on.text
    assert text.startswith("Published evidence, recalibrated (") and "update of the evidence" in text
    assert manifest.trained_on.kind == "registry" and manifest.trained_on.data_digest == "d" * 64
    assert manifest.spec_digest == spec.digest and manifest.version == "unregistered"
    assert manifest.trained_on.patients <= len(moved)
    assert manifest.trained_on.last_date == max(
        m.recalibration.last_date for m in manifest.outcomes if m.recalibration is not None
    )
    by_name = {m.outcome: m for m in manifest.outcomes}
    assert by_name["resection_12m"].recalibration.update_of == "evidence"
    assert by_name["resection_12m"].recalibration.events == decision.chosen["resection_12m"].events
    assert by_name["any_complication"].recalibration is None
    said = describe(evidence(spec, prior), decision, manifest)
    assert said.count(". ") == 2 and "resection_12m" in said and "regimen contrasts" in said


def test_invented_patients_make_the_update_simulated(moved, decision, spec, prior, tmp_path):
    manifest = write_update(evidence(spec, prior), decision, moved, tmp_path / "b", "d" * 64, True, "test")
    assert manifest.simulated and "simulated patients" in manifest.trained_on.text


def test_a_second_update_composes_with_the_first(written, decision, moved, spec, prior, patients, tmp_path):
    folder, _ = written
    first = Champion("4", load_bundle(folder, spec), folder)
    chosen = dataclasses.replace(decision.chosen["resection_12m"], intercept=-0.2, slope=1.3)
    others = {n: c for n, c in decision.chosen.items() if n not in ("resection_12m", "objective_response")}
    again = dataclasses.replace(decision, chosen={**others, "resection_12m": chosen})
    manifest = write_update(first, again, moved, tmp_path / "second", "e" * 64, False, "test")
    second = load_bundle(tmp_path / "second", spec)
    regimens = [reference_regimen(spec), spec.regimens.regimen("folfox", "bevacizumab")]
    old, new = (logit(b.score(patients, regimens).probability["resection_12m"]) for b in (first.bundle, second))
    assert new == pytest.approx(old - 0.2 + 0.3 * old[:, :1], abs=1e-6)
    assert manifest.trained_on.text.count("recalibrated") == 1 and "update of version 4" in manifest.trained_on.text
    by_name = {m.outcome: m.recalibration for m in manifest.outcomes}
    assert by_name["objective_response"].update_of == "evidence" and by_name["resection_12m"].update_of == "4"


def test_a_line_after_an_update_finds_nothing_left_to_do(written, moved, spec):
    folder, manifest = written
    fresh = manifest.trained_on.model_copy(update={"last_date": None})
    bundle = load_bundle(folder, spec)
    bundle.manifest = manifest.model_copy(
        update={
            "trained_on": fresh,
            "outcomes": tuple(m.model_copy(update={"recalibration": None}) for m in manifest.outcomes),
        }
    )
    found = decide(Champion("4", bundle, folder), moved, AS_OF, spec)
    assert found.chosen["objective_response"].step == found.chosen["resection_12m"].step == "nothing"


def test_the_curves_from_before_an_update_are_not_shown_after_it(
    decision, moved, champion, store, spec, prior, tmp_path
):
    held = load_champion(store, spec, prior)
    assert held.bundle.calibration.curves
    write_update(held, decision, moved, tmp_path / "bundle", "d" * 64, False, "test")
    found = load_bundle(tmp_path / "bundle", spec).calibration
    assert found.curves == {} and "was recalibrated" in found.text


def test_a_changed_champion_is_not_copied(written, decision, moved, spec, tmp_path):
    folder, _ = written
    bundle = load_bundle(folder, spec)
    (folder / "prior.json").write_text("{}", "utf-8")
    with pytest.raises(BundleRefused, match=r"prior\.json was changed"):
        write_update(Champion("4", bundle, folder), decision, moved, tmp_path / "x", "d" * 64, False, "test")


def test_a_registered_update_answers_differently_in_mlflow_and_in_the_service(
    champion, store, spec, prior, moved, patients, tmp_path
):
    held = load_champion(store, spec, prior)
    chosen = decide(held, moved, AS_OF, spec)
    manifest = write_update(held, chosen, moved, tmp_path / "job" / "bundle", "d" * 64, False, "test")
    with experiment.job(store, "update", spec, manifest.trained_on):
        version = register(store, tmp_path / "job" / "bundle", manifest, spec, describe(held, chosen, manifest))
    loaded = load_bundle(bundle_folder(store, version), spec)
    regimens = list(spec.regimens.all())[:3]
    old, new = (b.score(patients, regimens).probability for b in (held.bundle, loaded))
    assert (new["objective_response"] > old["objective_response"] + 0.03).all()
    store.open()
    example = input_example(spec)
    answers = [
        mlflow.pyfunc.load_model(f"models:/{MODEL}/{number}").predict(example)["objective_response"].iloc[0]
        for number in (champion.version, version)
    ]
    assert answers[1] > answers[0] + 0.02
    assert "Recalibration of version" in store.open().get_model_version(MODEL, version).description


def test_a_manifest_from_before_recalibrations_were_kept_still_reads(written):
    raw = json.loads((written[0] / "manifest.json").read_text("utf-8"))
    for model in raw["outcomes"]:
        model.pop("recalibration")
    assert all(m.recalibration is None for m in Manifest.model_validate(raw).outcomes)


def test_revisions_that_do_not_fit_the_specification_are_each_named(spec, tmp_path, monkeypatch):
    (tmp_path / "updating.yaml").write_text(
        "revision: {conversion: [age, bevacizumab], nobody: [age], complications: []}"
    )
    monkeypatch.setattr(updating, "files", lambda package: tmp_path)
    load_updating.cache_clear()
    try:
        with pytest.raises(SpecificationError) as caught:
            load_updating(spec)
    finally:
        load_updating.cache_clear()
    said = str(caught.value)
    assert "conversion: bevacizumab is no patient factor" in said
    assert "unknown group of outcomes nobody" in said
    assert "no revision for the group liver_injury" in said
    assert "complications: nothing is no patient factor" in said


def test_the_newest_date_of_a_registry_closes_its_older_patients(registry, cohort, spec, prior):
    as_of = newest_date(registry.frame, spec)
    found = decide(evidence(spec, prior), cohort, as_of, spec)
    assert all(c.rows.sum() < len(cohort) for c in found.cohorts.values())

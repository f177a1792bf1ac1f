"""A model carries the calibration curves of its own evaluation, and says on whom they were drawn."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest

from training.bundle import load_bundle
from training.evidence.arm_calibration import load_calibration
from training.held_out_curves import held_out_curves
from training.registration import bundle_folder, export
from validation.evaluation import CalibrationCurve, Evaluation, Judged, ModelFigures


@pytest.fixture(scope="module")
def evaluated(challenger, store):
    store.open()
    path = mlflow.artifacts.download_artifacts(run_id=challenger.run_id, artifact_path="evaluation.json")
    return Evaluation.model_validate_json(Path(path).read_text("utf-8"))


def judged(name, curve, patients=900, events=200):
    return Judged(outcome=name, patients=patients, events=events, metrics={}, calibration=curve)


def evaluation_of(outcomes):
    figures = ModelFigures(name="logistic", kind="candidate", outcomes={j.outcome: j for j in outcomes})
    return Evaluation(rows="900 patients, held out", patients=900, models=(figures,), differences=())


def line(least=0.1, most=0.6):
    at = tuple(np.linspace(least, most, 41).tolist())
    return CalibrationCurve(predicted=at, observed=at, low=at, high=at)


def test_a_trained_model_carries_the_curves_of_its_evaluation(challenger, evaluated, store, spec):
    carried = load_bundle(bundle_folder(store, challenger.version), spec).calibration
    own = evaluated.model(challenger.winner).outcomes
    assert "resection_12m" in carried.curves
    assert set(carried.curves) <= {name for name, found in own.items() if found.calibration is not None}
    for name, curve in carried.curves.items():
        assert (curve.patients, curve.events) == (own[name].patients, own[name].events)
        for part in ("predicted", "observed", "low", "high"):
            assert getattr(curve, part) == pytest.approx(getattr(own[name].calibration, part), abs=5.1e-5)


def test_a_model_of_simulated_patients_says_so_before_anything_else(challenger, evaluated, store, spec):
    carried = load_bundle(bundle_folder(store, challenger.version), spec).calibration
    assert carried.basis == "simulated"
    assert carried.text.startswith("Simulated patients") and "nothing of real ones" in carried.text
    assert evaluated.rows in carried.text
    for name in set(spec.outcomes.names) - set(carried.curves):
        assert spec.outcomes[name].label in carried.text


def test_an_exported_model_shows_the_curves_that_it_was_registered_with(challenger, store, spec, tmp_path):
    export(store, challenger.version, tmp_path / "bundle")
    registered = load_bundle(bundle_folder(store, challenger.version), spec).calibration
    assert load_bundle(tmp_path / "bundle", spec).calibration == registered
    assert len((tmp_path / "bundle" / "calibration.json").read_bytes()) < 20_000


def test_the_evidence_carries_how_trial_arms_compare_with_it_and_claims_no_patient(champion, store, spec):
    bundle = load_bundle(bundle_folder(store, champion.version), spec)
    carried = bundle.calibration
    assert carried == load_calibration(bundle.prior.parameters.evidence_digest)
    assert carried.basis == "evidence" and carried.text.startswith("No patient's outcome was compared")
    assert all(curve.patients is None and curve.arms >= 20 for curve in carried.curves.values())


def test_an_outcome_without_a_usable_curve_is_named_instead_of_drawn(spec):
    first, second, third, *_ = spec.outcomes.names
    torn = line().model_copy(update={"low": (float("nan"), *line().low[1:])})
    found = held_out_curves(
        evaluation_of([judged(first, line()), judged(second, torn), judged(third, line(0.3, 0.3))]),
        "logistic",
        spec,
        "0" * 64,
        simulated=False,
    )
    assert list(found.curves) == [first] and found.basis == "registry"
    assert found.text.startswith("900 patients, held out.") and "Simulated" not in found.text
    for name in (second, third):
        assert spec.outcomes[name].label in found.text


def test_without_any_curve_the_text_says_that_there_is_no_plot(spec):
    found = held_out_curves(evaluation_of([]), "logistic", spec, "0" * 64, simulated=False)
    assert found.curves == {} and found.text.startswith("There is no calibration plot.")
    assert json.loads(found.model_dump_json())["curves"] == {}


def test_an_outcome_recorded_when_suspected_is_shown_with_a_warning(spec):
    suspected = next(o for o in spec.outcomes.outcomes if o.selectively_recorded)
    found = held_out_curves(evaluation_of([judged(suspected.name, line())]), "logistic", spec, "0" * 64, False)
    assert f"observed too often: {suspected.label}" in found.text

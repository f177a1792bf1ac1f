"""The champion is asked what it said of patients already treated, each under the regimen received."""

import time

import numpy as np
import pytest
import xgboost as xgb

from training.bundle import Bundle, OutcomeModel, Recalibration, reference_regimen
from training.bundle.learned import BoosterModel, LogisticModel, LogisticParameters
from training.champion import evidence, load_champion, predict, seen
from training.store import Store


def booster(spec, terms=(), prior_started=True):
    rng = np.random.default_rng(1)
    columns = spec.encoding.learned
    x = rng.normal(size=(300, len(columns) + len(terms)))
    y = (x[:, 0] + x[:, -1] > 0).astype(float)
    trained = xgb.train(
        {"max_depth": 2, "objective": "binary:logistic"}, xgb.DMatrix(x, y, base_margin=np.zeros(300)), 5
    )
    start = 0.0 if prior_started else -0.4
    return BoosterModel(bytes(trained.save_raw("ubj")), columns, terms, prior_started, start, spec)


@pytest.fixture(scope="module")
def mixed(spec, prior):
    """A model in which every kind of learner answers something, and some of it is recalibrated."""
    learned = {
        "objective_response": booster(spec),
        "resection_12m": booster(spec, ("bevacizumab", "anti_egfr_ras_mutant"), prior_started=False),
        "any_complication": LogisticModel(
            LogisticParameters(
                intercept=-0.3,
                terms=("age", "bevacizumab", "anti_egfr_ras_mutant"),
                coefficients=(0.5, 0.2, -0.4),
                medians={"age": 0.3, "ras_mutant": 1.0},
                missing={"albumin": 0.7},
            ),
            spec,
        ),
    }
    moved = {
        "resection_12m": Recalibration(
            intercept=0.4, slope=0.7, update_of="1", patients=9, events=9, last_date="2020-01-01"
        ),
        "steatosis": Recalibration(intercept=-0.5, update_of="1", patients=9, events=9, last_date="2020-01-01"),
    }
    manifest = evidence(spec, prior).bundle.manifest
    models = tuple(
        OutcomeModel(
            outcome=n,
            learner="evidence",
            calibration=(0.2, 0.9) if n == "any_complication" else (0.0, 1.0),
            recalibration=moved.get(n),
        )
        for n in spec.outcomes.names
    )
    return Bundle(manifest.model_copy(update={"outcomes": models}), prior, spec, learned)


def test_each_patient_gets_what_the_service_answers_for_the_regimen_received(mixed, cohort, spec):
    predicted = predict(mixed, cohort)
    for i in (0, 3, 17, 200):
        one = cohort.patients.take(np.array([i]))
        shown = mixed.score(one, [cohort.regimens[i]], intervals=False)
        at_reference = mixed.score(one, [reference_regimen(spec)], intervals=False)
        for name in spec.outcomes.names:
            assert predicted.probability[name][i] == pytest.approx(shown.probability[name][0, 0], abs=1e-6)
        root = 1 / (1 + np.exp(-predicted.reference["resection_12m"][i]))
        assert root == pytest.approx(at_reference.probability["resection_12m"][0, 0], abs=1e-6)


def test_the_effects_moved_by_simulated_patients_are_what_is_shown(spec, prior, cohort):
    part = prior.parameters.outcomes[0]
    shifted = part.model_copy(
        update={"coefficients": tuple(c.model_copy(update={"mean": c.mean + 0.2}) for c in part.coefficients)}
    )
    parameters = prior.parameters.model_copy(update={"outcomes": (shifted, *prior.parameters.outcomes[1:])})
    few = cohort.take(np.arange(4))
    bundle = Bundle(evidence(spec, prior).bundle.manifest, prior, spec, shown=type(prior)(parameters, spec))
    name = spec.outcomes.names[0]
    for i in range(4):
        shown = bundle.score(few.patients.take(np.array([i])), [few.regimens[i]], intervals=False)
        assert predict(bundle, few).probability[name][i] == pytest.approx(shown.probability[name][0, 0], abs=1e-6)


def test_predicting_takes_less_than_a_millisecond_of_a_core_for_each_patient(spec, prior, cohort):
    bundle = evidence(spec, prior).bundle
    predict(bundle, cohort.take(np.arange(20)))
    started = time.process_time()
    predict(bundle, cohort)
    assert time.process_time() - started < 1e-3 * len(cohort) + 1.0


def test_no_patients_get_no_predictions(spec, prior, cohort):
    none = predict(evidence(spec, prior).bundle, cohort.take(np.zeros(len(cohort), dtype=bool)))
    assert all(p.shape == (0,) for p in none.probability.values())


def test_without_a_champion_the_evidence_answers(spec, prior, tmp_path):
    found = load_champion(Store(tmp_path / "empty"), spec, prior)
    assert (found.version, found.folder, found.name) == (None, None, "the evidence")
    assert found.bundle.manifest.trained_on.kind == "evidence"


def test_the_registered_champion_is_loaded_with_its_version(champion, store, spec, prior):
    found = load_champion(store, spec, prior)
    assert found.version == champion.version and found.name == f"version {champion.version}"
    assert (found.folder / "manifest.json").is_file()


def test_whether_patients_were_seen_in_training_is_told_from_dates_and_called_a_guess(spec, prior, cohort):
    manifest = evidence(spec, prior).bundle.manifest
    assert "has learned from no patient" in seen(manifest, cohort)

    def until(date):
        data = manifest.trained_on.model_copy(update={"kind": "registry", "last_date": date})
        return seen(manifest.model_copy(update={"trained_on": data}), cohort)

    assert "is a guess" in until("2020-03-31")
    count = int((cohort.index_date <= np.datetime64("2020-03-31")).sum())
    assert until("2020-03-31").startswith(f"{count:,} of these {len(cohort):,} patients began by 2020-03-31")
    assert until("2001-01-01").startswith(f"None of these {len(cohort):,} patients was seen")

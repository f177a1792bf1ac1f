"""Refits on parts of a registry say how far a prediction rests on which patients a registry happened to hold."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from training.encoded import Encoded, encode
from training.learners import fit_candidate
from training.stability import headline_stability, stability, stability_figure

OUTCOME = "resection_12m"


@pytest.fixture(scope="module")
def encoded(cohort, prior, spec):
    return encode(cohort, prior, spec)


@pytest.fixture(scope="module")
def found(encoded):
    return stability("logistic", encoded, OUTCOME, refits=6)


def first(encoded: Encoded, n: int) -> Encoded:
    parts = {
        name: getattr(encoded, name)[:n] for name in ("prognosis", "patient_part", "regimen_part", "effects", "prior")
    }
    return replace(encoded, **parts, outcomes={name: y[:n] for name, y in encoded.outcomes.items()})


def test_every_patient_who_taught_the_model_has_a_spread(found, encoded):
    assert found.refits == 6
    assert found.original.shape == found.low.shape == found.high.shape == (encoded.eligible(OUTCOME).sum(),)
    assert (found.low <= found.high).all()
    assert 0 < found.mape < 0.3
    assert found.median_width <= found.widest


def test_the_original_is_the_fit_on_all_patients(found, encoded):
    rows = encoded.eligible(OUTCOME)
    fit = fit_candidate("logistic", encoded, OUTCOME, rows)
    again = stability("logistic", encoded, OUTCOME, fit=fit, refits=6)
    assert again.original == pytest.approx(found.original, abs=1e-6)
    assert again.mape == pytest.approx(found.mape, abs=1e-6)


def test_fewer_patients_are_less_stable(found, encoded):
    assert stability("logistic", first(encoded, 150), OUTCOME, refits=6).mape > found.mape


def test_a_model_that_leans_on_evidence_is_more_stable_than_trees_alone(encoded):
    few = first(encoded, 200)
    leaning, alone = (stability(learner, few, OUTCOME, refits=4).mape for learner in ("xgboost_prior", "xgboost"))
    assert leaning < alone


def test_trees_that_find_nothing_in_noise_are_called_stable(encoded):
    rows = encoded.eligible(OUTCOME)
    y = encoded.outcomes[OUTCOME].copy()
    y[rows] = np.random.default_rng(4).permutation(y[rows])
    noise = replace(encoded, outcomes={**encoded.outcomes, OUTCOME: y})
    assert stability("xgboost", noise, OUTCOME, refits=4).mape < 0.05


def test_the_evidence_has_nothing_to_refit_and_says_so(encoded):
    found = stability("evidence", encoded, OUTCOME)
    assert found.mape is None
    assert "evidence" in found.reason
    assert found.metrics() == {}


def test_too_few_events_are_a_reason_and_no_figure(encoded):
    found = stability("logistic", first(encoded, 20), OUTCOME)
    assert found.mape is None
    assert "needed" in found.reason
    assert "needed" in found.text("Liver surgery")


def test_only_headline_outcomes_are_refitted_and_drawn(encoded, spec):
    found = headline_stability("logistic", encoded, {}, refits=2)
    assert [one.outcome for one in found] == [o.name for o in spec.outcomes.outcomes if o.headline]
    assert isinstance(stability_figure(found, encoded), Figure)
    assert isinstance(stability_figure(headline_stability("evidence", encoded, {}), encoded), Figure)


def test_the_sentence_gives_points_and_the_number_of_refits(found):
    text = found.text("Liver surgery")
    assert "6 refits on random halves" in text
    assert f"{100 * found.mape:.1f} points" in text


def test_one_refit_is_refused(encoded):
    with pytest.raises(ValueError, match="2 or more"):
        stability("logistic", encoded, OUTCOME, refits=1)


def test_progress_is_told_after_each_refit(encoded):
    told: list[int] = []
    stability("logistic", encoded, OUTCOME, refits=3, tick=lambda: told.append(1))
    assert len(told) == 3

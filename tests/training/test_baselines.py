"""Baselines are judged on the same patients and folds as the models, and never see the fold they predict."""

from dataclasses import replace

import numpy as np
import pytest

from training.baselines import PREVALENCE, baselines
from training.encoded import MIN_EVENTS, encode
from training.splits import choose_split, folds
from validation.scores import load_scores


@pytest.fixture(scope="module")
def encoded(cohort, prior, spec):
    return encode(cohort, prior, spec)


@pytest.fixture(scope="module")
def fold(cohort):
    return folds(choose_split(cohort.site, cohort.index_date), cohort.site, cohort.index_date)


@pytest.fixture(scope="module")
def found(encoded, cohort, fold):
    return baselines(encoded, cohort, fold)


def test_there_is_the_prevalence_and_one_baseline_for_each_score(found, spec):
    assert set(found.predicted) == {PREVALENCE, *(score.name for score in load_scores(spec))}
    assert set(found.labels) == set(found.predicted)


def test_every_outcome_is_predicted_for_every_patient_or_has_a_reason(found, encoded, spec):
    for name, by_outcome in found.predicted.items():
        assert {*by_outcome, *found.skipped[name]} == set(spec.outcomes.names)
        for p in by_outcome.values():
            assert p.shape == (encoded.n,)
            assert ((p > 0) & (p < 1)).all()


def test_an_outcome_with_too_few_events_has_no_baseline(found, encoded):
    for outcome, reason in found.skipped[PREVALENCE].items():
        y = encoded.outcomes[outcome][encoded.reported(outcome)]
        assert min(y.sum(), len(y) - y.sum()) < MIN_EVENTS
        assert str(MIN_EVENTS) in reason
    assert "resection_12m" in found.predicted[PREVALENCE]


def test_the_prevalence_is_that_of_the_other_folds(found, encoded, fold):
    outcome = "resection_12m"
    rows, y = encoded.reported(outcome), encoded.outcomes[outcome]
    p = found.predicted[PREVALENCE][outcome]
    for k in np.unique(fold):
        assert p[fold == k] == pytest.approx(y[rows & (fold != k)].mean(), abs=0.005)


def test_a_patient_without_the_score_gets_the_prevalence_and_the_share_is_reported(found, encoded, cohort, spec):
    outcome = "resection_12m"
    rows = encoded.reported(outcome)
    for score in load_scores(spec):
        known = ~np.isnan(score.points(cohort.patients))
        assert not known.all()
        assert found.predicted[score.name][outcome][~known] == pytest.approx(
            found.predicted[PREVALENCE][outcome][~known]
        )
        assert found.known[score.name][outcome] == pytest.approx(known[rows].mean())
        assert any(score.label in note and f"{known.sum():,} of {encoded.n:,}" in note for note in found.notes)


def test_a_patients_own_outcome_never_moves_the_patients_own_prediction(found, encoded, cohort, fold):
    outcome, held = "resection_12m", fold == fold[0]
    flipped = replace(
        encoded,
        outcomes={
            **encoded.outcomes,
            outcome: np.where(held, 1 - encoded.outcomes[outcome], encoded.outcomes[outcome]),
        },
    )
    again = baselines(flipped, cohort, fold)
    for name in found.predicted:
        assert again.predicted[name][outcome][held] == pytest.approx(found.predicted[name][outcome][held])
        assert not np.allclose(again.predicted[name][outcome][~held], found.predicted[name][outcome][~held])


def test_recalibration_turns_a_score_that_rises_with_harm_into_falling_chances_of_surgery(found, cohort, spec):
    score = next(s for s in load_scores(spec) if s.value is not None)
    x = score.points(cohort.patients)
    p, known = found.predicted[score.name]["resection_12m"], ~np.isnan(x)
    assert np.corrcoef(x[known], p[known])[0, 1] < -0.9


def test_an_outcome_that_hardly_happened_is_skipped_by_every_baseline(encoded, cohort, fold):
    outcome = "objective_response"
    rare = np.where(np.isnan(encoded.outcomes[outcome]), np.nan, 0.0)
    rare[np.flatnonzero(rare == 0)[:5]] = 1
    found = baselines(replace(encoded, outcomes={**encoded.outcomes, outcome: rare}), cohort, fold)
    for name, skipped in found.skipped.items():
        assert "only 5 events" in skipped[outcome]
        assert outcome not in found.predicted[name]

"""Many patients at once get the numbers that each gets alone."""

import numpy as np
import pytest

from features import Patients
from training.bundle import Bundle, OutcomeModel, Prior, Recalibration
from training.bundle.learned import LogisticModel, LogisticParameters
from training.bundle.points import Points
from training.evidence.committed import load_prior

TOLERANCE = 2e-6  # of a probability; four digits are shown


@pytest.fixture(scope="module")
def prior(spec) -> Prior:
    return load_prior(spec)  # all of its terms, not the few of the hand-made one


def patients(prior: Prior, n: int, missing: float) -> Patients:
    everyone = prior.parameters.case_mix.complete(Patients(prior.spec, 1, {}), n)
    rng = np.random.default_rng(2)
    gaps = {}
    for field in prior.spec.asked:
        unknown = rng.random(n) < missing
        gaps |= {column: np.where(unknown, np.nan, everyone[column]) for column in field.columns}
    return everyone.replace(gaps)


def chances(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("cycles", [None, 3])
def test_points_are_those_of_the_prior_whatever_is_missing_and_however_long_the_regimen(prior, missing, cycles):
    regimens = [prior.spec.regimens.regimen(*r.key, cycles) for r in prior.spec.regimens.all()]
    some = patients(prior, 128, missing)
    got = chances(Points(prior).pooled(some, regimens))
    for i, name in enumerate(prior.spec.outcomes.names):
        assert np.abs(got[:, i] - chances(prior.log_odds(some, regimens, name))).max() < TOLERANCE


def test_a_patient_gets_the_same_alone_and_among_others(prior):
    regimens = prior.spec.regimens.all()[:3]
    some, points = patients(prior, 128, 0.3), Points(prior)
    together = points.pooled(some, regimens)
    for i in (0, 63, 64, 127):
        alone = points.pooled(some.take(np.array([i])), regimens)
        assert np.abs(chances(alone[0]) - chances(together[i])).max() < TOLERANCE


def test_there_may_be_no_patient_and_one_regimen(prior):
    regimens = prior.spec.regimens.all()[:1]
    nobody = patients(prior, 4, 0.0).take(np.array([], dtype=int))
    assert Points(prior).pooled(nobody, regimens).shape == (0, len(prior.spec.outcomes.names), 1)


def test_an_engine_scores_many_patients_as_it_scores_few(spec, prior, manifest_of):
    moved = Recalibration(intercept=0.3, slope=0.7, update_of="1", patients=9, events=3, last_date="2025-01-01")
    fitted = LogisticModel(
        LogisticParameters(
            intercept=-1.0, terms=("age", "bevacizumab"), coefficients=(0.5, 0.2), medians={}, missing={"albumin": 0.7}
        ),
        spec,
    )
    first, *others = spec.outcomes.names
    models = (
        OutcomeModel(outcome=first, learner="logistic", calibration=(0.1, 0.9)),
        *(OutcomeModel(outcome=n, learner="evidence", recalibration=moved, lack_of_fit=0.2) for n in others),
    )
    bundle = Bundle(manifest_of(spec, models=models), prior, spec, {first: fitted})
    some, regimens = patients(prior, 128, 0.3), spec.regimens.all()
    many = bundle.score(some, regimens, intervals=False)
    for start in range(0, 128, 32):
        few = bundle.score(some.take(np.arange(start, start + 32)), regimens, intervals=False)
        assert np.abs(few.stacked - many.stacked[:, start : start + 32]).max() < TOLERANCE
        for name, share in few.states.items():
            assert np.abs(share - many.states[name][start : start + 32]).max() < TOLERANCE

"""What is not known of a patient is averaged over, and an average lies among what it averages."""

import numpy as np
import pytest

from features import Patients
from training.bundle.prior import DRAWS, Prior
from training.bundle.scores import Engine
from training.evidence import load_parameters

ASKED_LATER = ["ras_status", "braf_status", "bilobar", "primary_site", "sex"]


@pytest.fixture(scope="module")
def served(spec):
    return Prior(load_parameters(), spec)


def engine(spec, prior):
    from training.bundle import OutcomeModel

    return Engine(spec, prior, [OutcomeModel(outcome=n, learner="evidence") for n in spec.outcomes.names], {})


@pytest.mark.parametrize("name", ASKED_LATER)
def test_a_probability_without_an_input_lies_among_those_with_it(spec, served, name):
    field, draw = spec.fields[name], np.random.default_rng(3)
    codes = [code for code in field.codes if code not in field.unknown_codes] or [True, False]
    scoring = engine(spec, served)
    for _ in range(6):
        rest = {
            "age_years": int(draw.integers(40, 80)),
            "n_liver_metastases": int(draw.integers(1, 15)),
            "largest_met_diameter_mm": int(draw.integers(10, 110)),
        }
        patients = Patients.from_records(spec, [rest, *({**rest, name: code} for code in codes)])
        without, *given = scoring.score(patients, spec.regimens.all()).stacked[0]
        # A tenth of a point: 128 draws stand for the whole distribution.
        assert (without <= np.max(given, axis=0) + 0.001).all()
        assert (without >= np.min(given, axis=0) - 0.001).all()


def test_draws_of_effects_go_neither_with_draws_of_inputs_nor_with_those_of_other_outcomes(spec, served):
    nobody = Patients(spec, 1, {})
    inputs = served.design(nobody, spec.regimens.all())[0][0]
    effects = {name: served.coefficients(name) for name in spec.outcomes.names}
    together = []
    for i, one in enumerate(effects):
        for term in range(inputs.shape[1]):
            own = effects[one][:, term]
            others = [inputs[:, term], *(effects[other][:, term] for other in list(effects)[i + 1 :])]
            together += [
                abs(np.corrcoef(own, other)[0, 1]) for other in others if own.std() > 1e-9 and other.std() > 1e-9
            ]
    # Of 128 independent pairs, |r| is above 4 standard errors once in 16,000.
    assert len(together) > 500
    assert max(together) < 4 / np.sqrt(DRAWS)

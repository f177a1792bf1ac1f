"""A small hand-made prior, so that the arithmetic of the bundle can be checked by hand."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from features import INTERCEPT, load_specification
from training.bundle import CaseMix, Manifest, OutcomeModel, Prior, PriorParameters, TrainedOn
from training.bundle.coefficients import Coefficient, OutcomePrior

EFFECTS = {INTERCEPT: -0.5, "metastases": -0.4, "bevacizumab": 0.3, "anti_egfr_wild_type_left": 0.5}


@pytest.fixture(scope="session")
def spec():
    return load_specification()


@pytest.fixture(scope="session")
def case_mix():
    folder = Path(__file__).resolve().parents[3] / "training" / "evidence" / "data"
    text = (folder / "case_mix.yaml").read_text("utf-8")
    return CaseMix.model_validate(yaml.safe_load(text))


def _parameters(spec, case_mix, sd=0.2):
    outcomes = tuple(
        OutcomePrior(
            outcome=name,
            coefficients=tuple(Coefficient(term=t, mean=m, sd=sd, basis="judgement") for t, m in EFFECTS.items()),
            covariance=tuple(tuple(row) for row in (np.eye(len(EFFECTS)) * sd**2).tolist()),
        )
        for name in spec.outcomes.names
    )
    return PriorParameters(evidence_digest="0" * 64, outcomes=outcomes, case_mix=case_mix)


@pytest.fixture(scope="session")
def parameters(spec, case_mix):
    return _parameters(spec, case_mix)


@pytest.fixture(scope="session")
def prior(spec, parameters):
    return Prior(parameters, spec)


def _manifest(spec, kind="evidence", models=None, **changes):
    fields = {
        "name": "resecta",
        "learner": "evidence",
        "created": "2026-01-01T00:00:00+00:00",
        "code_version": "test",
        "spec_digest": spec.digest,
        "trained_on": TrainedOn(kind=kind, text="test", data_digest="0" * 64),
        "outcomes": models or tuple(OutcomeModel(outcome=n, learner="evidence") for n in spec.outcomes.names),
    }
    return Manifest(**{**fields, **changes})


@pytest.fixture(scope="session")
def effects():
    return EFFECTS


@pytest.fixture(scope="session")
def parameters_of():
    return _parameters


@pytest.fixture(scope="session")
def manifest_of():
    return _manifest

"""The evidence prior, read once, and patients drawn from its case mix."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit

from features import Patients, Specification, load_specification
from training.bundle import Prior
from training.evidence import load_prior
from training.evidence.population import everyone, regimen_called


@pytest.fixture(scope="session")
def spec() -> Specification:
    return load_specification()


@pytest.fixture(scope="session")
def prior(spec: Specification) -> Prior:
    return load_prior(spec)


@pytest.fixture(scope="session")
def patients(spec: Specification, prior: Prior) -> Patients:
    """500 simulated patients with every input known."""
    return everyone(prior.parameters.case_mix, spec, 512).take(np.arange(500))


@pytest.fixture(scope="session")
def reported(spec: Specification, prior: Prior) -> Callable[..., np.ndarray]:
    """P(outcome | given) of every patient under regimens written as ``folfox+bevacizumab``, shape (n, r)."""

    def score(patients: Patients, regimens: list[str], outcome: str, weeks: float = 12) -> np.ndarray:
        planned = [regimen_called(spec, text, weeks) for text in regimens]
        chain = [expit(prior.log_odds(patients, planned, name)) for name in spec.outcomes.chain(outcome)]
        return np.prod(chain, axis=0)

    return score

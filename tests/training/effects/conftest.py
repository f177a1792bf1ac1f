import numpy as np
import pytest

from training.bundle import OutcomeModel
from training.bundle.scores import Engine
from training.effects import audit
from training.registry import build_cohort
from training.simulator import simulate


@pytest.fixture(scope="session")
def many(spec):
    """A simulated network large enough for most contrasts."""
    return build_cohort(simulate(spec, patients=1500, seed=21, sites=4)[0], spec)


@pytest.fixture(scope="session")
def served(spec, prior):
    models = [OutcomeModel(outcome=n, learner="evidence", reason="test") for n in spec.outcomes.names]
    return Engine(spec, prior, models, {}).reported


@pytest.fixture(scope="session")
def effects(many, prior, served):
    return audit(many, prior, served, simulated=True)


@pytest.fixture(scope="session")
def of_few(many, prior):
    """An audit of so few patients that no arm but the commonest can be compared."""
    return audit(many.take(np.arange(0, many.patients.n, 12)), prior)

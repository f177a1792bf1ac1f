"""One small simulated hospital network, trained once for every test that looks at the result."""

import os
from dataclasses import replace

import pytest

from features import load_specification
from training.evidence import load_prior
from training.job import Source, train_from_evidence, train_from_registry
from training.registry import build_cohort, read_registry
from training.simulator import simulate, write_registry
from training.store import Store


@pytest.fixture(scope="session")
def spec():
    return load_specification()


@pytest.fixture(scope="session")
def prior(spec):
    return load_prior(spec)


@pytest.fixture(scope="session")
def registry(spec, tmp_path_factory):
    path = tmp_path_factory.mktemp("registry") / "registry.csv"
    frame, _ = simulate(spec, patients=500, seed=11, sites=4)
    write_registry(frame, path)
    return read_registry(path, spec, None)


@pytest.fixture(scope="session")
def cohort(registry, spec):
    return build_cohort(registry.frame, spec)


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def champion(store, spec, prior):
    return train_from_evidence(spec, prior, store)


@pytest.fixture(scope="session")
def challenger(champion, store, spec, prior, cohort, registry):
    source = Source(registry.description, registry.digest, registry.simulated)
    return train_from_registry(cohort, source, spec, prior, store)


@pytest.fixture(scope="session")
def as_if_real(challenger, store, spec, prior, cohort, registry):
    """The same patients declared real, which only a test may do."""
    source = replace(Source(registry.description, registry.digest, True), simulated=False)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    return train_from_registry(cohort, source, spec, prior, store, learners=("evidence", "xgboost_prior"))

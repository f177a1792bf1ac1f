"""One hospital of ten patients a month, asked about by the evidence, and what became of its patients."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import Specification, load_specification
from training.champion import evidence
from training.evidence import load_prior
from training.monitor.sample import write_predictions
from training.registry import Cohort, build_cohort
from training.simulator import simulate
from training.store import Store
from validation.monitoring.sequential import shifted


@pytest.fixture(scope="session")
def spec() -> Specification:
    return load_specification()


@pytest.fixture(scope="session")
def cohort(spec: Specification) -> Cohort:
    frame, _ = simulate(spec, patients=760, seed=13, sites=1)
    return build_cohort(frame, spec)


@pytest.fixture(scope="session")
def model(spec: Specification):
    return evidence(spec, load_prior(spec)).bundle


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("monitor_store"))


@pytest.fixture(scope="session")
def predictions(tmp_path_factory: pytest.TempPathFactory, cohort: Cohort, model) -> Path:
    path = tmp_path_factory.mktemp("monitor") / "predictions.csv"
    write_predictions(path, cohort, model, "1")
    return path


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory, predictions: Path) -> Callable[..., Path]:
    """Write outcomes drawn from the predictions, with an outcome's events multiplied where asked."""

    def write(seed: int = 5, edit: Callable[[pd.DataFrame], pd.DataFrame] | None = None, **ratio: float) -> Path:
        rng = np.random.default_rng(seed)
        read = pd.read_csv(predictions)
        n = len(read)

        def chance(name: str) -> np.ndarray:
            p = read[name].to_numpy()
            return shifted(p, ratio[name]) if name in ratio else p

        u, v = rng.random(n), rng.random(n)
        converted = u < chance("conversion_12m")
        resected = converted | (u < read["resection_12m"].to_numpy())
        frame = pd.DataFrame(
            {
                "prediction_id": read["prediction_id"],
                "index_date": read["predicted_at"],
                "resection_12m": np.where(resected, "yes", "no"),
                "conversion_12m": np.where(converted, "yes", "no"),
                "any_complication": np.where(resected, np.where(v < chance("any_complication"), "yes", "no"), ""),
                "major_complication": np.where(resected, np.where(v < chance("major_complication"), "yes", "no"), ""),
            }
        )
        path = tmp_path_factory.mktemp("outcomes") / "outcomes.csv"
        (edit(frame) if edit else frame).to_csv(path, index=False)
        return path

    return write

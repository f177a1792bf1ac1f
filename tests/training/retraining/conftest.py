"""A small simulated registry with few columns, so that validating it takes a second or two."""

from pathlib import Path

import pandas as pd
import pytest

from features import load_specification
from training.simulator import simulate, write_registry

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture(scope="session")
def spec():
    return load_specification()


@pytest.fixture(scope="session")
def small(spec, tmp_path_factory) -> Path:
    """250 simulated patients of 3 sites with what outcomes are worked out from, and few inputs."""
    path = tmp_path_factory.mktemp("registry") / "small.csv"
    frame, _ = simulate(spec, patients=250, seed=3, sites=3)
    write_registry(frame, path)
    asked = [f.name for f in spec.asked if not f.required]
    kept = set(asked[:6])
    whole = pd.read_csv(path, dtype=str, keep_default_na=False)
    whole[[c for c in whole.columns if c not in asked or c in kept]].to_csv(path, index=False)
    return path

"""What holds for every test: switches that libraries read at import, and what this machine lacks.

Nothing else belongs here: fixtures live beside the tests that use them.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# What a developer's shell may hold must not reach a test.
for _name in [name for name in os.environ if name.startswith("RESECTA_")] + ["MLFLOW_TRACKING_URI"]:
    os.environ.pop(_name, None)

_STORE = Path(tempfile.mkdtemp(prefix="resecta-tests-"))
atexit.register(shutil.rmtree, _STORE, ignore_errors=True)

os.environ.update(
    # No test leaves the machine, nor writes into the working tree or the home folder.
    MLFLOW_DISABLE_TELEMETRY="true",
    BENTOML_DO_NOT_TRACK="True",
    GX_ANALYTICS_ENABLED="false",
    RESECTA_STORE=str(_STORE),
    BENTOML_HOME=str(_STORE / "bentoml"),
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    # Two OpenMP jobs that spin on two cores are many times slower than one (make test runs two workers).
    OMP_NUM_THREADS="1",
    GOMP_SPINCOUNT="1000",
    MPLBACKEND="Agg",
    MPLCONFIGDIR=str(_STORE / "matplotlib"),
)

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402  (after the switches)

# Deadlines measure the neighbours on a shared machine; a fixed seed makes a failure repeatable.
settings.register_profile("resecta", deadline=None, derandomize=True)
settings.load_profile("resecta")

CHROMIUM = Path("/usr/bin/chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the browser tests where there is no browser, and say how to get it."""
    if CHROMIUM.exists():
        return
    reason = f"{CHROMIUM} is missing; Debian's package chromium has it"
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason=reason))

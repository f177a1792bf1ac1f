"""Whether monitoring asks for an update of the model that is served."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.monitor.run import FIGURES
from training.registration import alias_version
from training.store import CHAMPION, EXPERIMENT, Store


@dataclass(frozen=True)
class Needed:
    """Whether an update is asked for, and in whose words."""

    needed: bool
    text: str


def needed(store: Store) -> Needed:
    """Read the last monitoring of the champion; where there is none, newer patients themselves must say."""
    client = store.open()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None  # opening the store makes it
    champion = alias_version(store, CHAMPION)
    runs = client.search_runs(
        [experiment.experiment_id],
        "tags.job = 'monitor' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
    )
    for run in runs:
        found = _figures(run)
        if found.get("champion") == f"version {champion}":
            said = f"monitoring of version {champion} as of {found.get('as_of')}: {found.get('reason')}"
            if found.get("needs_retraining"):
                return Needed(True, said)
            return Needed(False, f"No update is needed by the last {said}.")
    return Needed(True, f"version {champion} was never monitored, so closed testing decides")


def _figures(run: Any) -> dict[str, Any]:
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=FIGURES)
        found = json.loads(Path(local).read_text("utf-8"))
    except (MlflowException, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

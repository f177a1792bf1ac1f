"""Sweeping: what a killed job left half-done is removed before the next one begins."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from training.promotion import make_good
from training.registration import REGISTERING, STATE, is_complete
from training.store import EXPERIMENT, MODEL, Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENDED_BY = "ended_by"
#: Runs of jobs, which hold the store while they run. Others may be running now, and are left until they are a day old.
LEVELS = ("job", "candidate", "retraining")
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Swept:
    """What was removed or ended; all empty after a job that came to its end."""

    versions: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each kind of thing."""
        kinds = (
            ("half-registered versions removed", self.versions),
            ("unfinished runs ended as killed", self.runs),
            ("scratch folders and files removed", self.folders),
        )
        return tuple(f"{text}: {', '.join(things)}" for text, things in kinds if things)


def sweep(store: Store) -> Swept:
    """Bring a store back into order; the caller holds its lock, so that no job of ours is running.

    A version is removed only when its registration was cut short and no alias points to it. A promotion or rollback
    that was cut short is finished or taken back. Runs are ended last, so that a sweep that is itself killed is taken up
    again by the next.
    """
    client = store.open()
    dead = _dead_runs(client)
    versions = _half_registered(client, {run.info.run_id for run in dead})
    for version in versions:
        client.delete_model_version(MODEL, version.version)
    folders = [*_logged_models(client, store, {run.info.run_id for run in dead}), *_scratch(store)]
    make_good(store)
    when = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    for run in dead:
        stage = run.data.tags.get("stage")
        at = f" at the stage {stage}" if stage else ""
        client.set_tag(
            run.info.run_id, ENDED_BY, f"a later job, {when}: the process of this run ended without a word{at}"
        )
        client.set_terminated(run.info.run_id, "KILLED")
    return Swept(
        versions=tuple(str(v.version) for v in versions),
        runs=tuple(str(run.info.run_name) for run in dead),
        folders=tuple(folders),
    )


def _experiment(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None  # opening the store makes it
    return str(experiment.experiment_id)


def _dead_runs(client: MlflowClient) -> list[Any]:
    before = (dt.datetime.now(dt.UTC) - _DAY).timestamp() * 1000
    pages = _pages(
        lambda token: client.search_runs([_experiment(client)], "attributes.status = 'RUNNING'", page_token=token)
    )
    return [run for run in pages if run.data.tags.get("level") in LEVELS or run.info.start_time < before]


def _half_registered(client: MlflowClient, dead: set[str]) -> list[Any]:
    found = []
    for version in _pages(lambda token: client.search_model_versions(f"name='{MODEL}'", page_token=token)):
        ours = version.tags.get(STATE) == REGISTERING or version.run_id in dead
        # Aliases are not part of a search's answer.
        if ours and not is_complete(version) and not client.get_model_version(MODEL, version.version).aliases:
            found.append(version)
    return found


def _logged_models(client: MlflowClient, store: Store, dead: set[str]) -> Iterator[str]:
    if not dead:
        return
    registered = {
        version.model_id or version.source.rpartition("/")[2]
        for version in _pages(lambda token: client.search_model_versions(f"name='{MODEL}'", page_token=token))
    }
    pages = _pages(lambda token: client.search_logged_models([_experiment(client)], page_token=token))
    for model in pages:
        if model.source_run_id not in dead or model.model_id in registered:
            continue
        client.delete_logged_model(model.model_id)
        artifacts = Path(unquote(urlparse(model.artifact_location).path))
        place = artifacts.parent if artifacts.parent.name == model.model_id else artifacts
        if place.is_relative_to(store.folder) and place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        yield str(model.model_id)


def _scratch(store: Store) -> Iterator[str]:
    left = [*store.unfinished, *store.folder.glob("retraining/.*.part")]
    if store.bundles.is_dir():
        left += sorted(store.bundles.iterdir())
    for place in left:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
        yield place.name


def _pages(page: Any) -> Iterator[Any]:
    token: str | None = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return

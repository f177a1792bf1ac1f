"""Comparison: what was found when registered versions were judged, read back from the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from training.bundle import BundleRefused, Manifest
from training.promotion import CHECKS, EVALUATIONS
from training.registration import registered_manifest
from training.report.wording import differences
from training.store import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Store
from validation.evaluation import Difference, Evaluation
from validation.gates import GateFacts

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: The models on the newest closed patients alone, which gates read, and on every held-out patient.
DECIDING, EVALUATION = EVALUATIONS
_GATE = "gate."


class NothingToCompare(LookupError):
    """There are no figures to compare; the message says what would make some."""


@dataclass(frozen=True)
class GateTag:
    """A gate's answer as it was written on a version."""

    gate: str
    passed: bool
    text: str


@dataclass(frozen=True)
class JudgedVersion:
    """One registered version with what was found when it was made.

    Attributes
    ----------
    name
        What it is called in its own evaluation.
    champion
        Version that stood as the champion in that evaluation; None when there was none.
    gates, decision
        As promotion wrote them; empty until it was tried.
    """

    version: str
    aliases: tuple[str, ...]
    manifest: Manifest
    evaluation: Evaluation
    deciding: Evaluation | None
    name: str
    champion: str | None
    gates: tuple[GateTag, ...]
    decision: str | None

    @property
    def title(self) -> str:
        """How it is named to a reader."""
        called = f" ({', '.join(self.aliases)})" if self.aliases else ""
        return f"version {self.version}{called}"


@dataclass(frozen=True)
class Beside:
    """Two versions side by side.

    Attributes
    ----------
    paired
        Differences of the first from the second on the same patients; empty where they were never judged together.
    why_not
        Why nothing is compared as paired; None when it is.
    """

    first: JudgedVersion
    second: JudgedVersion
    paired: tuple[Difference, ...]
    why_not: str | None


def version_named(store: Store, name: str | None) -> str:
    """The version behind a number or an alias; the challenger, or else the champion, when none is named.

    Raises
    ------
    NothingToCompare
        When there is no such version or alias, naming those there are.
    """
    client = store.open()
    aliases, versions = _registered(client)
    if name is None:
        found = aliases.get(CHALLENGER) or aliases.get(CHAMPION)
        if found is None:
            raise NothingToCompare("No version is registered; train one with `resecta train --data REGISTRY`.")
        return found
    if name in aliases:
        return aliases[name]
    if name in versions:
        return name
    known = ", ".join((*versions, *aliases)) or "none; train one with `resecta train --data REGISTRY`"
    raise NothingToCompare(f"{name} is neither a version nor an alias; there are {known}.")


def judged_version(store: Store, version: str) -> JudgedVersion:
    """Read one version's figures.

    Raises
    ------
    NothingToCompare
        When it was not judged, or its figures or its bundle cannot be read.
    """
    client = store.open()
    aliases, _ = _registered(client)
    registered = client.get_model_version(MODEL, version)
    try:
        manifest = registered_manifest(store, version)
    except (LookupError, OSError, BundleRefused, ValidationError) as error:
        raise NothingToCompare(f"Version {version} cannot be read ({error}); train it anew.") from None
    raw = _artifact(client, registered.run_id, EVALUATION)
    if raw is None:
        why = "it is the published evidence" if manifest.trained_on.kind == "evidence" else "its job logged none"
        raise NothingToCompare(
            f"Version {version} has no figures of its own: {why}. `resecta train --data REGISTRY` judges the "
            "evidence beside every candidate on the patients of a registry."
        )
    try:
        evaluation = Evaluation.model_validate(raw)
    except ValidationError:
        raise NothingToCompare(
            f"The figures of version {version} were written in another form by another version of this program; "
            "train on its registry anew."
        ) from None
    facts = _facts(client, registered.run_id, manifest)
    if facts.model not in {m.name for m in evaluation.models}:
        judged = ", ".join(m.name for m in evaluation.models)
        raise NothingToCompare(
            f"Version {version} is called {facts.model}, which its job did not judge; {judged} were."
        )
    tags = dict(registered.tags)
    gates = tuple(
        GateTag(key.removeprefix(_GATE), text.startswith("passed"), text.partition(": ")[2])
        for key, text in sorted(tags.items())
        if key.startswith(_GATE)
    )
    return JudgedVersion(
        version=version,
        aliases=tuple(a for a in (CHAMPION, CHALLENGER, PREVIOUS) if aliases.get(a) == version),
        manifest=manifest.model_copy(update={"version": version}),
        evaluation=evaluation,
        deciding=_deciding(client, registered.run_id),
        name=facts.model,
        champion=facts.judged_against,
        gates=gates,
        decision=tags.get("decision"),
    )


def beside(first: JudgedVersion, second: JudgedVersion) -> Beside:
    """Put two versions side by side; paired only where one was the champion when the other was judged."""
    if first.champion == second.version:
        return Beside(first, second, tuple(differences(first.evaluation, first.name, CHAMPION)), None)
    if first.manifest.trained_on.data_digest != second.manifest.trained_on.data_digest:
        patients = "on different patients"
    elif first.evaluation.rows != second.evaluation.rows:
        patients = "on patients held out in different ways"
    else:
        patients = "on the same patients, but in two jobs that kept no patient's predictions"
    return Beside(
        first,
        second,
        (),
        f"Versions {first.version} and {second.version} were judged {patients}: their figures stand side by side, and "
        "a gap between them says nothing about which predicts better.",
    )


def _registered(client: MlflowClient) -> tuple[dict[str, str], tuple[str, ...]]:
    found = client.search_model_versions(f"name='{MODEL}'")
    if not found:
        return {}, ()
    aliases = {alias: str(version) for alias, version in client.get_registered_model(MODEL).aliases.items()}
    return aliases, tuple(sorted((str(v.version) for v in found), key=int))


def _artifact(client: MlflowClient, run_id: str | None, name: str) -> Any:
    import mlflow
    from mlflow.exceptions import MlflowException

    if not run_id:
        return None
    try:
        if name not in {a.path for a in client.list_artifacts(run_id)}:
            return None
        local = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name)
        return json.loads(Path(local).read_text("utf-8"))
    except (MlflowException, OSError, ValueError):
        return None


def _facts(client: MlflowClient, run_id: str | None, manifest: Manifest) -> GateFacts:
    try:
        return GateFacts.model_validate(_artifact(client, run_id, CHECKS))
    except ValidationError:
        return GateFacts(model=manifest.learner)


def _deciding(client: MlflowClient, run_id: str | None) -> Evaluation | None:
    try:
        return Evaluation.model_validate(_artifact(client, run_id, DECIDING))
    except ValidationError:
        return None

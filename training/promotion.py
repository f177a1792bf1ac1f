"""Promotion and rollback: moving the champion alias, by gates, by name and with a reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from features import Specification
from training.alias_move import Aliases, aliases, move, note, now, settle
from training.bundle import BundleRefused, Manifest, load_bundle
from training.checks import HELD
from training.lock import StoreLock
from training.registration import alias_version, bundle_folder
from training.store import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Store
from validation.evaluation import Evaluation, Figure
from validation.gates import GateFacts, Gates, load_gates
from validation.verdict import Verdict, judge

# On the newest closed patients where a job judged them apart, else on all.
EVALUATIONS = ("deciding.json", "evaluation.json")
CHECKS, DECISION = "checks.json", "decision.json"
_FALLBACK = "evidence"  # judged against where a job found no champion


class PromotionRefused(ValueError):
    """The model must not be promoted; the message says why and what would allow it.

    Attributes
    ----------
    verdicts
        Of every gate, when it came to that.
    """

    def __init__(self, reason: str, verdicts: tuple[Verdict, ...] = ()) -> None:
        self.verdicts = verdicts
        super().__init__(reason)


class RollbackRefused(ValueError):
    """There is nothing sound to go back to; the message says what would help."""


@dataclass(frozen=True)
class Promotion:
    """What was decided and on which figures.

    Attributes
    ----------
    binding
        Whether the gates decided; they only inform about evidence alone and about simulated patients.
    """

    version: str
    replaced: str | None
    verdicts: tuple[Verdict, ...]
    binding: bool


@dataclass(frozen=True)
class Rollback:
    """Which version answers again, and which one it took the place of."""

    version: str
    replaced: str | None


def promote(
    store: Store, spec: Specification, version: str | None, allow_simulated: bool, by: str, reason: str
) -> Promotion:
    """Make a version the champion.

    A model trained on a registry must pass every gate. One trained on simulated patients needs `allow_simulated`; its
    gates are shown and bind nobody, because its figures say nothing about patients. Evidence alone may always be
    restored. Every decision, refusals too, is written on the version with every gate's figure, and to the audit file.

    Raises
    ------
    PromotionRefused
        Naming the gates or the permission that is missing.
    training.lock.Locked
        When another job holds the store.
    """
    with StoreLock(store.folder, "promote"):
        make_good(store)
        version = version or alias_version(store, CHALLENGER)
        if version is None:
            raise PromotionRefused("there is no challenger; train one with `resecta train --data REGISTRY`")
        manifest = _loadable(store, spec, version)
        if manifest.simulated and not allow_simulated:
            raise PromotionRefused(
                "the model was trained on simulated patients, which are no evidence; "
                "--allow-simulated serves it for demonstration, and every answer will say so"
            )
        gates, held = load_gates(), aliases(store)
        judged = manifest.trained_on.kind != "evidence"
        verdicts = _judge(store, spec, gates, version, manifest, held.champion) if judged else ()
        binding = manifest.trained_on.kind == "registry"
        failed = [f"{v.gate}: {v.text} (allowed: {v.bound})" for v in verdicts if not v.passed]
        refused = binding and bool(failed)
        _write(store, gates, version, manifest, verdicts, by, reason, refused, held.champion)
        if refused:
            note(store, "refusal", version, by, f"{reason}; gates not passed: {'; '.join(failed)}")
            raise PromotionRefused("gates not passed: " + "; ".join(failed), verdicts)
        replaced = held.champion if held.champion != version else None
        previous = replaced if replaced is not None else held.previous
        move(store, "promotion", version, Aliases(champion=version, previous=previous), by, reason)
        return Promotion(version, replaced, verdicts, binding)


def rollback(store: Store, spec: Specification, by: str, reason: str) -> Rollback:
    """Make the previous champion the champion again; a second rollback undoes the first.

    Raises
    ------
    RollbackRefused
        When there is no previous champion, or it does not load against this specification.
    training.lock.Locked
        When another job holds the store.
    """
    with StoreLock(store.folder, "rollback"):
        make_good(store)
        held = aliases(store)
        if held.previous is None or held.previous == held.champion:
            raise RollbackRefused(
                "no version was champion before this one; `resecta promote --version N` makes another one champion"
            )
        try:
            _loadable(store, spec, held.previous)
        except PromotionRefused as error:
            raise RollbackRefused(f"the {PREVIOUS} version cannot be restored: {error}") from None
        back, left = held.previous, held.champion
        move(store, "rollback", back, Aliases(champion=back, previous=left or held.previous), by, reason)
        when = now()
        _tag(store, back, "rollback", f"restored {when} by {by} in place of version {left}: {reason}")
        if left is not None:
            _tag(store, left, "rollback", f"rolled back {when} by {by} to version {back}: {reason}")
        return Rollback(back, left)


def make_good(store: Store) -> None:
    """Finish or take back a promotion or rollback that was cut short; for whoever holds the store's lock."""
    ended = settle(store)
    if ended is not None and ended.stage == "taken back":
        text = f"the {ended.event} by {ended.by} was cut short and taken back {ended.when}: {ended.reason}"
        _tag(store, ended.version, "decision", text)


def verdicts_on(store: Store, spec: Specification, version: str) -> tuple[Verdict, ...]:
    """Judge a version by every gate without deciding anything.

    Raises
    ------
    PromotionRefused
        When there is no such version or it cannot be loaded.
    """
    manifest = _loadable(store, spec, version)
    return _judge(store, spec, load_gates(), version, manifest, alias_version(store, CHAMPION))


def _loadable(store: Store, spec: Specification, version: str) -> Manifest:
    from mlflow.exceptions import MlflowException

    try:
        return load_bundle(bundle_folder(store, version), spec).manifest
    except (BundleRefused, LookupError) as error:
        raise PromotionRefused(f"version {version} cannot be served: {error}") from None
    except (MlflowException, OSError):
        known = ", ".join(str(v.version) for v in store.open().search_model_versions(f"name='{MODEL}'"))
        raise PromotionRefused(f"version {version} cannot be found; there are {known or 'none'}") from None


def _judge(
    store: Store, spec: Specification, gates: Gates, version: str, manifest: Manifest, champion: str | None
) -> tuple[Verdict, ...]:
    evaluation = _evaluation(store, version)
    facts = _facts(store, version, manifest)
    if facts.judged_against == champion:
        unchanged = HELD
    else:
        text = f"compared with {facts.judged_against or 'no champion'}, the champion is {champion or 'absent'}"
        unchanged = Figure(value=0.0, reason=f"{text}; judge it anew with `resecta retrain`")
    # Loading was tried just now, against this specification.
    facts = facts.model_copy(update={"loads": HELD, "spec_digest": HELD, "champion_unchanged": unchanged})
    names = {m.name for m in evaluation.models}
    opponent = CHAMPION if CHAMPION in names or _FALLBACK not in names else _FALLBACK
    headline = [o.name for o in spec.outcomes.outcomes if o.headline]
    return judge(gates, evaluation, facts.model, opponent, facts, headline)


def _evaluation(store: Store, version: str) -> Evaluation:
    raw = next((found for name in EVALUATIONS if (found := _artifact(store, version, name)) is not None), None)
    try:
        return Evaluation.model_validate(raw)
    except ValidationError:
        return Evaluation(rows="not computed", patients=0, models=(), differences=())


def _facts(store: Store, version: str, manifest: Manifest) -> GateFacts:
    try:
        return GateFacts.model_validate(_artifact(store, version, CHECKS))
    except ValidationError:
        return GateFacts(model=manifest.learner)


def _artifact(store: Store, version: str, name: str) -> Any:
    """A JSON artifact of the run that made a version; None when there is none or it cannot be read."""
    import mlflow
    from mlflow.exceptions import MlflowException

    run_id = _run(store, version)
    if run_id is None or name not in {a.path for a in store.open().list_artifacts(run_id)}:
        return None
    try:
        local = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name)
        return json.loads(Path(local).read_text("utf-8"))
    except (MlflowException, OSError, ValueError):
        return None


def _run(store: Store, version: str) -> str | None:
    run_id = store.open().get_model_version(MODEL, version).run_id
    return str(run_id) if run_id else None


def _write(
    store: Store,
    gates: Gates,
    version: str,
    manifest: Manifest,
    verdicts: tuple[Verdict, ...],
    by: str,
    reason: str,
    refused: bool,
    champion: str | None,
) -> None:
    client, when = store.open(), now()
    decision = "refused" if refused else "promoted"
    _tag(store, version, "decision", f"{decision} {when} by {by}: {reason}")
    client.set_model_version_tag(MODEL, version, "gates_version", str(gates.version))
    for verdict in verdicts:
        mark = "passed" if verdict.passed else "failed"
        key = f"gate.{verdict.gate.replace('/', '.')}"
        client.set_model_version_tag(MODEL, version, key, f"{mark}: {verdict.text}; allowed: {verdict.bound}")
    text = _describe(manifest, verdicts, by, reason, refused, champion if champion != version else None)
    client.update_model_version(MODEL, version, text)
    run_id = _run(store, version)
    if run_id is not None:
        judged = [
            {"gate": v.gate, "passed": v.passed, "figure": v.value, "text": v.text, "bound": v.bound} for v in verdicts
        ]
        record = {"version": version, "decision": decision, "when": when, "by": by, "reason": reason}
        client.log_dict(run_id, {**record, "gates_version": gates.version, "gates": judged}, DECISION)


def _tag(store: Store, version: str, key: str, text: str) -> None:
    # On the run as well, where the run table shows it.
    client = store.open()
    client.set_model_version_tag(MODEL, version, key, text)
    run_id = _run(store, version)
    if run_id is not None:
        client.set_tag(run_id, key, text)


def _describe(
    manifest: Manifest, verdicts: tuple[Verdict, ...], by: str, reason: str, refused: bool, champion: str | None
) -> str:
    """Three sentences: what it is, what changed against the champion, why it was or was not promoted."""
    data = manifest.trained_on
    if data.kind == "evidence":
        what, gates = "Published evidence alone, without patient-level data.", "evidence needs no gates"
    else:
        rests = "simulated patients, which are no evidence" if manifest.simulated else "a registry"
        what = f"{manifest.learner} trained on {data.patients} patients of {data.sites} sites ({rests})."
        passed = sum(v.passed for v in verdicts)
        gates = f"{passed} of {len(verdicts)} gates passed" + (", which do not bind" if manifest.simulated else "")
    compared = [v for v in verdicts if v.gate.endswith("/log_loss") and v.value is not None]
    if compared:
        losses = ", ".join(f"{v.gate.removesuffix('/log_loss')} {v.value:+.4f}" for v in compared)
        changed = f"Held-out log loss against the champion{f' (version {champion})' if champion else ''}: {losses}."
    else:
        changed = f"It was not compared with {f'version {champion}' if champion else 'a champion'}."
    failed = ", ".join(v.gate for v in verdicts if not v.passed)
    if refused:
        return f"{what} {changed} Not promoted, though asked by {by} ({reason}): {failed} not passed."
    return f"{what} {changed} Promoted by {by} ({reason}): {gates}."

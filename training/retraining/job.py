"""The retraining job: stage after stage, each leaving the store such that the job may end there."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from features import Specification
from training.bundle import BundleRefused, Prior
from training.champion import Champion, load_champion
from training.closed_cohort import newest_date
from training.evidence import load_prior
from training.job import Outcome, Source, train_from_evidence, train_from_registry
from training.learners import CANDIDATES
from training.promotion import PromotionRefused, promote, verdicts_on
from training.registration import alias_version, registered_manifest
from training.registry import Database, Registry, build_cohort, read_registry
from training.retraining.choice import Size, Update, choose_update
from training.retraining.needed import needed
from training.retraining.recalibrated import register_update
from training.retraining.record import Code, GateFigure, Record
from training.retraining.run import open_run
from training.retraining.stages import Announce, Stage
from training.retraining.sweep import sweep
from training.store import CHAMPION, Store
from validation.checkpoint import validate_registry
from validation.evaluation import Evaluation
from validation.quarantine import MAX_BAD_SHARE, admit, admit_without_failing
from validation.registry import CheckedRegistry, RegistryRejected

DECIDING = "deciding.json"
# What training calls its parts, besides the candidates.
_PARTS = {"judging": Stage.EVALUATE, "registering": Stage.REGISTER}


@dataclass(frozen=True)
class Request:
    """What a job is asked to do.

    Attributes
    ----------
    source
        A file or a database.
    as_of
        Day by which patients are closed; None takes the newest date of the registry.
    if_needed
        Do nothing unless monitoring asks for an update.
    promoting
        Whether a model that passes every gate is promoted.
    quarantine
        File for failing rows; with it the job goes on while fewer than `max_bad_share` of its rows fail.
    """

    source: Path | Database
    columns: Path | None = None
    as_of: dt.date | None = None
    update: Update = Update.AUTO
    promoting: bool = True
    allow_simulated: bool = False
    if_needed: bool = False
    by: str = "retraining job"
    reason: str = "scheduled retraining"
    quarantine: Path | None = None
    max_bad_share: float = MAX_BAD_SHARE


def retrain(request: Request, store: Store, spec: Specification, record: Record, announce: Announce) -> Code:
    """Read, decide, train, judge and promote; the caller holds the store's lock.

    Parameters
    ----------
    record
        Filled as the job goes on.
    announce
        Called before each stage.

    Returns
    -------
    Code
        ``FINISHED``, ``REJECTED`` or ``REFUSED``.

    Raises
    ------
    RegistryUnreadable, AddressRefused, ColumnMapError
        As `training.registry.read_registry`.
    CannotSplit
        When the registry does not allow candidates to be judged on held-out patients.
    """
    announce(Stage.SWEEP)
    record.swept = sweep(store).sentences()
    record.run_id = open_run(store, spec, record)
    prior = load_prior(spec)
    if alias_version(store, CHAMPION) is None:
        # The evidence is what everything else is held against, and what is served until something passes.
        train_from_evidence(spec, prior, store)
    record.champion = record.served = served(store)
    if request.if_needed:
        asked = needed(store)
        if not asked.needed:
            record.stopped = asked.text
            return Code.FINISHED
        record.asked += f"; {asked.text}"
    announce(Stage.READ)
    registry = read_registry(request.source, spec, request.columns)
    record.source, record.digest, record.simulated = registry.description, registry.digest, registry.simulated
    announce(Stage.VALIDATE)
    checked = _checked(request, registry, spec, record)
    if checked is None:
        return Code.REJECTED
    announce(Stage.COHORT)
    cohort = build_cohort(checked.frame, spec)
    record.flow = (*(f"{step.text}: {step.rows:,}" for step in cohort.flow), *cohort.notes)
    record.as_of = request.as_of or newest_date(checked.frame, spec)
    announce(Stage.DECIDE)
    champion = _champion(store, spec, prior)
    choice = choose_update(champion, cohort, registry.simulated, record.as_of, request.update, spec)
    record.choice = choice
    if choice.size is Size.NOTHING:
        return Code.FINISHED
    announce(Stage.TRAIN)
    source = Source(
        registry.description, registry.digest, registry.simulated, quality=checked.report, as_of=record.as_of
    )
    if choice.size is Size.RECALIBRATION:
        assert champion is not None and choice.decision is not None
        made = register_update(store, spec, prior, champion, choice.decision, cohort, source, announce)
    else:
        learners = choice.learners or tuple(CANDIDATES)
        tick = partial(_tick, announce)
        made = train_from_registry(cohort, source, spec, prior, store, learners=learners, tick=tick)
    record.training_run_id = made.run_id
    record.made = f"version {made.version} ({choice.size.value}, {made.winner})"
    record.candidates = tuple(
        f"{a.learner}: mean held-out log loss {loss:.4f}"
        for a in made.assessed
        if (loss := a.mean("log_loss")) is not None
    )
    return _promoted(request, store, spec, made, record, announce)


def _tick(announce: Announce, part: str, outcome: str) -> None:
    if part in _PARTS:
        announce(_PARTS[part])


def served(store: Store) -> str:
    """The champion in words."""
    version = alias_version(store, CHAMPION)
    if version is None:
        return "nothing is served"
    return f"version {version}: {registered_manifest(store, version).trained_on.text}"


def _checked(request: Request, registry: Registry, spec: Specification, record: Record) -> CheckedRegistry | None:
    report = validate_registry(registry.frame, spec, reading=registry.problems, notes=registry.notes)
    record.rows = report.rows
    record.defects = tuple(
        f"{d.severity}: {d.field}: {d.code}" + (f" ({d.count:,} rows)" if d.count is not None else "")
        for d in report.problems
    )
    try:
        if request.quarantine is None:
            return admit(registry.frame, report)
        checked = admit_without_failing(registry.frame, report, request.quarantine, request.max_bad_share)
    except RegistryRejected as rejected:
        record.stopped = f"{str(rejected).split(':')[0]}; `resecta validate` names every row."
        return None
    record.set_aside = len(checked.set_aside)
    return checked


def _champion(store: Store, spec: Specification, prior: Prior) -> Champion | None:
    try:
        return load_champion(store, spec, prior)
    except BundleRefused:
        return None


def _promoted(
    request: Request, store: Store, spec: Specification, made: Outcome, record: Record, announce: Announce
) -> Code:
    announce(Stage.GATE)
    record.judged_on = _judged_on(store, made.run_id)
    record.gates = tuple(
        GateFigure(v.gate, v.passed, v.value, v.text, v.bound) for v in verdicts_on(store, spec, made.version)
    )
    if not request.promoting:
        record.verdict = f"Version {made.version} is left as {made.alias}, as was asked."
        return Code.FINISHED
    announce(Stage.PROMOTE)
    try:
        promote(store, spec, made.version, request.allow_simulated, request.by, request.reason)
    except PromotionRefused as refused:
        failed = [v.gate for v in refused.verdicts if not v.passed]
        why = f"gates not passed: {', '.join(failed)}" if failed else str(refused)
        record.verdict = f"Version {made.version} is left as {made.alias}: {why}."
        return Code.REFUSED
    record.served = served(store)
    record.verdict = f"Version {made.version} was promoted."
    return Code.FINISHED


def _judged_on(store: Store, run_id: str) -> str | None:
    """The patients whom the gates' figures are about, in words."""
    import mlflow

    if DECIDING not in {a.path for a in store.open().list_artifacts(run_id)}:
        return None
    local = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=DECIDING)
    return Evaluation.model_validate_json(Path(local).read_text("utf-8")).rows

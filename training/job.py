"""A training job: from a checked registry, or from evidence alone, to a registered model."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features import Specification
from training import experiment
from training.bundle import (
    BundleRefused,
    Calibration,
    Manifest,
    OutcomeModel,
    Prior,
    PriorParameters,
    Support,
    TrainedOn,
    save_bundle,
)
from training.bundle.manifest import SHOWN, Learner
from training.champion import Champion, load_champion
from training.champion import evidence as stand_in
from training.crossfit import Assessed, assess
from training.dossier import Material, compile_dossier
from training.encoded import Encoded, encode
from training.evidence.arm_calibration import load_calibration
from training.held_out_curves import held_out_curves
from training.judgement import Judgement, judge
from training.learners import CANDIDATES
from training.learners.update import updated_parameters
from training.registration import alias_version, register, registered_manifest
from training.registry.cohort import Cohort
from training.report.wording import model_words
from training.splits import Split, choose_split, folds
from training.store import CHALLENGER, CHAMPION, MODEL, Store
from validation.report import ValidationReport

_ROOT = Path(__file__).resolve().parent.parent
Tick = Callable[[str, str], None]


@dataclass(frozen=True)
class Source:
    """Where a cohort came from.

    Attributes
    ----------
    quality
        What validation found; None where nothing was validated, which no gate passes.
    as_of
        See `training.closed_cohort.newest_date`; None takes every patient's follow-up as complete.
    """

    text: str
    digest: str
    simulated: bool
    quality: ValidationReport | None = None
    as_of: dt.date | None = None


@dataclass(frozen=True)
class Outcome:
    """What a job left behind."""

    version: str
    alias: str
    winner: Learner
    assessed: tuple[Assessed, ...]
    run_id: str


def code_version() -> str:
    """Version of the installed project, with the commit when there is one."""
    try:
        number = version("resecta")
    except PackageNotFoundError:
        number = "unpackaged"
    found = subprocess.run(
        ["git", "-C", str(_ROOT), "rev-parse", "--short=12", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{number}+{found.stdout.strip()}" if found.returncode == 0 else number


def train_from_evidence(spec: Specification, prior: Prior, store: Store) -> Outcome:
    """Register the evidence prior itself: the model that needs no data.

    It becomes champion unless a model trained on a real registry already is.
    """
    digest = prior.parameters.evidence_digest
    manifest = _manifest(
        spec,
        "evidence",
        TrainedOn(kind="evidence", text="Published evidence alone; no patient-level data", data_digest=digest),
        tuple(OutcomeModel(outcome=n, learner="evidence", reason="no registry") for n in spec.outcomes.names),
    )
    with (
        experiment.job(store, "evidence", spec, manifest.trained_on, compared=False) as run_id,
        _written(store, spec, prior.parameters, manifest, Support(), {}, load_calibration(digest)) as bundle,
    ):
        number = register(store, bundle, manifest, spec, _describe_evidence(spec))
    client = store.open()
    held = alias_version(store, CHAMPION)
    replaceable = held is None or registered_manifest(store, held).trained_on.kind == "evidence"
    alias = CHAMPION if replaceable else CHALLENGER
    client.set_registered_model_alias(MODEL, alias, number)
    return Outcome(number, alias, "evidence", (), run_id)


def train_from_registry(
    cohort: Cohort,
    source: Source,
    spec: Specification,
    prior: Prior,
    store: Store,
    split: Split | None = None,
    learners: Sequence[Learner] = tuple(CANDIDATES),
    tick: Tick = lambda learner, outcome: None,
) -> Outcome:
    """Fit every candidate on the same folds, log them, and register the best as challenger.

    Parameters
    ----------
    split
        None prefers whole hospitals when there are at least three, else time.
    tick
        Called after each candidate's outcome, for progress.

    Notes
    -----
    The winner has the lowest mean held-out log loss over the outcomes that can be judged; of equals the simpler.
    """
    split = split or choose_split(cohort.site, cohort.index_date)
    fold = folds(split, cohort.site, cohort.index_date)
    encoded = encode(cohort, prior, spec)
    dates = np.sort(cohort.index_date.astype("datetime64[D]"))
    trained_on = TrainedOn(
        kind="simulated" if source.simulated else "registry",
        text=source.text,
        patients=encoded.n,
        sites=len(set(cohort.site)),
        first_date=str(dates[0]),
        last_date=str(dates[-1]),
        data_digest=source.digest,
    )
    champion = _champion(store, spec, prior)
    with experiment.job(store, "registry", spec, trained_on, split=split.value) as run_id:
        assessed: list[Assessed] = []
        runs: dict[str, str] = {}
        for learner in learners:
            with experiment.candidate(learner, split.value, trained_on) as runs[learner]:
                result = assess(learner, encoded, fold, partial(tick, learner))
                experiment.log_candidate(result, encoded)
            assessed.append(result)
        winner = min(assessed, key=_loss)
        tick("judging", "")
        judgement = judge(assessed, encoded, cohort, fold, split.value, champion, source.as_of or _long_after(dates))
        shared = {"split": split.value, **experiment.data_params(trained_on)}
        experiment.log_judgement(runs, winner.learner, judgement, encoded, store, shared)
        manifest = _manifest(spec, winner.learner, trained_on, _outcome_models(winner, encoded))
        written = {f.file: f.write for f in winner.fits.values() if f.file is not None and f.write is not None}
        updates = {name: fit.updated for name, fit in winner.fits.items() if fit.updated is not None}
        moved = updated_parameters(prior, updates, keep_doubt=source.simulated)
        if source.simulated and moved != prior.parameters:
            # Invented patients move what is shown as simulated; the evidence beside it keeps every doubt.
            written[SHOWN] = partial(_write_parameters, parameters=moved)
        parameters = prior.parameters if source.simulated else moved
        curves = held_out_curves(judgement.evaluation, winner.learner, spec, source.digest, source.simulated)
        with _written(store, spec, parameters, manifest, _support(cohort, source), written, curves) as bundle:
            compile_dossier(
                Material(cohort, encoded, prior, source.quality, manifest, bundle, winner, assessed, judgement, split),
                tick,
            ).log()
            tick("registering", "")
            number = register(store, bundle, manifest, spec, _describe(winner, judgement, manifest))
    store.open().set_registered_model_alias(MODEL, CHALLENGER, number)
    return Outcome(number, CHALLENGER, winner.learner, tuple(assessed), run_id)


def _champion(store: Store, spec: Specification, prior: Prior) -> Champion:
    try:
        return load_champion(store, spec, prior)
    except BundleRefused:
        # Of another specification: it cannot answer these patients, so the evidence stands in for it.
        return replace(stand_in(spec, prior), version=alias_version(store, CHAMPION))


def _loss(assessed: Assessed) -> float:
    loss = assessed.mean("log_loss")
    return float("inf") if loss is None else round(loss, 5)


def _outcome_models(winner: Assessed, encoded: Encoded) -> tuple[OutcomeModel, ...]:
    models = []
    for name in encoded.spec.outcomes.names:
        y = encoded.outcomes[name][encoded.eligible(name)]
        fit = winner.fits.get(name)
        models.append(
            OutcomeModel(
                outcome=name,
                learner=winner.learner if fit is not None else "evidence",
                file=fit.file if fit is not None else None,
                calibration=winner.calibration.get(name, (0.0, 1.0)),
                lack_of_fit=fit.lack_of_fit if fit is not None else 0.0,
                patients=len(y),
                events=int(y.sum()),
                reason=winner.reasons.get(name),
            )
        )
    return tuple(models)


def _write_parameters(path: Path, parameters: PriorParameters) -> None:
    path.write_text(parameters.model_dump_json(indent=1) + "\n", "utf-8")


def _support(cohort: Cohort, source: Source) -> Support:
    # Invented patients are no support.
    if source.simulated:
        return Support()
    return Support.of(cohort.spec, cohort.patients, cohort.regimens)


def _manifest(
    spec: Specification, learner: Learner, trained_on: TrainedOn, models: tuple[OutcomeModel, ...]
) -> Manifest:
    return Manifest(
        name=MODEL,
        learner=learner,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        code_version=code_version(),
        spec_digest=spec.digest,
        trained_on=trained_on,
        outcomes=models,
    )


@contextmanager
def _written(
    store: Store,
    spec: Specification,
    parameters: PriorParameters,
    manifest: Manifest,
    support: Support,
    written: dict[str, Callable[[Path], None]],
    calibration: Calibration | None,
) -> Iterator[Path]:
    scratch = store.bundles / uuid.uuid4().hex
    # MLflow files an artifact under the last name of its path, and that name is where it is looked for.
    bundle = scratch / "bundle"
    try:
        scratch.mkdir(parents=True)
        save_bundle(bundle, manifest, parameters, spec, support, written, calibration)
        yield bundle
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _long_after(dates: NDArray[np.datetime64]) -> dt.date:
    return (dates[-1] + np.timedelta64(3 * 366, "D")).astype(dt.date)


def _describe_evidence(spec: Specification) -> str:
    return (
        f"Evidence prior for {len(spec.outcomes.names)} outcomes under {len(spec.regimens.all())} regimens. "
        "It rests on published studies alone; no patient-level data entered. It is the default champion."
    )


def _describe(winner: Assessed, judgement: Judgement, manifest: Manifest) -> str:
    """Three sentences: what it is, what changed against the champion, what becomes of it."""
    data = manifest.trained_on
    rests = "simulated patients, which are no evidence" if manifest.simulated else "a registry"
    differences = [
        f"{d.outcome} {d.figure.value:+.4f} ({d.figure.low:+.4f} to {d.figure.high:+.4f})"
        for d in judgement.evaluation.differences
        if d.model == winner.learner
        and d.metric == experiment.HEADLINE
        and d.group is None
        and judgement.champion.bundle.spec.outcomes[d.outcome].headline
        and None not in (d.figure.value, d.figure.low, d.figure.high)
    ]
    against = judgement.champion.name
    changed = f"Held-out log loss against {against}: {', '.join(differences) or 'not computed'}."
    what = f"{model_words(winner.learner).label}, {data.patients} patients of {data.sites} sites ({rests})."
    return f"{what} {changed} It is a challenger until it is promoted."

"""The recalibrated champion: judged by recalibrations that no patient had a part in, and registered."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features import Specification
from training import experiment
from training.bundle import Manifest, Prior, add_calibration, load_bundle
from training.champion import Champion
from training.closed_cohort import at_risk
from training.dossier import Dossier, gate_facts
from training.encoded import encode
from training.held_out_curves import held_out_curves
from training.job import Outcome, Source, code_version
from training.judgement import Judgement, judge_newest, reported_rows
from training.registration import register
from training.registry import Cohort
from training.retraining.stages import Announce, Stage
from training.store import CHALLENGER, CHAMPION, MODEL, Store
from training.updating import Decision, describe, write_update
from validation.closed_testing import Minimums, Step, climb
from validation.evaluation import Kind

Array = NDArray[np.float64]
FOLDS = 5
_HELD_OUT = "each answered by intercepts and slopes from the other fifths of the patients in time"
_ANY = Minimums(intercept=0, line=0, per_parameter=0)  # the step was chosen already


def register_update(
    store: Store,
    spec: Specification,
    prior: Prior,
    champion: Champion,
    decision: Decision,
    cohort: Cohort,
    source: Source,
    announce: Announce,
) -> Outcome:
    """Write the champion with the recalibration that was chosen, judge it and register it as challenger.

    Parameters
    ----------
    announce
        Called before it is judged and before it is registered.
    """
    scratch = store.bundles / uuid.uuid4().hex
    folder = scratch / "bundle"
    try:
        scratch.mkdir(parents=True)
        manifest = write_update(champion, decision, cohort, folder, source.digest, source.simulated, code_version())
        with experiment.job(store, "recalibration", spec, manifest.trained_on) as run_id:
            announce(Stage.EVALUATE)
            judgement = _judged(champion, decision, cohort, manifest, source)
            experiment.log_judgement(
                {},
                manifest.learner,
                judgement,
                encode(cohort, prior, spec),
                store,
                experiment.data_params(manifest.trained_on),
            )
            add_calibration(
                folder,
                held_out_curves(judgement.evaluation, manifest.learner, spec, source.digest, source.simulated),
            )
            bundle = load_bundle(folder, spec)
            Dossier(judgement, gate_facts(bundle, cohort, judgement, source.quality)).log()
            announce(Stage.REGISTER)
            number = register(store, folder, manifest, spec, describe(champion, decision, manifest))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    store.open().set_registered_model_alias(MODEL, CHALLENGER, number)
    return Outcome(number, CHALLENGER, manifest.learner, (), run_id)


def crossfitted(decision: Decision, cohort: Cohort) -> Mapping[str, Array]:
    """P(outcome | given) of every patient by recalibrations that the patient had no part in, each of shape (n,)."""
    fold = np.empty(len(cohort), dtype=np.int64)
    for k, part in enumerate(np.array_split(np.argsort(cohort.index_date, kind="stable"), FOLDS)):
        fold[part] = k
    conditional: dict[str, Array] = {}
    for name, chosen in decision.chosen.items():
        log_odds, reference = decision.predicted.log_odds[name], decision.predicted.reference[name]
        moved = log_odds.copy()
        if chosen.step != "nothing":
            # As `write_update` has it, a line stands for a revision.
            step: Step = "intercept" if chosen.step == "intercept" else "line"
            y = cohort.outcomes[name]
            rows = decision.cohorts[name].rows & at_risk(cohort, name) & ~np.isnan(y)
            for k in range(FOLDS):
                others, held = rows & (fold != k), fold == k
                no_inputs = np.empty((int(others.sum()), 0))
                ladder = climb(y[others], log_odds[others], no_inputs, reference[others], _ANY)
                intercept, slope = ladder.parameters.get(step, (chosen.intercept, chosen.slope))
                moved[held] = log_odds[held] + intercept + (slope - 1.0) * reference[held]
        conditional[name] = expit(moved)
    products = cohort.spec.outcomes.product(dict(conditional))
    return MappingProxyType({name: np.asarray(p, dtype=np.float64) for name, p in products.items()})


def _judged(champion: Champion, decision: Decision, cohort: Cohort, manifest: Manifest, source: Source) -> Judgement:
    assert source.as_of is not None
    predictions = {manifest.learner: crossfitted(decision, cohort), CHAMPION: decision.predicted.probability}
    kinds: dict[str, Kind] = {manifest.learner: "candidate", CHAMPION: "champion"}
    rows = reported_rows(cohort, cohort.spec)
    deciding, latest = judge_newest(predictions, kinds, cohort, rows, champion, source.as_of, _HELD_OUT)
    # A recalibration is a statement about the newest patients alone, so there is nothing more to show.
    return Judgement(deciding, deciding, champion, latest, ())

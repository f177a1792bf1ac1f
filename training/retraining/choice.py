"""The choice of an update: the least that the registry justifies against the model that is served."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from features import Specification
from training.bundle.manifest import Learner, TrainedOn
from training.champion import Champion
from training.closed_cohort import closed
from training.registry import Cohort
from training.updating import Decision, decide
from validation.closed_testing import Minimums

MORE_PATIENTS = 2.0  # a refit once there are twice as many closed patients as the champion learned from (DOMAIN 6.4)
_NEVER = 10**9  # events that no registry has: a step that takes as many is not considered


class Update(StrEnum):
    """What is asked for; all but ``auto`` and the forced ``refit`` and ``full`` set a limit to what is tested for."""

    AUTO = "auto"
    INTERCEPT = "intercept"
    LINE = "line"
    REFIT = "refit"
    FULL = "full"


class Size(StrEnum):
    """What is done."""

    NOTHING = "nothing"
    RECALIBRATION = "recalibration"
    REFIT = "refit"
    FULL = "full re-selection"


@dataclass(frozen=True)
class OutcomeChoice:
    """What was chosen for one outcome, and why."""

    outcome: str
    step: str
    reason: str


@dataclass(frozen=True)
class Choice:
    """What is done, why, and with which candidates.

    Attributes
    ----------
    decision
        Of closed testing, where it was asked.
    learners
        Candidates of a refit; empty means all of them.
    """

    size: Size
    reason: str
    outcomes: tuple[OutcomeChoice, ...] = ()
    decision: Decision | None = None
    learners: tuple[Learner, ...] = ()


def choose_update(
    champion: Champion | None,
    cohort: Cohort,
    simulated: bool,
    as_of: dt.date,
    update: Update,
    spec: Specification,
) -> Choice:
    """Choose what to do.

    The first of these that holds: an outcome with enough events is needed for anything at all; a champion that has
    learned from no patient, or that cannot be read, is replaced by whatever candidate does best; a champion that has
    learned from at most half as many patients as are closed now is refitted; otherwise closed testing decides.

    Parameters
    ----------
    champion
        None when it cannot be read against this specification.
    simulated
        Whether the registry is invented. A champion from invented patients has learned from none where the registry
        is real.
    as_of
        See `training.closed_cohort.newest_date`.
    """
    notes = tuple(
        OutcomeChoice(n, "trainable" if n in cohort.trainable else "evidence", cohort.reasons.get(n, "enough events"))
        for n in spec.outcomes.names
    )
    if not cohort.trainable:
        return Choice(Size.NOTHING, "No outcome has the fewest events with which anything can be learned.", notes)
    if update is Update.FULL:
        return Choice(Size.FULL, "A full re-selection was asked for.", notes)
    if champion is None:
        return Choice(
            Size.FULL, "The champion cannot be read against this specification, so all is chosen anew.", notes
        )
    learned_from = champion.bundle.manifest.trained_on
    if update is Update.REFIT:
        return Choice(Size.REFIT, "A refit was asked for.", notes, learners=refitted(champion))
    limited = update in (Update.INTERCEPT, Update.LINE)
    if not limited and not _patients(learned_from, simulated):
        reason = f"The champion ({champion.name}) has learned from no patient, and the registry can teach."
        return Choice(Size.FULL, reason, notes)
    count = closed_patients(cohort, as_of, spec)
    if not limited and count >= MORE_PATIENTS * learned_from.patients:
        return Choice(
            Size.REFIT,
            f"{count:,} patients are closed, at least twice the {learned_from.patients:,} that the champion "
            f"({champion.name}) learned from.",
            notes,
            learners=refitted(champion),
        )
    minimums = Minimums(line=_NEVER) if update is Update.INTERCEPT else Minimums()
    decision = decide(champion, cohort, as_of, spec, minimums=minimums)
    return _tested(champion, decision, update)


def refitted(champion: Champion) -> tuple[Learner, ...]:
    """The candidates of a refit: the champion's own learner, or the update of the evidence, beside the evidence."""
    learner = champion.bundle.manifest.learner
    return ("evidence", "xgboost_prior" if learner == "evidence" else learner)


def closed_patients(cohort: Cohort, as_of: dt.date, spec: Specification) -> int:
    """Patients for whom every headline outcome is closed."""
    masks = closed(cohort, as_of, spec)
    return int(np.logical_and.reduce([masks[o.name] for o in spec.outcomes.outcomes if o.headline]).sum())


def _tested(champion: Champion, decision: Decision, update: Update) -> Choice:
    if update is Update.INTERCEPT:
        said = f"takes {_NEVER}"
        shorter = {
            name: replace(c, reason=c.reason.replace(said, "was not asked for")) for name, c in decision.chosen.items()
        }
        decision = replace(decision, chosen=shorter)
    outcomes = tuple(
        OutcomeChoice(name, chosen.step, f"{chosen.reason}. On {decision.cohorts[name].text}.")
        for name, chosen in decision.chosen.items()
    )
    steps = {c.step for c in decision.chosen.values()}
    if steps == {"nothing"}:
        reason = f"Closed testing finds no outcome for which newer patients contradict {champion.name}."
        return Choice(Size.NOTHING, reason, outcomes, decision)
    if "revision" in steps and update is Update.AUTO:
        reason = "Closed testing asks for a revision, since a new intercept and slope do not suffice."
        return Choice(Size.REFIT, reason, outcomes, decision, refitted(champion))
    reason = "Closed testing asks for a recalibration of the outcomes named below, and for no more."
    if "revision" in steps:
        reason = "Closed testing asks for a revision; a recalibration is as much as was allowed."
    return Choice(Size.RECALIBRATION, reason, outcomes, decision)


def _patients(learned_from: TrainedOn, simulated: bool) -> bool:
    return learned_from.kind == "registry" or (simulated and learned_from.kind == "simulated")

"""Updating the champion: how much is justified, and a new bundle that differs by a recalibration alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from features import Specification, SpecificationError
from features.field import Frozen
from training.bundle import Manifest, OutcomeModel, Recalibration, TrainedOn, rewrite_bundle, save_bundle
from training.champion import Champion, Predicted, predict
from training.closed_cohort import Newest, at_risk, newest, taught_until
from training.registry.cohort import Cohort
from validation.closed_testing import STEPS, Chosen, Ladder, Minimums, Step, choose, climb

Array = NDArray[np.float64]
_MARK = ", recalibrated "


class Updating(Frozen):
    """Which effects a revision re-estimates, see ``updating.yaml``.

    Attributes
    ----------
    revision
        Patient factors by group of outcomes.
    """

    revision: dict[str, tuple[str, ...]]

    def complaints(self, spec: Specification) -> list[str]:
        """Every entry that does not fit the specification."""
        groups, known = {o.group for o in spec.outcomes.outcomes}, spec.encoding.learned
        found = [f"updating: unknown group of outcomes {group}" for group in self.revision if group not in groups]
        found += [f"updating: no revision for the group {group}" for group in sorted(groups - set(self.revision))]
        for group, names in self.revision.items():
            stray = [name for name in names if name not in known]
            if stray or not names:
                found.append(f"updating: {group}: {', '.join(stray) or 'nothing'} is no patient factor that is learned")
        return found


@lru_cache(maxsize=4)
def load_updating(spec: Specification) -> Updating:
    """Load the revisions that ship with the project.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    updating = Updating.model_validate(yaml.safe_load((files("training") / "updating.yaml").read_text("utf-8")))
    complaints = updating.complaints(spec)
    if complaints:
        raise SpecificationError("\n".join(complaints))
    return updating


@dataclass(frozen=True)
class Decision:
    """What newer patients justify.

    Attributes
    ----------
    step
        The most extensive step of any outcome: ``revision`` asks for a refit, anything less for `write_update`.
    chosen
        By outcome.
    cohorts
        The closed patients that each outcome was judged on.
    predicted
        What the champion said of every patient of the cohort.
    """

    step: Step
    chosen: Mapping[str, Chosen]
    cohorts: Mapping[str, Newest]
    predicted: Predicted

    @property
    def text(self) -> str:
        """One line an outcome, with test, figures and the patients behind them."""
        return "\n".join(f"{name}: {c.reason}. On {self.cohorts[name].text}." for name, c in self.chosen.items())


def decide(
    champion: Champion,
    cohort: Cohort,
    as_of: dt.date,
    spec: Specification,
    predicted: Predicted | None = None,
    minimums: Minimums | None = None,
    riley: Mapping[str, int] | None = None,
) -> Decision:
    """Choose the least update of each outcome by closed testing on the champion's newest closed cohort.

    Parameters
    ----------
    as_of
        See `training.closed_cohort.newest_date`.
    predicted
        The champion's predictions for the cohort, where they were made already.
    minimums
        Fewest events of each step; None takes those of DOMAIN 5.4.
    riley
        Fewest patients of a revision, by outcome.

    Notes
    -----
    An outcome that is recorded when it is suspected is left alone: its rate among the recorded says nothing of the
    rate that the champion should predict (`features.Outcome.selectively_recorded`).
    """
    predicted = predicted or predict(champion.bundle, cohort)
    cohorts = newest(cohort, taught_until(champion.bundle.manifest, spec), as_of, spec)
    ladders = {}
    for outcome in spec.outcomes.outcomes:
        name = outcome.name
        y = cohort.outcomes[name]
        rows = cohorts[name].rows & at_risk(cohort, name) & ~np.isnan(y)
        if outcome.selectively_recorded:
            ladders[name] = untested(y[rows], "the outcome is recorded when it is suspected, so its rate misleads")
            continue
        ladders[name] = climb(
            y[rows],
            predicted.log_odds[name][rows],
            revision_design(cohort, name, rows),
            predicted.reference[name][rows],
            minimums,
            None if riley is None else riley.get(name),
        )
    chosen = choose(ladders)
    return Decision(max((c.step for c in chosen.values()), key=STEPS.index), chosen, cohorts, predicted)


def untested(y: Array, reason: str) -> Ladder:
    """Leave an outcome untested, for a reason."""
    return Ladder(len(y), int(y.sum()), "nothing", reason, {}, {})


def revision_design(cohort: Cohort, outcome: str, rows: NDArray[np.bool_]) -> Array:
    """Inputs that a revision of an outcome re-estimates, of some rows, shape (m, k - 2).

    Standardised among these rows; what is not known counts as their mean, which is 0.
    """
    spec = cohort.spec
    names = load_updating(spec).revision[spec.outcomes[outcome].group]
    values = spec.encoding.patient_matrix(cohort.patients.take(rows), names)
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    centred = np.where(known, values - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    return np.asarray(centred / np.where(spread > 1e-9, spread, 1.0))


def write_update(
    champion: Champion,
    decision: Decision,
    cohort: Cohort,
    folder: Path,
    digest: str,
    simulated: bool,
    code_version: str,
) -> Manifest:
    """Write a bundle that is the champion with the recalibration that was chosen for each outcome.

    The champion's evidence, learned parts, support and intervals stay; on the log-odds scale every interval keeps its
    width and every contrast between regimens its size. An outcome whose choice is a revision takes the line (or the
    intercept, where a line would reverse the order of patients): as much as can be had without a refit.

    Parameters
    ----------
    folder
        Must not exist yet.
    digest
        Of the registry that the patients came from.
    simulated
        Whether they are invented; the new model then counts as simulated.

    Returns
    -------
    Manifest
        Of the new bundle, not yet registered.

    Raises
    ------
    ValueError
        When nothing was chosen for any outcome.
    """
    moved = {name: c for name, c in decision.chosen.items() if c.step != "nothing"}
    if not moved:
        raise ValueError("closed testing justifies no update of any outcome; the champion stays as it is")
    old = champion.bundle.manifest
    manifest = old.model_copy(
        update={
            "version": "unregistered",
            "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "code_version": code_version,
            "trained_on": _trained_on(champion, decision, cohort, digest, simulated),
            "outcomes": tuple(
                _moved(champion, m, moved[m.outcome], decision.cohorts[m.outcome]) if m.outcome in moved else m
                for m in old.outcomes
            ),
        }
    )
    if champion.folder is not None:
        rewrite_bundle(champion.folder, folder, manifest)
    else:
        bundle = champion.bundle
        save_bundle(folder, manifest, bundle.prior.parameters, bundle.spec, bundle.support)
    return manifest


def describe(champion: Champion, decision: Decision, manifest: Manifest) -> str:
    """Describe the new version in three sentences for the registry."""
    said = [f"{n} {c.intercept:+.2f}/{c.slope:.2f}" for n, c in decision.chosen.items() if c.step != "nothing"]
    stays = [name for name, c in decision.chosen.items() if c.step == "nothing"]
    rests = "simulated patients, which are no evidence" if manifest.simulated else "a registry"
    return (
        f"Recalibration of {champion.name} on {rests}; regimen contrasts and intervals on the log-odds scale stay. "
        f"Intercept/slope by closed testing: {', '.join(said)}; unchanged: {', '.join(stays) or 'none'}. "
        "It is a challenger until it is promoted."
    )


def _moved(champion: Champion, model: OutcomeModel, chosen: Chosen, cohort: Newest) -> OutcomeModel:
    before = model.recalibration
    intercept, slope = (0.0, 1.0) if before is None else (before.intercept, before.slope)
    last = str(cohort.last)
    # A line after a line is a line; what it adds was fitted to the reference log-odds as they then were.
    recalibration = Recalibration(
        intercept=chosen.intercept + chosen.slope * intercept,
        slope=chosen.slope * slope,
        update_of=champion.version or "evidence",
        patients=chosen.patients,
        events=chosen.events,
        last_date=last if before is None else max(last, before.last_date),
    )
    return model.model_copy(update={"recalibration": recalibration})


def _trained_on(champion: Champion, decision: Decision, cohort: Cohort, digest: str, simulated: bool) -> TrainedOn:
    """Say what data are behind the update: the champion's and those that moved it."""
    old = champion.bundle.manifest.trained_on
    rows = np.zeros(len(cohort), dtype=bool)
    fresh = np.zeros(len(cohort), dtype=bool)
    for name, chosen in decision.chosen.items():
        if chosen.step != "nothing":
            used = decision.cohorts[name].rows & at_risk(cohort, name) & ~np.isnan(cohort.outcomes[name])
            rows |= used
            fresh |= used if old.last_date is None else used & (cohort.index_date > np.datetime64(old.last_date, "D"))
    first, last = str(cohort.index_date[rows].min()), str(cohort.index_date[rows].max())
    sites = len(set(cohort.site[rows]))
    steps = [c.step for c in decision.chosen.values() if c.step != "nothing"]
    lines = sum(step != "intercept" for step in steps)
    parts = [
        f"{what} for {n} outcome{'s' if n != 1 else ''}"
        for what, n in (("intercept", len(steps) - lines), ("intercept and slope", lines))
        if n
    ]
    base = "Published evidence" if old.kind == "evidence" else old.text.split(_MARK)[0]
    invented = "simulated patients" if simulated else "patients"
    return TrainedOn(
        kind="simulated" if simulated or old.kind == "simulated" else "registry",
        text=(
            f"{base}{_MARK}({' and '.join(parts)}; update of {champion.name}) on {int(rows.sum()):,} {invented} of "
            f"{sites} site{'s' if sites != 1 else ''} who began from {first} to {last}"
        ),
        patients=old.patients + int(fresh.sum()),
        sites=max(old.sites, sites),
        first_date=first if old.first_date is None else min(first, old.first_date),
        last_date=last if old.last_date is None else max(last, old.last_date),
        data_digest=digest,
    )

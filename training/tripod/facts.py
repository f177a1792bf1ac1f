"""What a job's artefacts tell of a model, gathered for its reporting record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from features import Specification, Time
from features.field import Frozen
from training.bundle.manifest import Learner, TrainedOn
from training.registry.cohort import Cohort
from validation.evaluation import Evaluation
from validation.report import ValidationReport
from validation.sample_size import SampleVerdict
from validation.subgroup_figures import MIN_COUNT
from validation.subgroups import groups, load_subgroups


class Described(Frozen):
    """An outcome or a predictor as the specification declares it."""

    name: str
    label: str
    definition: str
    window: str | None = None
    why: str


class Flow(Frozen):
    """One box of the flow diagram."""

    code: str
    text: str
    rows: int


class Count(Frozen):
    """Patients who could teach an outcome, and how many of them had it."""

    outcome: str
    patients: int
    events: int


class Missing(Frozen):
    """Share of patients in whom a predictor is not known, in percent."""

    label: str
    percent: float


class DataValidation(Frozen):
    """What checking the registry found."""

    rows: int
    errors: int
    warnings: int
    problems: tuple[str, ...] = ()


class TripodFacts(Frozen):
    """Everything that a reporting record may be filled from; None, or nothing, where there is no such artefact.

    Attributes
    ----------
    refused
        Labels of recorded fields that are known too late to be predictors.
    unknown_levels
        Labels of predictors in which "not tested" or the like is a level of its own.
    headline
        Names of the outcomes that are looked at first.
    roots
        Names of the outcomes that every patient could have.
    site_group, regimen_group
        What the groups of sites and of regimens are called.
    follow_up_until
        Last date on which any patient was seen.
    split, folds
        How patients were held out, and in how many folds.
    flow, regimens, missing, counts, levels
        Of the cohort: flow diagram, patients by regimen, missing predictors, events by outcome, patients by group and
        level; None where a count is too small to show.
    sample_size
        By outcome.
    settings
        Settings chosen in training, by outcome.
    stability, contrasts
        Sentences on learning stability, and on regimen effects.
    update
        What was decided about updating, in a sentence.
    """

    spec_digest: str
    outcomes: tuple[Described, ...]
    predictors: tuple[Described, ...]
    refused: tuple[str, ...]
    unknown_levels: tuple[str, ...]
    regimen_labels: tuple[str, ...]
    headline: tuple[str, ...]
    roots: tuple[str, ...]
    site_group: str
    regimen_group: str
    trained_on: TrainedOn | None = None
    learner: Learner | None = None
    candidates: tuple[Learner, ...] = ()
    code_version: str | None = None
    model_version: str | None = None
    follow_up_until: str | None = None
    split: str | None = None
    folds: int | None = None
    flow: tuple[Flow, ...] = ()
    exclusions: tuple[str, ...] = ()
    regimens: dict[str, int | None] = {}
    missing: tuple[Missing, ...] = ()
    counts: tuple[Count, ...] = ()
    levels: dict[str, dict[str, int | None]] = {}
    cohort_notes: tuple[str, ...] = ()
    sample_size: dict[str, SampleVerdict] = {}
    evaluation: Evaluation | None = None
    settings: dict[str, dict[str, float]] = {}
    stability: tuple[str, ...] = ()
    contrasts: tuple[str, ...] = ()
    data_validation: DataValidation | None = None
    update: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def simulated(self) -> bool:
        """Whether the patients were invented."""
        return self.trained_on is not None and self.trained_on.kind == "simulated"

    @property
    def from_patients(self) -> bool:
        """Whether any patient-level data stand behind the model."""
        return self.trained_on is not None and self.trained_on.kind != "evidence"

    def label(self, outcome: str) -> str:
        """What an outcome is called."""
        return next((o.label for o in self.outcomes if o.name == outcome), outcome)


def gather(
    spec: Specification,
    cohort: Cohort | None = None,
    trained_on: TrainedOn | None = None,
    validation: ValidationReport | None = None,
    evaluation: Evaluation | None = None,
    sample_size: Mapping[str, SampleVerdict] | None = None,
    settings: Mapping[str, Sequence[tuple[str, float]]] | None = None,
    **told: object,
) -> TripodFacts:
    """Gather the facts of a job.

    Parameters
    ----------
    settings
        Notes of each fit by outcome (`training.learners.Fit.notes`).
    told
        Any other attribute of `TripodFacts`.
    """
    times = {outcome.predict_at for outcome in spec.outcomes.outcomes}
    at = min(times, key=lambda time: time.rank)
    predictors = spec.predictors(at)
    declared = load_subgroups(spec)
    facts: dict[str, object] = {
        "spec_digest": spec.digest,
        "outcomes": tuple(
            Described(name=o.name, label=o.label, definition=o.definition, window=o.window, why=o.why)
            for o in spec.outcomes.outcomes
        ),
        "predictors": tuple(
            Described(name=f.name, label=f.label, definition=f.allowed(), window=f.known_at.value, why=f.why)
            for f in predictors
        ),
        "refused": tuple(f.label for f in spec.registry_fields if not f.known_at.by(at)),
        "unknown_levels": tuple(f.label for f in predictors if f.unknown_codes),
        "regimen_labels": tuple(regimen.label for regimen in spec.regimens.all()),
        "headline": tuple(o.name for o in spec.outcomes.outcomes if o.headline),
        "roots": tuple(o.name for o in spec.outcomes.outcomes if o.within is None),
        "site_group": declared.site,
        "regimen_group": declared.regimen.label,
        "trained_on": trained_on,
        "evaluation": evaluation,
        "sample_size": dict(sample_size or {}),
        "settings": {name: dict(notes) for name, notes in (settings or {}).items()},
        **(_of_cohort(cohort, at) if cohort is not None else {}),
        **told,
    }
    if validation is not None:
        facts["data_validation"] = _of_validation(validation)
    return TripodFacts.model_validate(facts)


def _of_validation(report: ValidationReport) -> DataValidation:
    return DataValidation(
        rows=report.rows,
        errors=len(report.errors),
        warnings=len(report.warnings),
        problems=tuple(f"{p.field}: {p.what}" for p in report.problems),
    )


def _of_cohort(cohort: Cohort, at: Time) -> dict[str, object]:
    spec = cohort.spec
    known = {f.label: cohort.patients.known(f.name) for f in spec.predictors(at)}
    counts = []
    for outcome in spec.outcomes.outcomes:
        y = cohort.outcomes[outcome.name]
        held = ~np.isnan(y) if outcome.within is None else ~np.isnan(y) & (cohort.outcomes[outcome.within] == 1)
        counts.append(Count(outcome=outcome.name, patients=int(held.sum()), events=int((y[held] == 1).sum())))
    divided = groups(spec, cohort.patients, cohort.regimens, cohort.site)
    steps = [Flow(code=s.code, text=s.text, rows=s.rows) for s in cohort.flow]
    return {
        "flow": tuple(steps),
        "exclusions": tuple(s.text for s in steps[1:-1]),
        "regimens": _large_enough(dict(Counter(regimen.label for regimen in cohort.regimens).most_common())),
        "missing": tuple(
            Missing(label=label, percent=round(100 * float(1 - k.mean()), 1)) for label, k in known.items()
        ),
        "counts": tuple(counts),
        "levels": {
            group: _large_enough({label: int(mask.sum()) for label, mask in levels.items() if mask.any()})
            for group, levels in divided.items()
        },
        "cohort_notes": cohort.notes,
    }


def _large_enough(counts: dict[str, int]) -> dict[str, int | None]:
    """Counts of a division of the cohort, without those that could point to a person."""
    hidden = {label for label, n in counts.items() if n < MIN_COUNT}
    # With one left out, the others and the total would give it away.
    if len(hidden) == 1 and len(counts) > 1:
        hidden.add(min(set(counts) - hidden, key=lambda label: counts[label]))
    return {label: None if label in hidden else n for label, n in counts.items()}

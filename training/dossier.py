"""The dossier: everything that a job says about the model it made, for a person to judge and for a gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.bundle import Bundle, Manifest, Prior, load_bundle
from training.champion import Champion
from training.checks import HELD, check_bundle, coverage
from training.crossfit import Assessed
from training.effects import RegimenEffects, audit
from training.effects.panels import panels
from training.encoded import Encoded
from training.judgement import Judgement
from training.monitor.reference import PROFILE, cohort_profile
from training.registry.cohort import Cohort
from training.report import ReportFacts, render
from training.report.panel import Panel
from training.splits import FOLDS, Split
from training.stability import Stability, headline_stability, stability_figure
from training.store import CHAMPION
from training.tripod import TripodFacts, TripodRecord, gather, tripod
from validation.evaluation import Figure
from validation.gates import GateFacts, load_gates
from validation.monitoring.profile import Profile, ProfileRefused
from validation.report import ValidationReport
from validation.sample_size import SampleVerdict, verdict
from validation.verdict import Verdict, judge

Tick = Callable[[str, str], None]


@dataclass(frozen=True)
class Material:
    """What a dossier is made from.

    Attributes
    ----------
    prior
        The published evidence, not moved by this registry.
    quality
        What validation found; None where nothing was validated.
    folder
        The bundle as it will be registered.
    """

    cohort: Cohort
    encoded: Encoded
    prior: Prior
    quality: ValidationReport | None
    manifest: Manifest
    folder: Path
    winner: Assessed
    assessed: Sequence[Assessed]
    judgement: Judgement
    split: Split


@dataclass(frozen=True)
class Dossier:
    """What was found.

    Attributes
    ----------
    facts
        What gates ask beside the evaluation.
    effects, report, record, stability, profile
        Contrasts between regimens, the page, the TRIPOD+AI record, how stable learning is, and what the patients were
        like; None where a job does not make them.
    """

    judgement: Judgement
    facts: GateFacts
    effects: RegimenEffects | None = None
    report: str | None = None
    record: TripodRecord | None = None
    stability: tuple[Stability, ...] = ()
    profile: Profile | None = None

    def log(self) -> None:
        """Log every part as an artifact of the active run."""
        import mlflow

        mlflow.log_text(self.judgement.evaluation.model_dump_json(), "evaluation.json")
        mlflow.log_text(self.judgement.deciding.model_dump_json(), "deciding.json")
        mlflow.log_text(self.facts.model_dump_json(indent=1), "checks.json")
        for found in self.stability:
            mlflow.log_metrics({f"{found.outcome}/{name}": value for name, value in found.metrics().items()})
        if self.profile is not None:
            mlflow.log_text(self.profile.model_dump_json(indent=1), PROFILE)
        if self.effects is not None:
            mlflow.log_text(self.effects.model_dump_json(indent=1), "contrasts.json")
        if self.record is not None:
            mlflow.log_text(self.record.to_json(), "tripod_ai.json")
            mlflow.log_text(self.record.to_markdown(), "tripod_ai.md")
        if self.report is not None:
            mlflow.log_text(self.report, "report.html")


def compile_dossier(material: Material, tick: Tick = lambda what, outcome: None) -> Dossier:
    """Compile the dossier of a model that is about to be registered.

    Parameters
    ----------
    tick
        Called before each long part, for progress.
    """
    cohort, encoded, winner = material.cohort, material.encoded, material.winner
    bundle = load_bundle(material.folder, cohort.spec)
    tick("checking", "")
    facts = gate_facts(bundle, cohort, material.judgement, material.quality)
    tick("contrasting regimens", "")
    simulated = material.manifest.simulated
    effects = audit(cohort, material.prior, bundle.engine.reported, simulated=simulated)
    tick("judging stability", "")
    stability = headline_stability(winner.learner, encoded, winner.fits)
    sizes = _sample_sizes(material)
    record = tripod(_tripod_facts(material, effects, stability, sizes))
    tick("writing the report", "")
    report = render(
        ReportFacts(
            spec=cohort.spec,
            manifest=material.manifest,
            evaluation=material.judgement.evaluation,
            deciding=material.judgement.deciding,
            champion=_champion_manifest(material.judgement.champion),
            verdicts=_verdicts(material, facts),
            effects=panels(effects),
            stability=(_stability_panel(stability, encoded),),
            quality=material.quality,
            flow=cohort.flow,
            sample_size=tuple(f"{cohort.spec.outcomes[name].label}: {v.text}" for name, v in sizes.items()),
            tripod=_tripod_panel(record),
            notes=(*cohort.notes, *material.judgement.notes),
        )
    )
    return Dossier(material.judgement, facts, effects, report, record, stability, _profile(bundle, cohort))


def _champion_manifest(champion: Champion) -> Manifest:
    manifest = champion.bundle.manifest
    return manifest if champion.version is None else manifest.model_copy(update={"version": champion.version})


def _verdicts(material: Material, facts: GateFacts) -> tuple[Verdict, ...]:
    """Every gate's answer now; promotion asks anew."""
    headline = [o.name for o in material.cohort.spec.outcomes.outcomes if o.headline]
    facts = facts.model_copy(update={"champion_unchanged": HELD})
    return judge(load_gates(), material.judgement.deciding, material.winner.learner, CHAMPION, facts, headline)


def _profile(bundle: Bundle, cohort: Cohort) -> Profile | None:
    try:
        return cohort_profile(cohort, Champion(None, bundle, None))
    except ProfileRefused:
        return None  # too few patients for a profile that singles none out; monitoring then has no reference


def _sample_sizes(material: Material) -> dict[str, SampleVerdict]:
    """Whether the patients suffice for a new model of each headline outcome, by Riley's criteria."""
    encoded = material.encoded
    found = {}
    for outcome in encoded.spec.outcomes.outcomes:
        if not outcome.headline:
            continue
        y = encoded.outcomes[outcome.name][encoded.eligible(outcome.name)]
        reached = material.judgement.evaluation.model(material.winner.learner).outcomes[outcome.name].metrics["auroc"]
        parameters = len(encoded.factors) + len(encoded.terms)
        found[outcome.name] = verdict(len(y), int(y.sum()), reached.value, parameters)
    return found


def _tripod_facts(
    material: Material,
    effects: RegimenEffects,
    stability: Sequence[Stability],
    sizes: dict[str, SampleVerdict],
) -> TripodFacts:
    spec = material.cohort.spec
    evaluation = material.judgement.evaluation
    return gather(
        spec,
        cohort=material.cohort,
        trained_on=material.manifest.trained_on,
        validation=material.quality,
        evaluation=evaluation,
        sample_size=sizes,
        settings={name: fit.notes for name, fit in material.winner.fits.items()},
        learner=material.winner.learner,
        candidates=tuple(a.learner for a in material.assessed),
        code_version=material.manifest.code_version,
        split=material.split.value,
        folds=FOLDS,
        stability=tuple(s.text(spec.outcomes[s.outcome].label) for s in stability),
        contrasts=tuple(c.overlap.verdict for c in effects.contrasts),
        follow_up_until=material.manifest.trained_on.last_date,
        update="No registered model was updated: every candidate was fitted anew and the best was registered.",
        warnings=(*evaluation.warnings, *effects.warnings),
    )


def _stability_panel(stability: Sequence[Stability], encoded: Encoded) -> Panel:
    labels = {s.outcome: encoded.spec.outcomes[s.outcome].label for s in stability}
    return Panel(
        title="Learning stability",
        sentences=tuple(s.text(labels[s.outcome]) for s in stability),
        figure=stability_figure(stability, encoded),
        alt="How far each patient's prediction moves when the model learns from random halves of the patients",
    )


def _tripod_panel(record: TripodRecord) -> Panel:
    return Panel(
        title="TRIPOD+AI",
        sentences=(
            f"{record.count('filled')} of {len(record.items)} sub-items are filled from what this job left behind, "
            f"{record.count('partly')} in part; the rest only the site can write. The whole record is in "
            "tripod_ai.md beside this page.",
        ),
        head=("Item", "Content", "Status", "What is known"),
        rows=tuple((i.id, i.content, i.status, " ".join(i.text)) for i in record.items),
        folded=True,
    )


def gate_facts(bundle: Bundle, cohort: Cohort, judgement: Judgement, quality: ValidationReport | None) -> GateFacts:
    """What gates ask of a bundle beside the evaluation."""
    validated = (
        HELD if quality is not None else Figure(value=None, reason="the registry was not validated within this job")
    )
    return check_bundle(bundle, cohort.spec).model_copy(
        update={
            "judged_against": judgement.champion.version,
            "data_validated": validated,
            "coverage": coverage(bundle, cohort.take(np.flatnonzero(judgement.newest))),
        }
    )

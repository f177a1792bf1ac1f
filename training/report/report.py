"""The report of a job: one page, in one file, that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from features import Specification
from training.bundle import Manifest
from training.registry.cohort import FlowStep
from training.report.curves import calibration_parts, decision_parts, difference_part
from training.report.figures import lines, svg
from training.report.glance import compared_with, glance
from training.report.metric import HEADLINE, metrics_of
from training.report.panel import Panel
from training.report.tables import difference_tables, model_tables, outcome_label, provenance, subgroup_tables
from training.report.wording import model_words
from validation.evaluation import Evaluation
from validation.report import ValidationReport
from validation.verdict import Verdict


@dataclass(frozen=True)
class ReportFacts:
    """Everything the page tells; what is empty is said to be missing, not left out.

    Attributes
    ----------
    manifest
        Of the model that the page is about.
    evaluation, deciding
        On every held-out patient, and on the newest ones alone, which gates read.
    mine
        Its name in the evaluation; the manifest's learner when omitted.
    champion
        Of the version that answered when the job ran; None when there was none.
    effects, stability
        Parts made by whoever estimated them.
    quality
        What validation found of the registry.
    sample_size, update
        Sentences: what the patients suffice for, and which update was chosen and why.
    verdicts
        The gates', where they were asked.
    tripod
        How far the reporting checklist could be filled.
    notes
        What was assumed or corrected while the cohort was built.
    """

    spec: Specification
    manifest: Manifest
    evaluation: Evaluation
    deciding: Evaluation | None = None
    mine: str | None = None
    champion: Manifest | None = None
    effects: tuple[Panel, ...] = ()
    stability: tuple[Panel, ...] = ()
    quality: ValidationReport | None = None
    flow: tuple[FlowStep, ...] = ()
    sample_size: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    tripod: Panel | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def about(self) -> str:
        """Name of the judged model that the page is about."""
        return self.mine or self.manifest.learner


def render(facts: ReportFacts) -> str:
    """Render the page.

    Returns
    -------
    str
        HTML with its style and figures inside; the same facts give the same text.

    Raises
    ------
    KeyError
        When the model it is about was not judged.
    """
    evaluation, spec, mine = facts.evaluation, facts.spec, facts.about
    evaluation.model(mine)
    against = compared_with(evaluation, mine)
    drawn = lines([m.name for m in evaluation.models if m.kind != "baseline"], mine)
    return (
        _environment()
        .get_template("report.html")
        .render(
            facts=facts,
            style=Markup((files("training.report") / "templates" / "report.css").read_text("utf-8")),
            data=facts.manifest.trained_on,
            simulated=facts.manifest.simulated,
            mine=model_words(mine).label,
            against=model_words(against).label if against else None,
            glance=glance(evaluation, mine, spec),
            tables=model_tables(evaluation, mine, spec),
            first=HEADLINE,
            lines=drawn,
            calibration=calibration_parts(evaluation, drawn, mine, spec),
            decisions=decision_parts(evaluation, drawn, mine, spec),
            forest=difference_part(evaluation, mine, against, spec) if against else None,
            changes=difference_tables(evaluation, mine, against, spec) if against else (),
            provenance=provenance(facts.manifest, facts.champion),
            subgroups=subgroup_tables(evaluation, mine, against, spec),
            newest=glance(facts.deciding, mine, spec) if facts.deciding else None,
            newest_changes=difference_tables(facts.deciding, mine, against, spec) if facts.deciding and against else (),
            effects=_panels(facts.effects, "effect"),
            stability=_panels(facts.stability, "stability"),
            tripod=_panels((facts.tripod,) if facts.tripod else (), "tripod"),
            unlearned=[(outcome_label(spec, o.outcome), o.reason) for o in facts.manifest.outcomes if o.reason],
            models=[(m.name, m.kind, model_words(m.name)) for m in evaluation.models],
            metrics=metrics_of(evaluation),
        )
    )


def _panels(panels: Sequence[Panel], prefix: str) -> list[tuple[Panel, Markup | None]]:
    return [
        (panel, Markup(svg(panel.figure, f"{prefix}{place}", panel.alt)) if panel.figure is not None else None)
        for place, panel in enumerate(panels)
    ]


def _environment() -> Environment:
    environment: Any = Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment

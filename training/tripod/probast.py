"""Risk of bias after PROBAST, as far as artefacts can tell: they can show a risk, never its absence."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Literal, Self

import yaml
from pydantic import model_validator

from features.field import Frozen
from training.tripod.facts import TripodFacts

Answer = Literal["yes", "no", "no information"]
Risk = Literal["high", "unclear"]
Rule = Callable[[TripodFacts], tuple[Answer, str]]
_BY_DESIGN = ("Participants", "Outcome")  # what a simulation invents


class DeclaredQuestion(Frozen):
    """A signalling question and the rule that answers it."""

    id: str
    question: str
    answer: str

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if self.answer not in RULES:
            raise ValueError(f"question {self.id}: unknown rule {self.answer}; known are {', '.join(RULES)}")
        return self


class DeclaredDomain(Frozen):
    """Questions of one domain."""

    domain: str
    questions: tuple[DeclaredQuestion, ...]


class Declared(Frozen):
    """All domains, see ``probast.yaml``."""

    wording: str
    domains: tuple[DeclaredDomain, ...]

    @model_validator(mode="after")
    def _names_what_a_simulation_invents(self) -> Self:
        absent = sorted(set(_BY_DESIGN) - {d.domain for d in self.domains})
        if absent:
            raise ValueError(f"no domain {', '.join(absent)}, which a simulation puts at high risk")
        return self


class Question(Frozen):
    """A signalling question, answered."""

    id: str
    question: str
    answer: Answer
    why: str


class Domain(Frozen):
    """One domain, judged by its questions."""

    domain: str
    risk: Risk
    why: str
    questions: tuple[Question, ...]


class Probast(Frozen):
    """All domains, and the risk of bias over them."""

    wording: str
    domains: tuple[Domain, ...]
    overall: str


@cache
def load_questions() -> Declared:
    """Load the questions that ship with the project.

    Raises
    ------
    pydantic.ValidationError
        Naming every question without a rule.
    """
    return Declared.model_validate(yaml.safe_load((files("training.tripod") / "probast.yaml").read_text("utf-8")))


def probast(facts: TripodFacts) -> Probast:
    """Answer the signalling questions and judge each domain."""
    declared = load_questions()
    domains = tuple(_judged(domain, facts) for domain in declared.domains)
    high = [d.domain.lower() for d in domains if d.risk == "high"]
    overall = f"high risk of bias ({', '.join(high)})" if high else "unclear risk of bias; a person must judge"
    return Probast(wording=declared.wording, domains=domains, overall=overall)


def _judged(domain: DeclaredDomain, facts: TripodFacts) -> Domain:
    questions = []
    for q in domain.questions:
        answer, why = RULES[q.answer](facts)
        questions.append(Question(id=q.id, question=q.question, answer=answer, why=why))
    against = [q.id for q in questions if q.answer == "no"]
    if facts.simulated and domain.domain in _BY_DESIGN:
        risk: Risk = "high"
        why = "by design: patients and outcomes are simulated, so nothing here was observed"
    elif against:
        risk, why = "high", f"answered no: {', '.join(against)}"
    else:
        risk, why = "unclear", "no question is answered no, but a person must judge what artefacts cannot show"
    return Domain(domain=domain.domain, risk=risk, why=why, questions=tuple(questions))


def _suitable_source(f: TripodFacts) -> tuple[Answer, str]:
    if f.trained_on is None:
        return "no information", "where the data came from is not recorded"
    return {
        "simulated": ("no", "patients are simulated; no cohort, trial or registry was observed"),
        "registry": ("no information", "a registry; whether it is consecutive and complete the site must say"),
        "evidence": ("no information", "published studies of mixed design; no patient-level data"),
    }[f.trained_on.kind]  # type: ignore[return-value]


def _exclusions_stated(f: TripodFacts) -> tuple[Answer, str]:
    if not f.flow:
        return "no information", "there is no flow diagram"
    return (
        "no information",
        "exclusions are counted in the flow; whether patients were missing before, the site must say",
    )


def _predictors_declared(f: TripodFacts) -> tuple[Answer, str]:
    return "yes", f"declared once with limits and codes, and encoded by fixed rules (digest {f.spec_digest[:12]})"


def _predictors_before(f: TripodFacts) -> tuple[Answer, str]:
    return "no information", "only fields known at baseline are read, but a registry may have been filled in later"


def _predictors_in_time(f: TripodFacts) -> tuple[Answer, str]:
    return "yes", f"only fields known at baseline are read; {len(f.refused)} later ones are refused"


def _outcomes_declared(f: TripodFacts) -> tuple[Answer, str]:
    return "yes", "declared in the specification with their windows, before any model is fitted"


def _site_only(f: TripodFacts) -> tuple[Answer, str]:
    return "no information", "only the site can tell"


def _not_blinded(f: TripodFacts) -> tuple[Answer, str]:
    return "no information", "recorded in routine care by those who knew the patient"


def _horizons_kept(f: TripodFacts) -> tuple[Answer, str]:
    if not f.from_patients:
        return "no information", "no patients entered"
    return "yes", "patients not followed to the horizon do not count for the outcome"


def _enough_events(f: TripodFacts) -> tuple[Answer, str]:
    judged = {f.label(name): v for name, v in f.sample_size.items() if v.needed is not None}
    if not judged:
        return "no information", "no sample size was worked out"
    short = [label for label, v in judged.items() if v.label != "sufficient"]
    if short:
        return "no", f"underpowered by Riley's criteria: {', '.join(short)}"
    return "yes", "sufficient by Riley's criteria for every outcome judged"


def _all_analysed(f: TripodFacts) -> tuple[Answer, str]:
    if not f.counts or not f.flow:
        return "no information", "there are no counts"
    kept = f.flow[-1].rows
    roots = [c for c in f.counts if c.outcome in f.roots]
    lost = [f"{f.label(c.outcome)} {kept - c.patients:,}" for c in roots if c.patients < 0.95 * kept]
    if lost:
        return "no", f"more than 5% of {kept:,} patients have no recorded outcome: {', '.join(lost)}"
    return "yes", f"at least 95% of {kept:,} patients have every outcome that all could have"


def _missing_handled(f: TripodFacts) -> tuple[Answer, str]:
    if f.learner is None:
        return "no information", "the model is not recorded"
    if f.learner in ("logistic",):
        return "no", "median with a missing indicator, not multiple imputation"
    return "no information", "no patient is dropped for a missing predictor; single handling, not multiple imputation"


def _no_univariable(f: TripodFacts) -> tuple[Answer, str]:
    return "yes", "predictors are fixed in the specification; none is chosen by its univariable association"


def _closed_cohorts(f: TripodFacts) -> tuple[Answer, str]:
    if not f.from_patients:
        return "no information", "no patients entered"
    return (
        "no information",
        "closed cohorts only; no weights for loss to follow-up or for death before the event",
    )


def _calibration_reported(f: TripodFacts) -> tuple[Answer, str]:
    if f.evaluation is None:
        return "no", "there is no evaluation"
    names = {name for m in f.evaluation.models for j in m.outcomes.values() for name in j.metrics}
    wanted = {"auroc", "calibration_slope", "calibration_intercept"}
    absent = sorted(wanted - names)
    return (
        ("no", f"not computed: {', '.join(absent)}") if absent else ("yes", "discrimination and calibration are given")
    )


def _held_out(f: TripodFacts) -> tuple[Answer, str]:
    if f.split is None:
        return "no information", "how patients were held out is not recorded"
    if f.split == "random":
        return "no", "held out at random; neighbours in time and place teach the model that is judged"
    return "yes", f"cross-fitted by {f.split}, tuning included"


def _model_kept(f: TripodFacts) -> tuple[Answer, str]:
    if f.code_version is None:
        return "no information", "the code version is not recorded"
    return "yes", "the bundle is the model that was fitted, sealed by checksums; it is fitted anew on all patients"


RULES: dict[str, Rule] = {
    rule.__name__.removeprefix("_"): rule
    for rule in (
        _suitable_source,
        _exclusions_stated,
        _predictors_declared,
        _predictors_before,
        _predictors_in_time,
        _outcomes_declared,
        _site_only,
        _not_blinded,
        _horizons_kept,
        _enough_events,
        _all_analysed,
        _missing_handled,
        _no_univariable,
        _closed_cohorts,
        _calibration_reported,
        _held_out,
        _model_kept,
    )
}

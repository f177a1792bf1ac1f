"""What can be said of a job in the words of a reporting record; nothing where an artefact is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from training.tripod.facts import TripodFacts
from training.tripod.performance import by_group, by_site, development_and_evaluation, discrimination, measures

Statement = Callable[[TripodFacts], str | None]
_NO_PATIENTS = "No patient entered: the model rests on published studies"
_LEARNERS = {
    "evidence": "the evidence prior: a logistic model whose effects and their uncertainty come from published studies",
    "logistic": "logistic regression with a ridge penalty chosen by cross-validated log loss",
    "xgboost": "gradient-boosted trees of depth 3, their number chosen by cross-validated log loss, monotone where the "
    "direction of an effect is clinically settled",
    "xgboost_prior": "the evidence prior updated by the registry (Laplace approximation), then gradient-boosted trees "
    "of the prognosis that start from it, none unless cross-validated log loss clearly falls",
}
_MISSING_METHOD = {
    "evidence": "what is not known is averaged over its distribution in published cohorts",
    "logistic": "a missing predictor takes the median of the training patients and has an indicator of its own",
    "xgboost": "trees send a missing predictor the way that fitted the training patients best; nothing is imputed",
    "xgboost_prior": "the prior averages over what is not known; trees send it the way that fitted best",
}
_RECALIBRATED = ("logistic", "xgboost")


def _listed(parts: Iterable[str], end: str = ".") -> str | None:
    text = "; ".join(parts)
    return f"{text}{end}" if text else None


def _shown(count: int | None) -> str:
    return f"{count:,}" if count is not None else "too few to show"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _title(f: TripodFacts) -> str | None:
    if f.trained_on is None:
        return None
    how = {"evidence": "from published evidence", "simulated": "on simulated patients", "registry": "on a registry"}
    return (
        f"Development of a multivariable prediction model for {len(f.outcomes)} outcomes in initially unresectable "
        f"colorectal liver metastases under {len(f.regimen_labels)} first-line regimens, {how[f.trained_on.kind]}"
    )


def _abstract(f: TripodFacts) -> str | None:
    parts = [_source(f), _counts(f, headline=True), discrimination(f, headline=True), _limits(f)]
    return " ".join(p for p in parts if p) if f.trained_on is not None else None


def _objective(f: TripodFacts) -> str | None:
    if f.trained_on is None:
        return None
    aim = "development and internal validation" if f.evaluation is not None else "development"
    return (
        f"Objective of this run: {aim} of a model that estimates, at the tumour board before cycle 1, "
        f"{', '.join(f'{o.label[:1].lower()}{o.label[1:]}' for o in f.outcomes)}."
    )


def _source(f: TripodFacts) -> str | None:
    if f.trained_on is None:
        return None
    data = f.trained_on
    if data.kind == "evidence":
        return f"{_NO_PATIENTS} (tables of digest {data.data_digest[:12]})."
    invented = " The patients are simulated: no statement about real patients follows." if f.simulated else ""
    return f"{data.text.rstrip('.')}: {data.patients:,} patients, digest {data.data_digest[:12]}.{invented}"


def _dates(f: TripodFacts) -> str | None:
    if f.trained_on is None:
        return None
    if not f.from_patients:
        return f"{_NO_PATIENTS}, so there is no accrual."
    first, last = f.trained_on.first_date, f.trained_on.last_date
    return f"Day 1 of cycle 1 from {first} to {last}." if first and last else None


def _follow_up(f: TripodFacts) -> str | None:
    if f.follow_up_until is not None:
        return f"Followed until {f.follow_up_until}."
    return None if f.trained_on is None or f.from_patients else f"{_NO_PATIENTS}."


def _setting(f: TripodFacts) -> str | None:
    if f.trained_on is None:
        return None
    return f"{_counted(f.trained_on.sites, 'site')}." if f.from_patients else f"{_NO_PATIENTS}."


def _eligibility(f: TripodFacts) -> str | None:
    if not f.flow:
        return None if f.trained_on is None or f.from_patients else f"{_NO_PATIENTS}."
    return f"Rows left out: {_listed(f.exclusions) or 'none.'} A rule whose input is missing keeps the row."


def _treatments(f: TripodFacts) -> str | None:
    if f.regimens:
        return f"Regimens as planned: {_listed(f'{name} {_shown(n)}' for name, n in f.regimens.items())}"
    return None if f.trained_on is None or f.from_patients else f"{_NO_PATIENTS}."


def _data_validation(f: TripodFacts) -> str | None:
    if f.data_validation is None:
        return None
    found = f.data_validation
    named = f" Named: {_listed(found.problems)}" if found.problems else ""
    errors, warnings = _counted(found.errors, "error"), _counted(found.warnings, "warning")
    return f"{found.rows:,} rows checked: {errors} and {warnings}.{named}"


def _outcomes(f: TripodFacts) -> str | None:
    return _listed((f"{o.label}: {o.definition} ({o.window})" for o in f.outcomes), end="")


def _predictors(f: TripodFacts) -> str | None:
    return (
        f"{len(f.predictors)} recorded predictors, chosen beforehand from the literature: "
        f"{_listed(f'{p.label} ({p.why})' for p in f.predictors)}"
    )


def _predictor_definitions(f: TripodFacts) -> str | None:
    return _listed(f"{p.label}: {p.definition}, known at {p.window}" for p in f.predictors)


def _refused(f: TripodFacts) -> str | None:
    return f"Refused as predictors because they are known only later: {_listed(f.refused)}" if f.refused else None


def _sample_size(f: TripodFacts) -> str | None:
    if f.sample_size:
        return _listed(f"{f.label(name)}: {v.text}" for name, v in f.sample_size.items())
    return None if f.trained_on is None or f.from_patients else f"{_NO_PATIENTS}; no sample size applies."


def _missing(f: TripodFacts) -> str | None:
    gaps = sorted((m for m in f.missing if m.percent > 0), key=lambda m: -m.percent)
    if not f.missing:
        return None if f.trained_on is None or f.from_patients else f"{_NO_PATIENTS}."
    return f"Not known, in percent: {_listed(f'{m.label} {m.percent:g}' for m in gaps) or 'none.'}"


def _missing_method(f: TripodFacts) -> str | None:
    if f.learner is None:
        return None
    levels = f" Not tested is a level of its own in: {_listed(f.unknown_levels)}" if f.unknown_levels else ""
    return f"Predictors: {_MISSING_METHOD[f.learner]}. Outcomes that are not recorded are left out.{levels}"


def _split(f: TripodFacts) -> str | None:
    if f.split is None:
        return None
    held = {"site": "whole hospitals", "time": "whole periods", "random": "random patients"}.get(f.split, f.split)
    folds = f" in {f.folds} folds" if f.folds is not None else ""
    return f"Cross-fitted: {held} held out{folds}, and every patient judged by a model that saw none of that fold."


def _model(f: TripodFacts) -> str | None:
    if f.learner is None:
        return None
    tried = f" Candidates compared on the same folds: {', '.join(f.candidates)}." if f.candidates else ""
    return f"Chosen: {f.learner}, {_LEARNERS[f.learner]}.{tried}"


def _settings(f: TripodFacts) -> str | None:
    each = (f"{f.label(o)}: {', '.join(f'{k} {v:g}' for k, v in held.items())}" for o, held in f.settings.items())
    return _listed(each) or ("No setting was tuned." if f.learner == "evidence" else None)


def _recalibration(f: TripodFacts) -> str | None:
    if f.learner is None:
        return None
    if f.learner in _RECALIBRATED:
        line = "an intercept and slope learned on out-of-fold predictions recalibrate it, as far as the events allow"
    else:
        line = "an update of the evidence is not recalibrated afterwards"
    return f"No resampling and no class weights; {line}."


def _fairness(f: TripodFacts) -> str | None:
    if not f.levels:
        return None
    sizes = (
        f"{group} ({', '.join(f'{level} {_shown(n)}' for level, n in levels.items())})"
        for group, levels in f.levels.items()
        if group not in (f.site_group, f.regimen_group)
    )
    return f"Figures are given apart, and small cells suppressed, for: {_listed(sizes)}"


def _flow(f: TripodFacts) -> str | None:
    if f.flow:
        return _listed(f"{step.text} {step.rows:,}" for step in f.flow)
    return None if f.trained_on is None or f.from_patients else f"{_NO_PATIENTS}."


def _characteristics(f: TripodFacts) -> str | None:
    each = (
        f"{g}: {', '.join(f'{level} {_shown(n)}' for level, n in levels.items())}" for g, levels in f.levels.items()
    )
    return _listed(each) or (f"{_NO_PATIENTS}." if f.trained_on is not None and not f.from_patients else None)


def _counts(f: TripodFacts, headline: bool = False) -> str | None:
    wanted = [c for c in f.counts if c.patients and (c.outcome in f.headline or not headline)]
    if f.counts:
        return _listed(f"{f.label(c.outcome)}: {c.events:,} events among {c.patients:,}" for c in wanted)
    return None if f.trained_on is None or f.from_patients else f"{_NO_PATIENTS}."


def _object(f: TripodFacts) -> str | None:
    if f.code_version is None:
        return None
    version = f" Version {f.model_version}." if f.model_version else ""
    return (
        "The model is kept whole as a bundle of plain files (JSON, and trees as UBJ) with checksums, read by `resecta "
        f"export`; code {f.code_version}, specification digest {f.spec_digest[:12]}.{version}"
    )


def _limits(f: TripodFacts) -> str | None:
    if f.trained_on is None:
        return None
    return {
        "evidence": "Not validated on any patient of this site.",
        "simulated": "Trained on simulated patients: it shows the software, and nothing about real patients.",
        "registry": "Regimen comparisons assume that all reasons for choosing a regimen are recorded.",
    }[f.trained_on.kind]


STATEMENTS: dict[str, Statement] = {
    "title": _title,
    "abstract": _abstract,
    "objective": _objective,
    "source": _source,
    "dates": _dates,
    "follow_up": _follow_up,
    "setting": _setting,
    "eligibility": _eligibility,
    "treatments": _treatments,
    "data_validation": _data_validation,
    "cohort_notes": lambda f: _listed(f.cohort_notes),
    "outcomes": _outcomes,
    "predictors": _predictors,
    "predictor_definitions": _predictor_definitions,
    "refused": _refused,
    "sample_size": _sample_size,
    "missing": _missing,
    "missing_method": _missing_method,
    "split": _split,
    "model": _model,
    "settings": _settings,
    "recalibration": _recalibration,
    "fairness": _fairness,
    "flow": _flow,
    "characteristics": _characteristics,
    "counts": _counts,
    "object": _object,
    "measures": measures,
    "performance": discrimination,
    "subgroups": by_group,
    "by_site": by_site,
    "development_and_evaluation": development_and_evaluation,
    "stability": lambda f: _listed(f.stability),
    "contrasts": lambda f: _listed(f.contrasts),
    "update": lambda f: f.update,
    "limits": _limits,
    "warnings": lambda f: _listed(
        dict.fromkeys([*f.warnings, *(f.evaluation.warnings if f.evaluation is not None else ())])
    ),
}

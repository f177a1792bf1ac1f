"""The audit: adjusted contrasts between regimens, beside the served model's and published evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from features import Part, Specification
from training.bundle import Prior
from training.effects import outcome_model, standardised
from training.effects.compared import Adjusted, Compared, adjust, compare
from training.effects.covariates import Arms, Table, tabulate
from training.effects.declared import RegimenPart, Resolved, Selection, components, load_contrasts
from training.effects.outcome_model import Design, Predicted
from training.effects.recorded import Recorded, recorded
from training.effects.result import ContrastFigures, OutcomeContrast, RegimenEffects, SelectionCurve
from training.effects.selection import net_benefit
from training.effects.standardised import Reported, evidence_engine, standardise
from training.effects.wording import (
    ESTIMAND,
    beside_evidence,
    estimand,
    grouped_in_words,
    lost_in_words,
    overlap_estimand,
    too_few_events,
)
from training.registry import Cohort
from validation.aipw import Estimate, Influence
from validation.e_value import EValue, e_value
from validation.overlap import Overlap, diagnose
from validation.propensity import balanced_folds

Array = NDArray[np.float64]
# Events, and patients without, in each arm: with 5 or fewer, 95% intervals covered the truth in 88% of simulated
# registries, with 6 to 10 in 94% (benchmarks/effects.py).
LEAST_EVENTS = 6
LOST = 0.05  # share lost to follow-up above which complete cases may mislead (DOMAIN 5.5)
_GAINS = 1_000  # patients whose predicted gain is computed for the selection curve


def audit(
    cohort: Cohort,
    evidence: Prior,
    served: Reported | None = None,
    *,
    simulated: bool = False,
    by_site: bool = False,
    scores: Mapping[str, Array] | None = None,
    fold: NDArray[np.int64] | None = None,
) -> RegimenEffects:
    """Contrast regimens in a registry.

    Parameters
    ----------
    evidence
        The evidence prior as published, not moved by this registry.
    served
        `Engine.reported` of the served model, whose contrasts are put beside.
    simulated
        Whether the patients are invented, which the first warning then says.
    by_site
        Cluster-robust standard errors; for registries of some 20 sites or more.
    scores
        Prognostic log-odds by outcome under one and the same regimen for everyone, shape (n,), from models that did
        not see the patient; they sharpen the outcome model.
    fold
        Folds of the cross-fitting, shape (n,). None draws random ones. The folds of a job hold out whole sites or
        years; a site that no model saw cannot be adjusted for, so they are not meant here.

    Returns
    -------
    RegimenEffects
    """
    spec = cohort.spec
    contrasts, selection = load_contrasts(spec)
    table = tabulate(cohort, spec)
    fold = balanced_folds_of(table) if fold is None else fold
    pairs = compare(cohort, table, contrasts, fold)
    overlaps = [overlap_of(pair) for pair in pairs]
    design = Design.of(table, Arms.of(cohort, spec))
    outcomes = recorded(cohort, spec)
    predicted = {o.name: outcome_model.cross_fitted(design, o, fold, (scores or {}).get(o.name)) for o in outcomes}
    from_evidence = standardise(evidence_engine(evidence), cohort, table, pairs)
    from_model = {} if served is None else standardise(served, cohort, table, pairs)
    found: list[ContrastFigures] = []
    kept: dict[tuple[str, str], Adjusted] = {}
    for pair, overlap in zip(pairs, overlaps, strict=True):
        name = pair.contrast.declared.name
        figures = []
        for outcome in outcomes:
            adjusted = adjust(pair, outcome, predicted[outcome.name])
            kept[name, outcome.name] = adjusted
            cluster = cohort.site if by_site else None
            beside = [
                source.get(name, {}).get(outcome.name, Estimate(value=None, reason=reason))
                for source, reason in ((from_model, "no served model was given"), (from_evidence, "no overlap"))
            ]
            figures.append(_figures(pair, overlap, outcome, adjusted, beside[0], beside[1], cluster))
        found.append(_contrast(pair, overlap, tuple(figures), spec))
    curve = _selection(selection, served, cohort, table, pairs, overlaps, kept, predicted)
    return RegimenEffects(
        patients=cohort.patients.n,
        estimand=ESTIMAND,
        contrasts=tuple(found),
        selection=curve,
        warnings=_warnings(found, outcomes, simulated),
    )


def balanced_folds_of(table: Table) -> NDArray[np.int64]:
    """Random folds in which every regimen has its share of patients, shape (n,)."""
    backbones = len(components(table.spec, RegimenPart.BACKBONE))
    return balanced_folds(table.received[:, 0] + backbones * table.received[:, 1])


def overlap_of(pair: Compared) -> Overlap:
    """How far the arms of a contrast overlap."""
    labels = (pair.contrast.declared.first.label, pair.contrast.declared.second.label)
    return diagnose(pair.covariates, pair.names, pair.first, pair.second, *pair.chances, labels)


def _contrast(
    pair: Compared, overlap: Overlap, outcomes: tuple[OutcomeContrast, ...], spec: Specification
) -> ContrastFigures:
    declared = pair.contrast.declared
    return ContrastFigures(
        name=declared.name,
        label=declared.label,
        first=declared.first.label,
        second=declared.second.label,
        among=f"patients {declared.among_label}" if declared.among_label else "all patients",
        estimand=estimand(pair.contrast, overlap.kept),
        overlap_estimand=overlap_estimand(pair.contrast),
        overlap=overlap,
        grouped=grouped_in_words(pair, spec),
        not_estimated=declared.not_estimated,
        outcomes=outcomes,
    )


def _figures(
    pair: Compared,
    overlap: Overlap,
    outcome: Recorded,
    adjusted: Adjusted,
    model: Estimate,
    evidence: Estimate,
    site: NDArray[np.str_] | None,
) -> OutcomeContrast:
    y = outcome.y[pair.rows]
    arms = [y[arm & ~np.isnan(y)] for arm in (pair.first, pair.second)]
    events, sizes = [int(a.sum()) for a in arms], [len(a) for a in arms]
    few = too_few_events(pair.contrast.declared, events, sizes, LEAST_EVENTS)
    inside = [y[arm & pair.kept & ~np.isnan(y)] for arm in (pair.first, pair.second)]
    few_inside = few or too_few_events(
        pair.contrast.declared, [int(a.sum()) for a in inside], [len(a) for a in inside], LEAST_EVENTS
    )
    either = overlap.verdict if not overlap.overlap_estimable else few
    trimmed = overlap.verdict if not overlap.estimable else few_inside

    def made(influence: Influence, rows: NDArray[np.intp], reason: str | None) -> Estimate:
        if reason is not None:
            return Estimate(value=None, reason=reason)
        return influence.estimate(None if site is None else site[rows])

    aipw = made(adjusted.aipw, adjusted.kept, trimmed)
    weighted = made(adjusted.overlap_weighted, adjusted.either, either)
    return OutcomeContrast(
        outcome=outcome.name,
        label=outcome.label,
        headline=outcome.headline,
        events_first=events[0],
        events_second=events[1],
        recorded_first=sizes[0],
        recorded_second=sizes[1],
        lost=outcome.lost,
        crude=made(adjusted.crude, adjusted.either, None if min(sizes) else "no patients in one of the arms"),
        aipw=aipw,
        first_mean=made(adjusted.first_mean, adjusted.kept, trimmed),
        second_mean=made(adjusted.second_mean, adjusted.kept, trimmed),
        overlap_weighted=weighted,
        g_computation=model,
        evidence=evidence,
        e_value=_e_value(made(adjusted.log_ratio, adjusted.kept, trimmed)) if outcome.headline else None,
        beside_evidence=beside_evidence(aipw if aipw.value is not None else weighted, evidence),
    )


def _e_value(log_ratio: Estimate) -> EValue | None:
    if log_ratio.value is None or log_ratio.low is None or log_ratio.high is None:
        return None
    ratio, low, high = np.exp([log_ratio.value, log_ratio.low, log_ratio.high]).tolist()
    return e_value(ratio, low, high)


def _selection(
    selection: Selection | None,
    served: Reported | None,
    cohort: Cohort,
    table: Table,
    pairs: Sequence[Compared],
    overlaps: Sequence[Overlap],
    adjusted: Mapping[tuple[str, str], Adjusted],
    predicted: Mapping[str, Predicted],
) -> SelectionCurve | None:
    primary = cohort.spec.outcomes.part(Part.PRIMARY).name
    if selection is None or primary not in predicted:
        return None
    pair, overlap = next(
        (p, o) for p, o in zip(pairs, overlaps, strict=True) if p.contrast.declared.name == selection.contrast
    )
    if not overlap.estimable:
        return None
    own = adjusted[selection.contrast, primary]
    gain = np.full(len(own.kept), np.nan)
    if served is None:
        gain[:] = _own_gain(pair, own, predicted[primary])
    else:
        some = np.sort(np.random.default_rng(13).permutation(len(own.kept))[:_GAINS])
        gain[some] = standardised.gains(served, cohort, table, pair, own.kept[some], primary)
    return net_benefit(selection, primary, own, gain)


def _own_gain(pair: Compared, adjusted: Adjusted, predicted: Predicted) -> Array:
    inside = np.isin(pair.rows, adjusted.kept)
    first, second = pair.mixes()
    return ((first - second)[inside] * predicted.under[pair.contrast.part][adjusted.kept]).sum(axis=1)


def _warnings(contrasts: Sequence[ContrastFigures], outcomes: Sequence[Recorded], simulated: bool) -> tuple[str, ...]:
    found = []
    if simulated:
        found.append("These patients are simulated: the contrasts show how the audit works and are no knowledge.")
    found += [lost_in_words(o) for o in outcomes if o.headline and o.lost > LOST]
    for contrast in contrasts:
        if not contrast.overlap.estimable:
            found.append(f"{contrast.label}: {contrast.overlap.verdict}")
        for outcome in contrast.outcomes:
            if outcome.beside_evidence.startswith("Outside"):
                found.append(f"{contrast.label}, {outcome.label.lower()}: {outcome.beside_evidence}")
    return tuple(found)


def resolved(spec: Specification) -> tuple[Resolved, ...]:
    """The contrasts that are made."""
    return load_contrasts(spec)[0]

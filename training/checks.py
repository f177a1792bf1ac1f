"""Checks: what can be found out about a bundle before anyone relies on it, for the gates to judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features import Kind, Outcome, Patients, Regimen, Specification
from features.encoding import PatientFactor, RegimenFactor
from training.bundle import Bundle, BundleRefused, load_bundle
from training.bundle.draws import INTERVAL
from training.bundle.prior import DRAWS
from training.registry.cohort import Cohort
from validation.evaluation import Figure
from validation.gates import GateFacts

Array = NDArray[np.float64]
PANEL = 200  # patients of the case mix that every bundle is asked about
ORDERED = 100  # of them, those in whom settled orderings are looked for
UNKNOWN = 0.3  # share of a smoke patient's inputs that are left out
GROUPS = 10  # deciles of prediction
LEAST = 100  # patients below which deciles are too small to count events in
WEEKS = (6, 12, 24)  # durations between which a settled effect of time is looked for
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_CHUNK = 32
_NOISE = 8  # counts drawn for each draw of the chances
_EDGE = 1e-6  # rounding, in single precision
HELD = Figure(value=1.0)


def check_folder(folder: Path, spec: Specification) -> GateFacts:
    """Load a bundle and check it; one that is refused has facts too, which pass no gate."""
    try:
        return check_bundle(load_bundle(folder, spec), spec)
    except BundleRefused as refused:
        fault = Figure(value=0.0, reason=refused.reason)
        facts = GateFacts(model=folder.name, loads=fault)
        return facts.model_copy(update={"spec_digest": fault}) if refused.code == "digest" else facts


def check_bundle(bundle: Bundle, spec: Specification) -> GateFacts:
    """Ask a bundle about a fixed panel of patients under every regimen; no outcomes are needed."""
    same = bundle.manifest.spec_digest == spec.digest
    digest = HELD if same else Figure(value=0.0, reason="trained against another specification")
    panel = smoke_panel(bundle, spec)
    return GateFacts(
        model=bundle.manifest.learner,
        loads=HELD,
        spec_digest=digest,
        smoke=smoke(bundle, _with_gaps(panel)),
        orderings=orderings(bundle, panel.take(np.arange(ORDERED))),
    )


def smoke_panel(bundle: Bundle, spec: Specification, size: int = PANEL) -> Patients:
    """Draw complete patients from the case mix that the bundle itself carries; always the same."""
    whole = 1 << (size - 1).bit_length()  # the sequence is balanced at powers of two
    everyone = bundle.prior.parameters.case_mix.complete(Patients(spec, 1, {}), whole)
    return everyone.take(np.arange(size))


def _with_gaps(patients: Patients) -> Patients:
    # Half the panel is asked about as it usually is: with inputs left out.
    rng = np.random.default_rng(5)
    gaps: dict[str, Array] = {}
    for field in patients.spec.asked:
        left_out = (rng.random(patients.n) < UNKNOWN) & (np.arange(patients.n) % 2 == 1) & (not field.required)
        gaps |= {column: np.where(left_out, np.nan, patients[column]) for column in field.columns}
    return patients.replace(gaps)


def smoke(bundle: Bundle, patients: Patients) -> Figure:
    """Share of patients and regimens for whom every prediction is sound.

    Sound means finite, strictly between 0 and 1, inside its interval, no likelier than the event that contains it,
    and states that sum to 1.
    """
    spec, regimens = bundle.spec, bundle.spec.regimens.all()
    scores = bundle.score(patients, regimens)
    sound = np.ones((patients.n, len(regimens)), dtype=bool)
    for outcome in spec.outcomes.outcomes:
        p, low, high = (part[outcome.name] for part in (scores.probability, scores.low, scores.high))
        sound &= np.isfinite(p) & (p > 0) & (p < 1) & (low >= 0) & (low <= p) & (p <= high) & (high <= 1)
        if outcome.within is not None and outcome.within != outcome.given:
            sound &= p <= scores.probability[outcome.within] + _EDGE
    states = np.stack(list(scores.states.values()))
    sound &= (np.abs(states.sum(axis=0) - 1) < _EDGE) & (states >= -_EDGE).all(axis=0)
    faults = int((~sound).sum())
    reason = f"{faults} of {sound.size} answers are not sound" if faults else f"{sound.size} answers"
    return Figure(value=float(sound.mean()), reason=reason)


def orderings(bundle: Bundle, patients: Patients) -> dict[str, Figure]:
    """Share of patients in whom each clinically settled ordering is kept, by ``outcome/factor``.

    A patient factor is moved through the values that patients have, under every regimen; a drug is added to a
    backbone that lacks nothing else; weeks are lengthened. The probability compared is the one that is reported.
    """
    spec = bundle.spec
    settled: dict[str, list[Outcome]] = {}
    for outcome in spec.outcomes.outcomes:
        for factor in outcome.settled:
            settled.setdefault(factor, []).append(outcome)
    patient = {f.name: f for f in spec.encoding.patient_factors}
    regimen = {f.name: f for f in spec.encoding.regimen_factors}
    found: dict[str, Figure] = {}
    for name, outcomes in settled.items():
        names = [o.name for o in outcomes]
        if name in patient:
            steps = _patient_steps(bundle, patients, patient[name], names)
        else:
            steps = _regimen_steps(bundle, patients, regimen[name], names)
        found |= {f"{o.name}/{name}": _kept(steps.get(o.name), o.settled[name] == "increasing") for o in outcomes}
    return found


def _kept(steps: Sequence[Array] | None, increasing: bool) -> Figure:
    """Share of patients in whom every step goes the settled way, or nowhere."""
    if not steps:
        return Figure(value=None, reason="no two patients or regimens differ in it alone")
    moved = np.concatenate(steps, axis=1) if increasing else -np.concatenate(steps, axis=1)
    return Figure(value=float((moved >= -_EDGE).all(axis=1).mean()))


def _patient_steps(
    bundle: Bundle, patients: Patients, factor: PatientFactor, outcomes: Sequence[str]
) -> dict[str, list[Array]]:
    """Changes of each outcome's chance along a factor, each of shape (n, steps * regimens)."""
    spec = patients.spec
    moves: list[tuple[int, list[Patients], bool]] = []
    for name in sorted(spec.fields_behind(factor.name)):
        field = spec.fields[name]
        known = patients[name][~np.isnan(patients[name])] if field.numeric else np.empty(0)
        if not len(known):
            continue
        values = np.quantile(known, _QUANTILES)
        values = np.unique(np.round(values) if field.kind is Kind.INTEGER else values)
        grid = [patients.replace({name: np.full(patients.n, v)}) for v in values]
        ends = [spec.encoding.patient_matrix(g, [factor.name])[:, 0] for g in (grid[0], grid[-1])]
        change = np.nan_to_num(ends[1] - ends[0])
        moves.append((int((change != 0).sum()), grid, bool(change.sum() > 0)))
    # Of several fields behind a derived one (weight, height, index) the one that moves it.
    most, grid, upwards = max(moves, key=lambda move: move[0], default=(0, [], True))
    if not most:
        return {}
    regimens = spec.regimens.all()
    points = [_points(bundle, g, regimens, outcomes) for g in (grid if upwards else grid[::-1])]
    return {o: [b[o] - a[o] for a, b in pairwise(points)] for o in outcomes}


def _regimen_steps(
    bundle: Bundle, patients: Patients, factor: RegimenFactor, outcomes: Sequence[str]
) -> dict[str, list[Array]]:
    pairs = list(_longer(bundle.spec, factor) if factor.weeks else _added(bundle.spec, factor))
    if not pairs:
        return {}
    lower, higher = (_points(bundle, patients, [pair[i] for pair in pairs], outcomes) for i in (0, 1))
    return {o: [higher[o] - lower[o]] for o in outcomes}


def _added(spec: Specification, factor: RegimenFactor) -> Iterator[tuple[Regimen, Regimen]]:
    # Antibodies are left out: what they do together with a drug is not what is settled about the drug.
    without = {b.name for b in spec.regimens.biologics if not b.drugs}
    plain = [r for r in spec.regimens.all() if r.biologic in without]
    own = {d.name for d in spec.regimens.drugs if set(factor.exposures) & {d.name, *d.classes}}
    drugs = {d.name for d in spec.regimens.drugs}
    for less in plain:
        for more in plain:
            given = [{n for n in drugs if r.exposures[n]} for r in (less, more)]
            if given[0] < given[1] and given[1] - given[0] <= own:
                yield less, more


def _longer(spec: Specification, factor: RegimenFactor) -> Iterator[tuple[Regimen, Regimen]]:
    for r in spec.regimens.all():
        if all(r.exposures[name] for name in factor.exposures):
            cycle = r.planned_weeks // r.planned_cycles
            planned = [spec.regimens.regimen(r.backbone, r.biologic, max(1, w // cycle)) for w in WEEKS]
            yield from pairwise(planned)


def _points(
    bundle: Bundle, patients: Patients, regimens: Sequence[Regimen], outcomes: Sequence[str]
) -> dict[str, Array]:
    scores = bundle.score(patients, regimens, intervals=False)
    return {name: scores.probability[name] for name in outcomes}


def coverage(bundle: Bundle, cohort: Cohort) -> dict[str, Figure]:
    """Whether patients' events come within the intervals that the bundle gives, for every headline outcome.

    Patients that the bundle has not seen are grouped by tenths of their prediction under the regimen they received.
    A group's events are predicted by the bundle's draws of every patient's chance and the play of chance around
    them; the middle 90% of that is the group's interval.

    Returns
    -------
    dict
        Share of groups whose events lie in their interval, by outcome.
    """
    spec = bundle.spec
    headline = [o.name for o in spec.outcomes.outcomes if o.headline]
    point, drawn = chances(bundle, cohort, headline)
    found: dict[str, Figure] = {}
    for i, name in enumerate(headline):
        y, given = cohort.outcomes[name], spec.outcomes[name].given
        known = ~np.isnan(y) if given is None else ~np.isnan(y) & (cohort.outcomes[given] == 1)
        found[name] = _covered(y[known], point[known, i], drawn[known, i])
    return found


def chances(bundle: Bundle, cohort: Cohort, outcomes: Sequence[str]) -> tuple[Array, Array]:
    """P(outcome | given) of every patient under the regimen received, (n, o), and draws of it, (n, o, DRAWS)."""
    wanted = [bundle.spec.outcomes.names.index(name) for name in outcomes]
    point = np.empty((len(cohort), len(wanted)))
    drawn = np.empty((len(cohort), len(wanted), DRAWS))
    rows_of: dict[tuple[str, str, int], list[int]] = {}
    for i, r in enumerate(cohort.regimens):
        rows_of.setdefault((*r.key, r.planned_cycles), []).append(i)
    for rows in rows_of.values():
        for start in range(0, len(rows), _CHUNK):
            some = np.array(rows[start : start + _CHUNK])
            p, d = bundle.engine.reported(cohort.patients.take(some), [cohort.regimens[some[0]]])
            point[some], drawn[some] = p[..., 0][:, wanted], d[..., 0][:, wanted]
    return point, drawn


def _covered(y: Array, point: Array, drawn: Array) -> Figure:
    if len(y) < LEAST:
        return Figure(value=None, reason=f"only {len(y)} patients with a known outcome; {LEAST} are needed")
    rng = np.random.default_rng(11)
    inside = []
    for rows in np.array_split(np.argsort(point, kind="stable"), GROUPS):
        counts = (rng.random((_NOISE, *drawn[rows].shape)) < drawn[rows]).sum(axis=1)
        low, high = np.quantile(counts, INTERVAL, method="inverted_cdf")
        inside.append(low <= y[rows].sum() <= high)
    return Figure(value=float(np.mean(inside)), reason=f"{sum(inside)} of {GROUPS} groups of {len(y)} patients")

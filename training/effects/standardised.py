"""Contrasts that a model implies: its predictions under either arm, averaged over the same patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from features import Part, Patients, Regimen, Specification
from training.bundle import OutcomeModel, Prior
from training.bundle.scored import STATES
from training.bundle.scores import Engine
from training.effects.compared import Compared
from training.effects.covariates import Table
from training.effects.declared import RegimenPart, components
from training.registry import Cohort
from validation.aipw import Estimate

Array = NDArray[np.float64]
#: P(outcome | given), shape (n, o, r), and draws of it, shape (n, o, d, r): `Engine.reported` of a bundle's engine.
Reported = Callable[[Patients, Sequence[Regimen]], tuple[Array, Array]]
SAMPLE = 128  # patients of each contrast that predictions are averaged over: an error of about half a point
_CHUNK = 32  # patients at a time, as in training/bundle/scores.py
_BOUNDS = (0.025, 0.975)


def evidence_engine(prior: Prior) -> Reported:
    """Predictions of published evidence alone."""
    models = [OutcomeModel(outcome=n, learner="evidence", reason="evidence") for n in prior.spec.outcomes.names]
    return Engine(prior.spec, prior, models, {}).reported


def standardise(
    reported: Reported, cohort: Cohort, table: Table, compared: Sequence[Compared]
) -> dict[str, Mapping[str, Estimate]]:
    """Average a model's differences between two arms over patients with overlap.

    Returns
    -------
    dict
        By contrast, by outcome or state. Intervals are those of the model's draws; none when it has only one.

    Notes
    -----
    Each patient keeps the other part of the regimen as received, planned for 12 weeks, and has the components of an
    arm in the shares in which patients alike received them.
    """
    spec = cohort.spec
    regimens = spec.regimens.all()
    order = np.random.default_rng(11).permutation(cohort.patients.n)
    weights: dict[str, Array] = {}
    for one in compared:
        rows = one.rows[one.kept]
        sample = order[np.isin(order, rows)][:SAMPLE]
        if len(sample):
            weights[one.contrast.declared.name] = _signed(one, table, regimens, sample, cohort.patients.n)
    touched = [np.any(w != 0, axis=1) for w in weights.values()]
    union: NDArray[np.intp] = np.flatnonzero(np.any(touched, axis=0)) if touched else np.empty(0, dtype=np.intp)
    sums: dict[str, tuple[Array, Array]] = {}
    for start in range(0, len(union), _CHUNK):
        rows = union[start : start + _CHUNK]
        point, drawn = reported(cohort.patients.take(rows), regimens)
        for name, weight in weights.items():
            w = weight[rows]
            # Points and draws of every outcome, weighted and added up over patients and regimens.
            added = _joint(spec, point, drawn, w)
            before = sums.get(name)
            sums[name] = added if before is None else (before[0] + added[0], before[1] + added[1])
    names = (*spec.outcomes.names, *STATES[1:])
    return {
        contrast: {n: _estimate(p, d) for n, p, d in zip(names, *pair, strict=True)} for contrast, pair in sums.items()
    }


def gains(
    reported: Reported, cohort: Cohort, table: Table, compared: Compared, rows: NDArray[np.intp], outcome: str
) -> Array:
    """Predicted difference in the chance of an outcome between two arms for the patients at `rows`, shape (m,).

    Notes
    -----
    Each arm is its most frequent component, with the other part of the regimen as received.
    """
    spec = cohort.spec
    part = compared.contrast.part
    names = (components(spec, RegimenPart.BACKBONE), components(spec, RegimenPart.BIOLOGIC))
    counts = np.bincount(table.received[:, part], minlength=len(names[part]))
    chosen = [max(arm, key=lambda c: counts[c]) for arm in (compared.contrast.first, compared.contrast.second)]
    column = spec.outcomes.names.index(outcome)
    found = np.empty(len(rows))
    beside = table.received[rows, part.other]
    for other in np.unique(beside):
        keys = [(c, int(other)) if part is RegimenPart.BACKBONE else (int(other), c) for c in chosen]
        pair = [spec.regimens.regimen(names[0][b], names[1][a]) for b, a in keys]
        own = np.flatnonzero(beside == other)
        for start in range(0, len(own), _CHUNK):
            some = own[start : start + _CHUNK]
            point, _ = reported(cohort.patients.take(rows[some]), pair)
            found[some] = point[:, column, 0] - point[:, column, 1]
    return found


def _signed(one: Compared, table: Table, regimens: Sequence[Regimen], sample: NDArray[np.intp], patients: int) -> Array:
    """Weight of each regimen for each patient, shape (n, r): shares of the first arm minus shares of the second."""
    part = one.contrast.part
    at = {row: i for i, row in enumerate(one.rows.tolist())}
    own = np.array([at[row] for row in sample.tolist()])
    first, second = one.mixes()
    mixed = (first - second)[own]
    names = [components(table.spec, p) for p in RegimenPart]
    weight = np.zeros((patients, len(regimens)))
    for r, regimen in enumerate(regimens):
        varied = names[part].index(regimen.key[part])
        fixed = names[part.other].index(regimen.key[part.other])
        weight[sample, r] = mixed[:, varied] * (table.received[sample, part.other] == fixed)
    return weight / len(sample)


def _joint(spec: Specification, point: Array, drawn: Array, weight: Array) -> tuple[Array, Array]:
    tree = spec.outcomes
    resected, major = (tree.names.index(tree.part(p).name) for p in (Part.RESECTION, Part.COMPLICATION))
    found = []
    for values, signature in ((point, "nor,nr->o"), (drawn, "nodr,nr->od")):
        with_major = values[:, resected] * values[:, major]
        states = np.stack([values[:, resected] - with_major, with_major], axis=1)
        parts = [np.einsum(signature, values, weight), np.einsum(signature, states, weight)]
        found.append(np.concatenate(parts))
    return found[0], found[1]


def _estimate(point: float, draws: Array) -> Estimate:
    if len(draws) < 2:
        return Estimate(value=float(point))
    low, high = np.quantile(draws, _BOUNDS)
    # The model's point is not one of its draws and may lie at their edge.
    return Estimate(value=float(point), low=float(min(low, point)), high=float(max(high, point)), se=float(draws.std()))

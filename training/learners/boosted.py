"""Gradient-boosted trees: alone, or started from the evidence prior's log-odds."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from training.bundle.learned import save_booster
from training.encoded import MIN_EVENTS, Encoded
from training.learners.candidate import Fit, Rows
from training.learners.update import Updated, prior_moments, update
from validation.calibration import log_odds

Array = NDArray[np.float64]
MAX_TREES = 150
INNER_FOLDS = 3
# Shallow trees and strong shrinkage: hundreds of patients, not millions (DOMAIN 5.4).
SHARED = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "eta": 0.08,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "lambda": 5.0,
    "tree_method": "hist",
    "max_bin": 64,
    "seed": 7,
    # Threads cost more than they give on hundreds of rows, and candidates share the machine.
    "nthread": 1,
}
ALONE = {**SHARED, "max_depth": 3, "min_child_weight": 4.0}
FROM_PRIOR = {**SHARED, "max_depth": 3, "min_child_weight": 6.0}


def fit_alone(encoded: Encoded, outcome: str, rows: Rows) -> Fit:
    """Fit trees on patient factors and regimen terms, starting from the mean log-odds."""
    y = encoded.outcomes[outcome][rows]
    start = float(log_odds(np.array([y.mean()]))[0])
    inputs = np.hstack([encoded.prognosis, encoded.planned])
    names = (*encoded.factors, *encoded.terms)
    raw, trees = _boost(inputs[rows], y, np.full(len(y), start), ALONE, _settled(encoded, outcome, names))

    def predict(data: Encoded) -> Array:
        return _margin(raw, np.hstack([data.prognosis, data.planned]), np.full(data.n, start))

    return Fit(
        log_odds=predict,
        file=f"{outcome}.ubj",
        write=partial(
            save_booster,
            raw=raw,
            columns=encoded.factors,
            terms=encoded.terms,
            prior_started=False,
            start=start,
        ),
        notes=(("trees", float(trees)),),
    )


def fit_from_prior(encoded: Encoded, outcome: str, rows: Rows) -> Fit:
    """Update the evidence by the registry, then fit trees of the prognosis that start from the updated log-odds.

    Regimen terms do not enter the trees: a regimen's contrast moves only through the update. The trees learn on
    cross-fitted log-odds, and how many there are, possibly none, is chosen by cross-validated log loss.
    """
    y, effects = encoded.outcomes[outcome][rows], encoded.effects[rows]
    updated = _update(encoded, outcome, effects, y)
    if min(y.sum(), len(y) - y.sum()) < MIN_EVENTS:
        return Fit(lambda data: updated.log_odds(data.effects), updated=updated, notes=(("trees", 0.0),))
    fold = _stratified(y)
    start = np.empty(len(y))
    for k in range(INNER_FOLDS):
        held = fold == k
        start[held] = _update(encoded, outcome, effects[~held], y[~held]).log_odds(effects[held])
    settled = _settled(encoded, outcome, encoded.factors)
    raw, trees = _boost(encoded.prognosis[rows], y, start, FROM_PRIOR, settled)
    notes = (("trees", float(trees)),)
    if trees == 0:
        return Fit(lambda data: updated.log_odds(data.effects), updated=updated, notes=notes)
    return Fit(
        log_odds=lambda data: _margin(raw, data.prognosis, updated.log_odds(data.effects)),
        file=f"{outcome}.ubj",
        write=partial(save_booster, raw=raw, columns=encoded.factors, terms=(), prior_started=True, start=0.0),
        updated=updated,
        # What trees find, the evidence's form lacked; as much again is assumed to have escaped them.
        lack_of_fit=float(np.std(_margin(raw, encoded.prognosis[rows], start) - start)),
        notes=notes,
    )


def _update(encoded: Encoded, outcome: str, effects: Array, y: Array) -> Updated:
    parts = {part.outcome: part for part in encoded.evidence.parameters.outcomes}
    terms = encoded.evidence.terms
    mean, covariance = prior_moments(parts[outcome], terms)
    selective = encoded.spec.outcomes[outcome].selectively_recorded
    return update(mean, covariance, terms, effects, y, encoded.spec, selective)


def _stratified(y: Array) -> NDArray[np.int64]:
    rng = np.random.default_rng(7)
    fold = np.empty(len(y), dtype=np.int64)
    for value in (0.0, 1.0):
        members = rng.permutation(np.flatnonzero(y == value))
        fold[members] = np.arange(len(members)) % INNER_FOLDS
    return fold


def _settled(encoded: Encoded, outcome: str, names: tuple[str, ...]) -> tuple[int, ...]:
    sign = {"increasing": 1, "decreasing": -1}
    settled = encoded.spec.outcomes[outcome].settled
    return tuple(sign[settled[n]] if n in settled else 0 for n in names)


def _boost(x: Array, y: Array, start: Array, params: dict[str, object], monotone: tuple[int, ...]) -> tuple[bytes, int]:
    """Trees that add to a starting log-odds, as many as held-out log loss wants; none unless they clearly help."""
    import xgboost as xgb

    params = {**params, "monotone_constraints": monotone}
    fold = _stratified(y)
    curves, boosters, held = [], [], []
    for k in range(INNER_FOLDS):
        out = fold == k
        seen, unseen = (xgb.DMatrix(x[r], label=y[r], base_margin=start[r]) for r in (~out, out))
        history: dict[str, dict[str, list[float]]] = {}
        boosters.append(
            xgb.train(params, seen, MAX_TREES, evals=[(unseen, "held")], evals_result=history, verbose_eval=False)
        )
        curves.append(np.array(history["held"]["logloss"]) * out.sum())
        held.append((out, unseen))
    trees = int(np.sum(curves, axis=0).argmin()) + 1
    gained = np.empty(len(y))
    for booster, (out, unseen) in zip(boosters, held, strict=True):
        added = booster.predict(unseen, output_margin=True, iteration_range=(0, trees))
        gained[out] = _loss(y[out], start[out]) - _loss(y[out], added)
    # The best of many numbers of trees looks better than it is; a standard error guards against believing it.
    if gained.mean() < gained.std() / np.sqrt(len(y)):
        return b"", 0
    booster = xgb.train(params, xgb.DMatrix(x, label=y, base_margin=start), trees)
    return bytes(booster.save_raw("ubj")), trees


def _loss(y: Array, log_odds: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, log_odds) - y * log_odds)


def _margin(raw: bytes, x: Array, start: Array) -> Array:
    import xgboost as xgb

    if not raw:
        return np.array(start)
    booster = xgb.Booster(params={"nthread": 1})
    booster.load_model(bytearray(raw))
    return np.asarray(booster.predict(xgb.DMatrix(x, base_margin=start), output_margin=True), dtype=np.float64)

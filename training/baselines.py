"""What every model must beat: the prevalence alone, and published risk scores recalibrated on the same patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.encoded import MIN_EVENTS, Encoded
from training.registry.cohort import Cohort
from validation.calibration import fit_line
from validation.scores import load_scores

Array = NDArray[np.float64]
PREVALENCE = "prevalence"


@dataclass(frozen=True)
class Baselines:
    """Cross-fitted predictions of the baselines.

    Attributes
    ----------
    predicted
        P(outcome | given) by baseline and outcome, each of shape (n,). An outcome with too few events is absent.
    labels
        What each baseline is called in a table.
    known
        Share of the patients judged on an outcome whose score is known, by baseline and outcome; 1 for the prevalence.
    skipped
        Why a baseline does not answer an outcome, by baseline and outcome.
    notes
        What a reader must know of each score.
    """

    predicted: Mapping[str, Mapping[str, Array]]
    labels: Mapping[str, str]
    known: Mapping[str, Mapping[str, float]]
    skipped: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...]


def baselines(encoded: Encoded, cohort: Cohort, fold: NDArray[np.int64]) -> Baselines:
    """Predict every outcome by each baseline, from patients outside the fold.

    Parameters
    ----------
    fold
        Held-out fold of each patient, shape (n,), as the candidates had it.

    Notes
    -----
    A score is recalibrated by a logistic regression of the outcome on it. Where it is not known, the patient gets the
    prevalence among the patients outside the fold, so that every baseline is judged on the same patients. The AUROC of
    the prevalence lies a little below 0.5, because a fold with many events is predicted from folds with few.
    """
    scores = {score.name: score for score in load_scores(encoded.spec)}
    points = {name: score.points(cohort.patients) for name, score in scores.items()}
    predicted: dict[str, dict[str, Array]] = {name: {} for name in (PREVALENCE, *scores)}
    known: dict[str, dict[str, float]] = {name: {} for name in predicted}
    skipped: dict[str, dict[str, str]] = {name: {} for name in predicted}
    for outcome in encoded.spec.outcomes.names:
        rows, y = encoded.reported(outcome), encoded.outcomes[outcome]
        reason = _too_few(y[rows])
        if reason is not None:
            for name in predicted:
                skipped[name][outcome] = reason
            continue
        share = _prevalence(y, rows, fold)
        predicted[PREVALENCE][outcome], known[PREVALENCE][outcome] = share, 1.0
        for name, x in points.items():
            recalibrated = _recalibrated(x, y, rows, fold, share)
            if isinstance(recalibrated, str):
                skipped[name][outcome] = recalibrated
                continue
            predicted[name][outcome] = recalibrated
            known[name][outcome] = float(np.mean(~np.isnan(x[rows])))
    return Baselines(
        predicted=predicted,
        labels={PREVALENCE: "Prevalence only", **{name: score.label for name, score in scores.items()}},
        known=known,
        skipped=skipped,
        notes=tuple(
            f"{score.label} ({score.source}) is known for {int((~np.isnan(points[name])).sum()):,} of {encoded.n:,} "
            f"patients; the others get the prevalence. Made for: {score.made_for}. {score.departs}."
            for name, score in scores.items()
        ),
    )


def _prevalence(y: Array, rows: NDArray[np.bool_], fold: NDArray[np.int64]) -> Array:
    share = np.full(len(y), float(y[rows].mean()))
    for k in np.unique(fold):
        others = rows & (fold != k)
        if others.any():
            # One patient of each kind more (Laplace) keeps a fold without events from predicting never or always.
            share[fold == k] = (y[others].sum() + 1) / (others.sum() + 2)
    return share


def _recalibrated(x: Array, y: Array, rows: NDArray[np.bool_], fold: NDArray[np.int64], share: Array) -> Array | str:
    """P(outcome | given) from a score, or why a fold could not be answered by it."""
    p = share.copy()
    for k in np.unique(fold):
        held = (fold == k) & ~np.isnan(x)
        others = rows & (fold != k) & ~np.isnan(x)
        if not held.any():
            continue
        reason = _too_few(y[others]) or _no_slope(x[others], y[others])
        if reason is not None:
            return f"{reason} (outside fold {k}, where the score is known)"
        intercept, slope = fit_line(y[others], x[others])
        p[held] = expit(intercept + slope * x[held])
    return p


def _too_few(y: Array) -> str | None:
    fewest = int(min(y.sum(), len(y) - y.sum()))
    enough = fewest >= MIN_EVENTS
    return None if enough else f"only {fewest} events or non-events among {len(y):,} patients; {MIN_EVENTS} are needed"


def _no_slope(x: Array, y: Array) -> str | None:
    # Separated scores have no maximum-likelihood slope.
    with_event, without = x[y == 1], x[y == 0]
    overlap = with_event.min() < without.max() and without.min() < with_event.max()
    return None if overlap else "the score does not vary, or separates the outcome"

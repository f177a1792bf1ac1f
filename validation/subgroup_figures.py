"""Figures within subgroups, and which of them are too small to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from validation.calibration import MIN_EVENTS, log_odds, solve_intercept
from validation.discrimination import losses, placements
from validation.evaluation import Cell, Difference, Figure
from validation.resampling import NO_INTERVAL, Resamples, bounds, ratio
from validation.reweighted import auroc_columns, intercept_columns, resampled_auroc, resampled_intercept

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MIN_PATIENTS = 20  # below, a cell has no figures
MIN_COUNT = 5  # below, a count could point to a person and is not given either
_METRICS = ("observed_to_expected", "calibration_intercept", "brier", "auroc", "log_loss")


def judge_cells(
    y: Array,
    rows: NDArray[np.intp],
    predictions: Mapping[str, Array],
    groups: Mapping[str, Mapping[str, Mask]],
    resamples: Resamples,
    pairs: Sequence[tuple[str, str]],
    outcome: str,
) -> tuple[dict[str, tuple[Cell, ...]], tuple[Difference, ...]]:
    """Judge every model in every subgroup of one outcome's patients.

    Parameters
    ----------
    y
        Outcome of the patients judged, shape (m,).
    rows
        Which of the panel's n patients they are, shape (m,).
    predictions
        Of these patients by model, each of shape (m,); NaN where a model does not answer.
    groups
        Which of the panel's patients belong, by group and level, each of shape (n,).
    pairs
        Models to compare, each with the one it is compared against.

    Returns
    -------
    dict, tuple
        Cells by model, and the difference in log loss of every pair in every cell that both are judged in.
    """
    cells: dict[str, list[Cell]] = {model: [] for model in predictions}
    differences: list[Difference] = []
    answered = {model: np.isfinite(p) for model, p in predictions.items()}
    # Made once for all groups: each patient is in a cell of every one of them.
    lost = {m: np.where(answered[m], losses(y, np.nan_to_num(p, nan=0.5)), np.nan) for m, p in predictions.items()}
    odds = {model: log_odds(p) for model, p in predictions.items()}
    for group, levels in groups.items():
        inside = {level: np.flatnonzero(mask[rows]) for level, mask in levels.items()}
        drawn = {level: resamples.weights(rows[at]) for level, at in inside.items() if len(at) >= MIN_PATIENTS}
        for model, p in predictions.items():
            counts = {level: _count(y[at[answered[model][at]]]) for level, at in inside.items()}
            hidden = _hidden(counts)
            for level, at in inside.items():
                patients, events = counts[level]
                reason = _suppressed(patients, events)
                figures: dict[str, Figure] = {}
                if reason is None:
                    own = answered[model][at]
                    weights = drawn[level] if own.all() else drawn[level][own]
                    kept = at[own]
                    figures = _figures(y[kept], p[kept], odds[model][kept], lost[model][kept], weights)
                shown = (None, None) if level in hidden else (patients, events)
                cells[model].append(
                    Cell(
                        group=group,
                        level=level,
                        patients=shown[0],
                        events=shown[1],
                        metrics=figures,
                        suppressed=reason,
                    )
                )
        for level, weights in drawn.items():
            at = inside[level]
            here = {model: loss[at] for model, loss in lost.items()}
            differences += _compare(y[at], here, weights, pairs, outcome, group, level)
    return {model: tuple(found) for model, found in cells.items()}, tuple(differences)


def _count(y: Array) -> tuple[int, int]:
    return len(y), int(y.sum())


def _suppressed(patients: int, events: int) -> str | None:
    if patients < MIN_PATIENTS:
        return f"fewer than {MIN_PATIENTS} patients"
    if min(events, patients - events) < MIN_EVENTS:
        return f"fewer than {MIN_EVENTS} patients with the event, or without it"
    return None


def _hidden(counts: Mapping[str, tuple[int, int]]) -> set[str]:
    hidden = {level for level, (n, events) in counts.items() if min(n, events, n - events) < MIN_COUNT}
    # With one level hidden the others and the total would give it away, so the next smallest is hidden with it. An
    # empty level gives no one away and hides no one.
    if sum(counts[level][0] > 0 for level in hidden) == 1 and len(counts) > len(hidden):
        others = {level: count for level, count in counts.items() if level not in hidden}
        hidden.add(min(others, key=lambda level: min(others[level][1], others[level][0] - others[level][1])))
    return hidden


def _figures(y: Array, p: Array, x: Array, loss: Array, weights: Array) -> dict[str, Figure]:
    placed, squared = placements(y, p), (p - y) ** 2
    area, intercept = float(placed[y == 1].mean()), solve_intercept(y, x)
    plain = np.stack([np.ones(len(y)), p, squared, loss])
    sums = np.vstack([plain, auroc_columns(y, placed), intercept_columns(y, expit(x + intercept))]) @ weights
    total, expected, squares, lost = sums[:4]
    points = (float(y.sum() / p.sum()), intercept, float(squared.mean()), area, float(loss.mean()))
    replicates = np.stack(
        [
            ratio(sums[5], expected),
            resampled_intercept(sums[8:], intercept),
            ratio(squares, total),
            resampled_auroc(sums[4:8], area),
            ratio(lost, total),
        ]
    )
    return dict(zip(_METRICS, _bounded(points, replicates), strict=True))


def _bounded(points: Sequence[float], replicates: Array) -> Iterator[Figure]:
    low, high = bounds(replicates)
    for value, least, most in zip(points, low.tolist(), high.tolist(), strict=True):
        if np.isfinite(least):
            yield Figure(value=value, low=least, high=most)
        else:
            yield Figure(value=value, reason=NO_INTERVAL)


def _compare(
    y: Array,
    lost: Mapping[str, Array],
    weights: Array,
    pairs: Sequence[tuple[str, str]],
    outcome: str,
    group: str,
    level: str,
) -> Iterator[Difference]:
    kept, points, columns = [], [], []
    for model, against in pairs:
        between = lost[model] - lost[against]
        both = np.isfinite(between)
        if _suppressed(*_count(y[both])) is None:
            kept.append((model, against))
            points.append(float(between[both].mean()))
            columns += [np.where(both, between, 0.0), both.astype(np.float64)]
    if not kept:
        return
    sums = np.stack(columns) @ weights
    for (model, against), found in zip(kept, _bounded(points, ratio(sums[::2], sums[1::2])), strict=True):
        yield Difference(
            model=model, against=against, outcome=outcome, metric="log_loss", figure=found, group=group, level=level
        )

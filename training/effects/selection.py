"""Net benefit of choosing an intensified regimen by its predicted gain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.effects.compared import Adjusted
from training.effects.declared import Selection
from training.effects.result import SelectionCurve

Array = NDArray[np.float64]
_RESAMPLES = 400
_BOUNDS = (0.025, 0.975)


def net_benefit(selection: Selection, outcome: str, adjusted: Adjusted, gain: Array) -> SelectionCurve:
    """Net benefit of treatment selection over thresholds of predicted gain (Vickers, Kattan and Sargent, Trials 2007).

    At a threshold t, those whose predicted gain exceeds t are given the first arm and all others the second. Net
    benefit is the gain in events over giving everyone the second arm, minus t for each patient so chosen: t is the
    gain for which the burden of the intensified regimen is judged to be just worth while.

    Parameters
    ----------
    adjusted
        Doubly robust scores stand in for the outcomes that patients would have had under either arm.
    gain
        Predicted gain of the patients at ``adjusted.kept``, in chances; NaN leaves a patient out. Predictions of a
        model that learned from these patients flatter it.

    Notes
    -----
    Intervals are percentiles of 400 bootstrap resamples of patients, the nuisance models held fixed.
    """
    used = ~np.isnan(gain)
    gain, weight = gain[used], adjusted.weight[used]
    effect = (adjusted.first_scores - adjusted.second_scores)[used]
    low, high = selection.points
    thresholds = np.arange(low, high + 1) / 100
    chosen = (gain[:, None] > thresholds).astype(np.float64)
    value = weight[:, None] * chosen * (effect[:, None] - thresholds)
    n = len(gain)
    rng = np.random.default_rng(5)
    counts = rng.multinomial(n, np.full(n, 1 / n), _RESAMPLES).astype(np.float64)
    resampled = (counts @ value) / (counts @ weight)[:, None]
    bounds = np.quantile(resampled, _BOUNDS, axis=0)
    total = weight.sum()
    everyone = float(weight @ effect / total)
    return SelectionCurve(
        contrast=selection.contrast,
        outcome=outcome,
        decision=selection.decision,
        thresholds=tuple(thresholds.tolist()),
        net_benefit=tuple((value.sum(axis=0) / total).tolist()),
        low=tuple(bounds[0].tolist()),
        high=tuple(bounds[1].tolist()),
        treat_all=tuple((everyone - thresholds).tolist()),
        treat_share=tuple((weight @ chosen / total).tolist()),
        patients=n,
    )

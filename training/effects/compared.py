"""Two arms put side by side: who is in them, what was adjusted for, and the adjusted differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.effects.covariates import Table
from training.effects.declared import RegimenPart, Resolved, alike, components
from training.effects.outcome_model import Predicted
from training.effects.recorded import Recorded
from training.registry import Cohort
from validation import propensity
from validation.aipw import Influence, aipw, arm_contrast, log_risk_ratio, overlap_weighted, scores, weighted_mean
from validation.answers import answers
from validation.overlap import within
from validation.propensity import Propensity

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Compared:
    """The patients to whom a contrast applies.

    Attributes
    ----------
    rows
        Their positions in the cohort, shape (m,); all other arrays follow them.
    first, second
        Who is in which arm.
    propensity
        Of every component of the part in which the arms differ.
    covariates, names
        What was adjusted for.
    """

    contrast: Resolved
    rows: NDArray[np.intp]
    first: Mask
    second: Mask
    propensity: Propensity
    covariates: Array
    names: tuple[str, ...]

    @property
    def chances(self) -> tuple[Array, Array]:
        """Propensities of the two arms."""
        return self.propensity.arm(self.contrast.first), self.propensity.arm(self.contrast.second)

    @property
    def kept(self) -> Mask:
        """Who could have received either arm."""
        return within(*self.chances)

    def mixes(self) -> tuple[Array, Array]:
        """Shares of the components within each arm, each of shape (m, components of the part)."""
        found = []
        for arm in (self.contrast.first, self.contrast.second):
            mix = np.zeros_like(self.propensity.probability)
            mix[:, list(arm)] = self.propensity.mix(arm)
            found.append(mix)
        return found[0], found[1]


@dataclass(frozen=True)
class Adjusted:
    """Differences between two arms in one outcome, among the patients named beside each.

    Attributes
    ----------
    crude, overlap_weighted
        Among those in either arm with the outcome recorded.
    aipw, first_mean, second_mean, log_ratio
        Among those with overlap and the outcome recorded, at `kept` (positions in the cohort).
    first_scores, second_scores, weight
        Doubly robust scores and weights of the patients at `kept`.
    """

    crude: Influence
    overlap_weighted: Influence
    aipw: Influence
    first_mean: Influence
    second_mean: Influence
    log_ratio: Influence
    either: NDArray[np.intp]
    kept: NDArray[np.intp]
    first_scores: Array
    second_scores: Array
    weight: Array


def compare(cohort: Cohort, table: Table, contrasts: Sequence[Resolved], fold: NDArray[np.int64]) -> list[Compared]:
    """Fit the propensities of every contrast; those of all patients are fitted once for each part of a regimen."""
    shared: dict[RegimenPart, Propensity] = {}
    beside = {part: table.beside(part) for part in RegimenPart}
    found = []
    for contrast in contrasts:
        part = contrast.part
        count = len(components(table.spec, part))
        groups = alike(tuple(contrasts), part, count)
        covariates, names = beside[part]
        received = table.received[:, part]
        if contrast.declared.among is None:
            rows = np.arange(len(received))
            if part not in shared:
                shared[part] = propensity.cross_fitted(covariates, received, count, groups, fold)
            fitted = shared[part]
        else:
            rows = np.flatnonzero(answers(contrast.declared.among, cohort.patients) == 1)
            fitted = propensity.cross_fitted(covariates[rows], received[rows], count, groups, fold[rows])
        own = received[rows]
        found.append(
            Compared(
                contrast=contrast,
                rows=rows,
                first=np.isin(own, contrast.first),
                second=np.isin(own, contrast.second),
                propensity=fitted,
                covariates=covariates[rows],
                names=names,
            )
        )
    return found


def adjust(compared: Compared, outcome: Recorded, predicted: Predicted) -> Adjusted:
    """Estimate the difference between two arms in one outcome, crude and adjusted."""
    rows = compared.rows
    y, weight = np.nan_to_num(outcome.y[rows]), outcome.weight[rows]
    chances = predicted.under[compared.contrast.part][rows]
    first_chance, second_chance = compared.chances
    means = [(mix * chances).sum(axis=1) for mix in compared.mixes()]
    known = weight > 0
    either = known & (compared.first | compared.second)
    kept = known & compared.kept
    pair = np.divide(first_chance, first_chance + second_chance, out=np.full(len(rows), 0.5), where=either)
    first = scores(y[kept], compared.first[kept], first_chance[kept], means[0][kept])
    second = scores(y[kept], compared.second[kept], second_chance[kept], means[1][kept])
    w = weight[kept]
    return Adjusted(
        crude=arm_contrast(y[either], compared.first[either], compared.second[either], weight[either]),
        overlap_weighted=overlap_weighted(
            y[either], compared.first[either], pair[either], means[0][either], means[1][either], weight[either]
        ),
        aipw=aipw(first, second, w),
        first_mean=weighted_mean(first, w),
        second_mean=weighted_mean(second, w),
        log_ratio=log_risk_ratio(first, second, w),
        either=rows[either],
        kept=rows[kept],
        first_scores=first,
        second_scores=second,
        weight=w,
    )

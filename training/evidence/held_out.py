"""Held out: arms predicted from the studies that share no patients with them, and what naive means would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from scipy.stats import fisher_exact, qmc

from features import Specification
from training.evidence.arms import Arm, ArmFile, ArmReader, Rate, arm_file
from training.evidence.meta_regression import Design, MetaRegression, counts_of, without
from training.evidence.predictive import LEVEL, Interval, binomial_interval, naive_interval
from training.evidence.tables import load_tables

Array = NDArray[np.float64]
FEWEST_OF_CLASS = 2  # a class with fewer other arms says nothing of its own; the population's mean stands in
_UNIFORM = qmc.Sobol(3, rng=7).random(1024)
_NORMALS, _NOISE = ndtri(_UNIFORM[:, :2]), ndtri(_UNIFORM[:, 2])


@dataclass(frozen=True)
class PredictedRate:
    """One rate of one arm, shares of 1, from studies other than its own."""

    arm: Arm
    column: str
    kind: str
    observed: float
    size: int | None
    model: Interval
    by_population: Interval
    by_class: Interval


@dataclass(frozen=True)
class PredictedContrast:
    """Difference between two arms that were randomised against each other.

    Attributes
    ----------
    difference, low, high
        Predicted, shares of 1, with the 90% prediction interval of the printed difference.
    p_value
        Of the observed difference on its own counts; None when a size is not printed.
    """

    study: str
    column: str
    exposed: Arm
    control: Arm
    observed: float
    difference: float
    low: float
    high: float
    p_value: float | None

    @property
    def significant(self) -> bool:
        """Whether the arms differ beyond chance on their own counts (two-sided 5%)."""
        return self.p_value is not None and self.p_value < 0.05

    @property
    def same_sign(self) -> bool:
        """Whether the predicted difference has the sign of the observed one."""
        return self.difference * self.observed > 0


@dataclass(frozen=True)
class Checked:
    """Predictions of every rate and randomised contrast of a file, and what was left out (place, reason)."""

    rates: tuple[PredictedRate, ...]
    contrasts: tuple[PredictedContrast, ...]
    skipped: tuple[tuple[str, str], ...]


class Evidence:
    """The arms that a prediction may rest on, and fits to all of them but some studies."""

    def __init__(self, spec: Specification, reader: ArmReader, recalled: bool = True) -> None:
        read = arm_file(load_tables()["conversion_arms"].rows, reader)
        if read.skipped:
            raise ValueError("\n".join(f"conversion_arms, {place}: {reason}" for place, reason in read.skipped))
        self.reader, self.vocabulary = reader, reader.vocabulary
        self.arms = [a for a in read.arms if recalled or not a.recalled]
        self.design = Design(self.vocabulary, reader.terms)
        self.full = MetaRegression(self.design, counts_of(self.arms, self.vocabulary))
        self._fits: dict[frozenset[str], MetaRegression] = {frozenset(): self.full}

    def related(self, arms: Sequence[Arm]) -> frozenset[str]:
        """Studies of the evidence that are, or share patients with, the study of these arms.

        Studies are recognised by identifier, PubMed number or DOI.
        """
        identifiers = frozenset().union(*(a.identifiers for a in arms))
        own = {a.study for a in self.arms if a.identifiers & identifiers} | {a.study for a in arms}
        for whole, parts in self.vocabulary.contains.items():
            studies = {key.partition("/")[0] for key in (whole, *parts)}
            if whole.partition("/")[0] in own:
                identifiers |= studies
            elif studies & own:
                identifiers |= {whole.partition("/")[0]} | (studies & own)
        return frozenset(a.study for a in self.arms if a.study in own | identifiers)

    def fit_without(self, left_out: frozenset[str]) -> MetaRegression:
        """Fit, hyperparameters included, to the other studies."""
        if left_out not in self._fits:
            counts = counts_of(without(self.arms, left_out), self.vocabulary)
            self._fits[left_out] = MetaRegression(self.design, counts, start=self.full.hyper)
        return self._fits[left_out]


def predict_held_out(file: ArmFile, evidence: Evidence) -> Checked:
    """Predict every arm of a file from studies that share no patients with its own."""
    rates: list[PredictedRate] = []
    contrasts: list[PredictedContrast] = []
    for study in dict.fromkeys(a.study for a in file.arms):
        own = [a for a in file.arms if a.study == study]
        left_out = evidence.related(own)
        found = _predict_study(own, evidence.fit_without(left_out), without(evidence.arms, left_out), evidence)
        rates += found[0]
        contrasts += found[1]
    return Checked(tuple(rates), tuple(contrasts), file.skipped)


def _predict_study(
    own: Sequence[Arm], fit: MetaRegression, others: Sequence[Arm], evidence: Evidence
) -> tuple[list[PredictedRate], list[PredictedContrast]]:
    pairs = [(arm, rate) for arm in own for rate in arm.rates]
    mean, covariance = fit.predict([a for a, _ in pairs], [r.kind for _, r in pairs])
    columns = {k.name: k.column for k in evidence.vocabulary.kinds}
    usual = float(np.median([r.size for a in evidence.arms for r in a.rates if r.size]))
    rates = []
    for j, (arm, rate) in enumerate(pairs):
        column = columns[rate.kind]
        size = float(rate.size or usual)
        seen = [(a, r.observed) for a in others for r in a.rates if columns[r.kind] == column]
        alike = np.array([x for a, x in seen if a.population == arm.population])
        if len(alike) < FEWEST_OF_CLASS:
            alike = np.array([x for _, x in seen])
        same = np.array([x for a, x in seen if (a.population, a.regimen_class) == (arm.population, arm.regimen_class)])
        by_population = naive_interval(alike, size)
        by_class = naive_interval(same, size) if len(same) >= FEWEST_OF_CLASS else by_population
        if len(same) == FEWEST_OF_CLASS:
            by_class = Interval(by_class.predicted, by_population.low, by_population.high)
        rates.append(
            PredictedRate(
                arm,
                column,
                rate.kind,
                rate.observed,
                rate.size,
                binomial_interval(float(mean[j]), float(covariance[j, j]), size),
                by_population,
                by_class,
            )
        )
    found = [
        _contrast(pairs, i, j, mean, covariance, columns[pairs[i][1].kind], usual)
        for i, j in combinations(range(len(pairs)), 2)
        if pairs[i][0].randomised
        and pairs[i][0].key != pairs[j][0].key
        and pairs[i][0].stratum == pairs[j][0].stratum
        and columns[pairs[i][1].kind] == columns[pairs[j][1].kind]
        and pairs[i][0].regimen != pairs[j][0].regimen
    ]
    return rates, found


def _contrast(
    pairs: Sequence[tuple[Arm, Rate]], i: int, j: int, mean: Array, covariance: Array, column: str, usual: float
) -> PredictedContrast:
    (exposed, rate), (control, against) = pairs[i], pairs[j]
    place = [i, j]
    values, vectors = np.linalg.eigh(covariance[np.ix_(place, place)])
    drawn = mean[place] + (_NORMALS * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    chance = expit(drawn)
    sizes = np.array([rate.size or usual, against.size or usual])
    # Sampling error of the printed difference on top of the uncertainty of the chances.
    noise = np.sqrt((chance * (1 - chance) / sizes).sum(axis=1)) * _NOISE
    low, high = np.quantile(chance[:, 0] - chance[:, 1] + noise, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    middle = expit(mean[place])
    return PredictedContrast(
        study=exposed.study,
        column=column,
        exposed=exposed,
        control=control,
        observed=rate.observed - against.observed,
        difference=float(middle[0] - middle[1]),
        low=float(low),
        high=float(high),
        p_value=_p_value(rate, against),
    )


def _p_value(one: Rate, other: Rate) -> float | None:
    """Fisher's exact test of two printed rates."""
    if one.size is None or other.size is None:
        return None
    table = [[round(r.observed * r.size), r.size - round(r.observed * r.size)] for r in (one, other) if r.size]
    return float(fisher_exact(table).pvalue)

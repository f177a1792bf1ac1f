"""Propensities: the chance of each component of a regimen given what was known before it was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.intp]
SMALL_ARM = 50  # components with fewer patients are grouped (DOMAIN 5.5)
FOLDS = 5
STRENGTH = 0.1  # inverse of the ridge penalty on standardised covariates, as scikit-learn counts it
_LEAST_CLASS = 10  # a class with fewer patients has no propensity to speak of


@dataclass(frozen=True)
class Propensity:
    """Chances of c components for n patients, each from a model that did not see the patient.

    Attributes
    ----------
    probability
        Shape (n, c); 0 for components that hardly anyone received.
    grouped
        Components that were too rare to stand alone and share one propensity, by position.
    """

    probability: Array
    grouped: tuple[tuple[int, ...], ...]

    def arm(self, components: Sequence[int]) -> Array:
        """Chance of receiving any of these components, shape (n,)."""
        return self.probability[:, list(components)].sum(axis=1)

    def mix(self, components: Sequence[int]) -> Array:
        """Shares of these components among those who receive any of them, shape (n, len(components)); sums to 1."""
        own = self.probability[:, list(components)]
        total = own.sum(axis=1, keepdims=True)
        return np.divide(own, total, out=np.full_like(own, 1.0 / len(components)), where=total > 0)


def balanced_folds(received: Counts, folds: int = FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """Random folds in which every component has its share of patients, shape (n,).

    Whole sites or years are not held out here: a site whose habits no model saw could not be adjusted for.
    """
    order = np.random.default_rng(seed).permutation(len(received))
    order = order[np.argsort(received[order], kind="stable")]
    fold = np.empty(len(received), dtype=np.int64)
    fold[order] = np.arange(len(received)) % folds
    return fold


def group_small(received: Counts, components: int, alike: Sequence[Sequence[int]], least: int = SMALL_ARM) -> Counts:
    """Class of each component, shape (components,): its own, or that of the most frequent one it is alike to.

    Parameters
    ----------
    alike
        Components that may share a propensity, because they lie in the same arms of every contrast.
    """
    counts = np.bincount(received, minlength=components)
    classes = np.arange(components, dtype=np.intp)
    for group in alike:
        largest = max(group, key=lambda c: counts[c])
        for component in group:
            if counts[component] < least:
                classes[component] = largest
    return classes


def cross_fitted(
    covariates: Array,
    received: Counts,
    components: int,
    alike: Sequence[Sequence[int]],
    fold: NDArray[np.int64],
    strength: float = STRENGTH,
) -> Propensity:
    """Fit multinomial logistic regressions with a ridge penalty, each fold predicted by the others.

    Parameters
    ----------
    covariates
        Standardised, without missing values, shape (n, p).
    received
        Component that each patient received, shape (n,).
    alike
        See `group_small`.
    """
    from sklearn.linear_model import LogisticRegression

    classes = group_small(received, components, alike)
    label = classes[received]
    counts = np.bincount(label, minlength=components)
    present = np.flatnonzero(counts >= _LEAST_CLASS)
    probability = np.zeros((len(received), components))
    kept = np.isin(label, present)
    if len(present) == 1:
        probability[:, present[0]] = 1.0
    elif len(present) > 1:
        for k in np.unique(fold):
            train, held = kept & (fold != k), fold == k
            model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
            model.fit(covariates[train], label[train])
            probability[np.ix_(held, model.classes_)] = model.predict_proba(covariates[held])
    grouped = tuple(
        tuple(int(c) for c in np.flatnonzero(classes == k)) for k in np.unique(classes) if (classes == k).sum() > 1
    )
    return Propensity(_spread(probability, received, grouped), grouped)


def _spread(probability: Array, received: Counts, grouped: Sequence[Sequence[int]]) -> Array:
    # A group's chance is shared among its components as the patients are.
    counts = np.bincount(received, minlength=probability.shape[1])
    spread = probability.copy()
    for group in grouped:
        members = list(group)
        total = probability[:, members].sum(axis=1)
        shares = counts[members] / max(counts[members].sum(), 1)
        spread[:, members] = total[:, None] * shares
    return spread

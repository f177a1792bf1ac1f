"""Overlap: whether patients in two arms are alike enough to be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.field import Frozen

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
BINS = 20
OVERLAP = (0.05, 0.95)  # propensities of both arms between which patients are compared (DOMAIN 5.5)
BALANCED = 0.1  # largest standardised difference that counts as balanced (DOMAIN 5.5)
_SHOWN = 10


class Balance(Frozen):
    """One covariate: its standardised mean difference between the arms, as received and after weighting."""

    covariate: str
    before: float
    weighted: float
    overlap_weighted: float


class Histogram(Frozen):
    """Patients of two arms by propensity, in bins of equal width from 0 to 1."""

    first: tuple[int, ...]
    second: tuple[int, ...]


class Overlap(Frozen):
    """How far two arms overlap.

    Attributes
    ----------
    patients
        Patients to whom the contrast applies, whatever they received.
    first, second
        Of them in each arm.
    kept, kept_first, kept_second
        Of these with propensities of both arms within `OVERLAP`.
    share_below
        Share of patients with a propensity below 0.05 for either arm.
    effective_first, effective_second
        Effective sample size of the inverse-probability weights in each arm, among those kept (Kish 1965).
    effective_overlap
        Of the overlap weights, both arms together.
    worst_before, worst_weighted, worst_overlap_weighted
        Largest absolute standardised mean difference of a covariate.
    balance
        The covariates that differed most as received.
    propensity
        Propensity of the first arm, by arm received.
    verdict
        In words.
    estimable
        Whether the trimmed contrast can be estimated; `overlap_estimable` the same of the overlap-weighted one.
    """

    patients: int
    first: int
    second: int
    kept: int
    kept_first: int
    kept_second: int
    share_below: float
    effective_first: float
    effective_second: float
    effective_overlap: float
    worst_before: float
    worst_weighted: float
    worst_overlap_weighted: float
    balance: tuple[Balance, ...]
    propensity: Histogram
    verdict: str
    estimable: bool
    overlap_estimable: bool


def effective_size(weight: Array) -> float:
    """Kish's effective sample size of weights, (sum w)^2 / sum w^2."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def standardised_differences(covariates: Array, first: Mask, second: Mask, weight: Array) -> Array:
    """Standardised mean differences between two arms, shape (p,).

    Weighted means differ by so many standard deviations, these pooled over both arms as received (Austin 2011), so
    that weighting moves the difference and not its unit.
    """
    means, variances = [], []
    for arm in (first, second):
        own, w = covariates[arm], weight[arm]
        if not len(own) or not w.sum() > 0:
            return np.full(covariates.shape[1], np.nan)
        means.append(w @ own / w.sum())
        variances.append(own.var(axis=0))
    spread = np.sqrt((variances[0] + variances[1]) / 2)
    difference = means[0] - means[1]
    return np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 1e-9)


def diagnose(
    covariates: Array,
    names: Sequence[str],
    first: Mask,
    second: Mask,
    propensity_first: Array,
    propensity_second: Array,
    labels: tuple[str, str],
    least_arm: int = 50,
    least_effective: float = 25.0,
) -> Overlap:
    """Judge the overlap of two arms.

    Parameters
    ----------
    covariates
        What was adjusted for, shape (n, p); `names` of shape (p,).
    labels
        What the arms are called.
    least_arm
        Fewest patients of an arm, and fewest among those kept, half of these, with which it is compared.
    least_effective
        Smallest effective sample size of an arm.
    """
    low = OVERLAP[0]
    kept = within(propensity_first, propensity_second)
    either = first | second
    inverse = np.where(first, 1 / np.maximum(propensity_first, 1e-9), 1 / np.maximum(propensity_second, 1e-9))
    inverse = np.where(either & kept, inverse, 0.0)
    total = np.maximum(propensity_first + propensity_second, 1e-9)
    pair = propensity_first / total
    balancing = np.where(either, np.where(first, 1 - pair, pair), 0.0)
    before = standardised_differences(covariates, first, second, np.ones(len(first)))
    weighted = standardised_differences(covariates, first & kept, second & kept, inverse)
    overlapped = standardised_differences(covariates, first, second, balancing)
    order = np.argsort(-np.abs(np.nan_to_num(before)))[:_SHOWN]
    counts = [np.histogram(propensity_first[arm], BINS, (0.0, 1.0))[0] for arm in (first, second)]
    sizes = (int(first.sum()), int(second.sum()))
    kept_sizes = (int((first & kept).sum()), int((second & kept).sum()))
    effective = (effective_size(inverse[first & kept]), effective_size(inverse[second & kept]))
    share_below = float(((propensity_first < low) | (propensity_second < low)).mean()) if len(first) else 1.0
    reason = _too_few(sizes, labels, least_arm)
    trimmed = reason or _no_overlap(kept_sizes, effective, labels, least_arm / 2, least_effective)
    worst = [_worst(d) for d in (before, weighted, overlapped)]
    return Overlap(
        patients=len(first),
        first=sizes[0],
        second=sizes[1],
        kept=int(kept.sum()),
        kept_first=kept_sizes[0],
        kept_second=kept_sizes[1],
        share_below=share_below,
        effective_first=effective[0],
        effective_second=effective[1],
        effective_overlap=effective_size(balancing[either]),
        worst_before=worst[0],
        worst_weighted=worst[1],
        worst_overlap_weighted=worst[2],
        balance=tuple(
            Balance(
                covariate=names[j],
                before=_finite(before[j]),
                weighted=_finite(weighted[j]),
                overlap_weighted=_finite(overlapped[j]),
            )
            for j in order
        ),
        propensity=Histogram(
            first=tuple(int(c) for c in counts[0]),
            second=tuple(int(c) for c in counts[1]),
        ),
        verdict=trimmed or _verdict(kept, share_below, worst[1], worst[2]),
        estimable=trimmed is None,
        overlap_estimable=reason is None,
    )


def within(propensity_first: Array, propensity_second: Array) -> Mask:
    """Patients whose propensities of both arms lie within `OVERLAP`, shape (n,)."""
    low, high = OVERLAP
    return (
        (propensity_first >= low)
        & (propensity_first <= high)
        & (propensity_second >= low)
        & (propensity_second <= high)
    )


def _too_few(sizes: tuple[int, int], labels: tuple[str, str], least: float) -> str | None:
    small = [f"only {n} patients received {label}" for n, label in zip(sizes, labels, strict=True) if n < least]
    return f"Not estimable: {' and '.join(small)}; at least {least:g} in each arm are needed." if small else None


def _no_overlap(
    sizes: tuple[int, int],
    effective: tuple[float, float],
    labels: tuple[str, str],
    least: float,
    least_effective: float,
) -> str | None:
    found = [
        f"only {n} patients on {label} could as well have received the other"
        for n, label in zip(sizes, labels, strict=True)
        if n < least
    ] or [
        f"the patients on {label} weigh no more than {e:.0f} patients would"
        for e, label in zip(effective, labels, strict=True)
        if e < least_effective
    ]
    return f"Not estimable for lack of overlap: {' and '.join(found)}." if found else None


def _verdict(kept: Mask, share_below: float, weighted: float, overlapped: float) -> str:
    words = [f"{100 * kept.mean():.0f}% of patients could have received either arm and are compared"]
    if share_below > 0:
        words.append(f"{100 * share_below:.0f}% had a chance below 5% of one of them")
    balanced = "balanced" if weighted <= BALANCED else "not all balanced"
    words.append(
        f"after weighting their recorded traits are {balanced} (largest standardised difference {weighted:.2f}, "
        f"with overlap weights {overlapped:.2f})"
    )
    return "; ".join(words) + "."


def _worst(differences: Array) -> float:
    return _finite(np.nanmax(np.abs(differences))) if len(differences) and not np.isnan(differences).all() else 0.0


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0

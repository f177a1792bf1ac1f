"""Outcomes that can be contrasted between regimens: those of everyone started, never of the resected alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import Part, Specification
from training.bundle.scored import STATES
from training.registry import Cohort

Array = NDArray[np.float64]
_SHRINK = 10  # patients of the whole registry that a site's share of recorded follow-ups is shrunk towards


@dataclass(frozen=True)
class Recorded:
    """One outcome of everyone started.

    Attributes
    ----------
    y
        1, 0, or NaN where not known, shape (n,).
    weight
        0 where not known; above 1 where a patient stands for others in whom the event that comes before was recorded
        and this one was not; shape (n,).
    lost
        Share of patients for whom not even the first event of the chain is known.
    """

    name: str
    label: str
    headline: bool
    y: Array
    weight: Array
    lost: float


def recorded(cohort: Cohort, spec: Specification) -> tuple[Recorded, ...]:
    """Outcomes that are unconditional and recorded, and the states "resected with (without) major complication".

    Notes
    -----
    Patients in whom the parent event happened and the outcome itself was not entered are stood for by others of the
    same site in whom it was. To leave them out would count them as if the parent had not happened either, as those
    without it stay in.
    """
    tree = spec.outcomes
    found = []
    for outcome in tree.outcomes:
        y = np.asarray(cohort.outcomes[outcome.name])
        if outcome.given is None and not np.isnan(y).all():
            chain = tuple(reversed(tree.chain(outcome.name)))
            found.append(_chained(cohort, outcome.name, outcome.label, outcome.headline, chain))
    resection, major = tree.part(Part.RESECTION), tree.part(Part.COMPLICATION)
    if not any(np.isnan(cohort.outcomes[o.name]).all() for o in (resection, major)):
        with_major = _chained(
            cohort, STATES[2], f"{resection.label} with {_lower(major.label)}", False, (resection.name, major.name)
        )
        without = _chained(
            cohort, STATES[1], f"{resection.label} without {_lower(major.label)}", False, (resection.name, major.name)
        )
        resected = np.asarray(cohort.outcomes[resection.name])
        y = np.where(resected == 0, 0.0, 1.0 - with_major.y)
        found += [Recorded(without.name, without.label, False, y, without.weight, without.lost), with_major]
    return tuple(found)


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]


def _chained(cohort: Cohort, name: str, label: str, headline: bool, chain: tuple[str, ...]) -> Recorded:
    root = np.asarray(cohort.outcomes[chain[0]])
    weight = (~np.isnan(root)).astype(np.float64)
    happened = root == 1
    y = root
    for node in chain[1:]:
        column = np.asarray(cohort.outcomes[node])
        known = ~np.isnan(column)
        weight = np.where(happened, weight * known / _shares(cohort.site, happened, known), weight)
        y = np.where(happened, column, np.where(np.isnan(y), np.nan, 0.0))
        happened = happened & (column == 1)
    lost = float(np.isnan(root).mean()) if len(root) else 1.0
    return Recorded(name, label, headline, np.where(weight > 0, y, np.nan), weight, lost)


def _shares(site: NDArray[np.str_], happened: NDArray[np.bool_], known: NDArray[np.bool_]) -> Array:
    """Share of those with the parent event in whom the outcome is known, by site, shape (n,)."""
    overall = known[happened].mean() if happened.any() else 1.0
    names, at = np.unique(site, return_inverse=True)
    events = np.bincount(at, happened, minlength=len(names))
    seen = np.bincount(at, happened & known, minlength=len(names))
    share = (seen + _SHRINK * overall) / (events + _SHRINK)
    return np.maximum(share[at], 1e-3)

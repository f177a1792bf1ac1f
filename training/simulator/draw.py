"""Drawing a truth: effects from their ranges, intercepts from the rates they must give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from features import INTERCEPT, Patients, Specification
from training.simulator.course import first_days, years_from_middle
from training.simulator.settings import load_settings
from training.simulator.treatment import for_weeks
from training.simulator.truth import Array, Truth
from training.simulator.untested import seen_at_start

STAGES = ("effects", "sites", "patients", "untested", "habits", "choice", "events", "days", "records", "blanks")
_REFERENCE_SEED = 20_240_108
_REFERENCE_PATIENTS = 2_000


@dataclass(frozen=True)
class Reference:
    """Patients with the regimens they would receive, on whom intercepts are set."""

    patients: Patients
    weeks: NDArray[np.intp]
    chosen: NDArray[np.intp]


def streams(seed: int) -> dict[str, np.random.Generator]:
    """One independent generator a stage, so that a change in one stage leaves the others' draws alone."""
    children = np.random.SeedSequence(seed).spawn(len(STAGES))
    return {stage: np.random.default_rng(child) for stage, child in zip(STAGES, children, strict=True)}


def site_names(sites: int) -> tuple[str, ...]:
    """Pseudonyms of the sites."""
    return tuple(f"S{i + 1:02d}" for i in range(sites))


def draw_truth(spec: Specification, seed: int, sites: int) -> Truth:
    """Draw the truth of a seed.

    Notes
    -----
    Intercepts are set on one fixed population of patients, so that the truth depends on the seed and the number of
    sites alone, not on how many patients are simulated.
    """
    settings = load_settings(spec)
    rng = streams(seed)["effects"]
    drawn, rates = settings.all_effects.draw(rng), settings.all_effects.rates(rng)
    truth = Truth(
        settings.encoding(spec),
        {name: {INTERCEPT: 0.0, **terms} for name, terms in drawn.items()},
        settings.all_effects.site_effects(rng, site_names(sites)),
    )
    return _with_rates(truth, rates, _reference(spec))


def under_received(
    patients: Patients,
    weeks: NDArray[np.intp],
    chosen: NDArray[np.intp],
    values: Callable[[Patients, tuple, NDArray[np.intp]], dict[str, Array]],
) -> dict[str, Array]:
    """Pick, from values of shape (rows, regimens) computed a planned duration at a time, each patient's own regimen."""
    spec = patients.spec
    picked: dict[str, Array] = {}
    for duration in np.unique(weeks):
        rows = np.flatnonzero(weeks == duration)
        found = values(patients.take(rows), for_weeks(spec.regimens.all(), int(duration), spec), rows)
        for name, matrix in found.items():
            picked.setdefault(name, np.empty(patients.n))[rows] = matrix[np.arange(len(rows)), chosen[rows]]
    return picked


@lru_cache(maxsize=4)
def _reference(spec: Specification) -> Reference:
    settings = load_settings(spec)
    encoding = settings.encoding(spec)
    rng = np.random.default_rng(_REFERENCE_SEED)
    site = np.zeros(_REFERENCE_PATIENTS, dtype=np.intp)
    patients = settings.population.draw(spec, encoding, rng, site, 1)
    years = years_from_middle(settings.course, first_days(settings.course, site, 1, rng))
    seen = seen_at_start(patients, settings.untested, encoding, years, rng)
    parts = len(settings.treatment.backbones) + len(settings.treatment.biologics)
    habits = np.zeros((patients.n, parts))
    chosen = settings.treatment.choose(settings.treatment.log_odds(seen, encoding, years, habits, 1.0), rng)
    return Reference(patients, settings.treatment.weeks(patients.n, rng), chosen)


def _with_rates(truth: Truth, rates: dict[str, float], reference: Reference) -> Truth:
    tree = reference.patients.spec.outcomes
    z = under_received(
        reference.patients,
        reference.weeks,
        reference.chosen,
        lambda patients, regimens, rows: truth.log_odds(patients, regimens),
    )
    reach: dict[str, Array] = {}
    for name in tree.names:
        parent = tree[name].within
        weight = np.ones(reference.patients.n) if parent is None else reach[parent]
        share = weight / weight.sum()
        intercept = brentq(lambda a, s=share, n=name: float(s @ expit(a + z[n])) - rates[n], -20.0, 20.0)
        truth = truth.shifted(name, intercept)
        reach[name] = weight * expit(intercept + z[name])
    return truth

"""Populations whose truth differs from the evidence in known ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import INTERCEPT, Part, Specification, load_specification
from features.encoding import Encoding, PatientFactor
from training.bundle import Prior
from training.encoded import Encoded, encode
from training.evidence import load_prior
from training.learners.update import prior_moments
from training.registry import Cohort, build_cohort, read_registry
from training.simulator import Truth, draw_truth, simulate
from training.simulator.settings import load_settings

Array = NDArray[np.float64]
SITES = 5
TEST = 400  # held-out patients behind each excess log loss


@dataclass(frozen=True)
class Scenario:
    """A way in which the truth differs from the evidence."""

    name: str
    truth: Callable[[Specification, Prior, int], Truth]
    confounding: float = 1.0


def drawn_truth(spec: Specification, prior: Prior, seed: int) -> Truth:
    """A truth drawn from the evidence: one value for each coefficient of each outcome."""
    rng = np.random.default_rng(10_000 + seed)
    encoding = load_settings(spec).encoding(spec)
    coefficients: dict[str, dict[str, float]] = {}
    for part in prior.parameters.outcomes:
        mean, covariance = prior_moments(part, prior.terms)
        values, vectors = np.linalg.eigh(covariance)
        beta = mean + vectors @ (np.sqrt(np.clip(values, 0, None)) * rng.standard_normal(len(mean)))
        for term, direction in spec.outcomes[part.outcome].settled.items():
            if term in prior.terms:
                j = prior.terms.index(term)
                beta[j] = max(beta[j], 0.0) if direction == "increasing" else min(beta[j], 0.0)
        named = {c.term for c in part.coefficients}
        coefficients[part.outcome] = {t: float(b) for t, b in zip(prior.terms, beta, strict=True) if t in named}
        coefficients[part.outcome].setdefault(INTERCEPT, 0.0)
    return Truth(encoding, coefficients, {})


def _right(spec: Specification, prior: Prior, seed: int) -> Truth:
    return drawn_truth(spec, prior, seed)


def _prognosis_off(spec: Specification, prior: Prior, seed: int) -> Truth:
    return drawn_truth(spec, prior, seed).scaled(0.7)


def _contrast_off(spec: Specification, prior: Prior, seed: int) -> Truth:
    # The triplet removes disease in about 12 points fewer than the evidence has it.
    resection = spec.outcomes.part(Part.RESECTION).name
    term = next(f.name for f in spec.encoding.regimen_factors if len(f.exposures) == 2 and not f.weeks)
    truth = drawn_truth(spec, prior, seed)
    mean = {c.term: c.mean for p in prior.parameters.outcomes if p.outcome == resection for c in p.coefficients}
    return truth.with_effect(resection, term, mean.get(term, 0.0) - 1.1)


def _nonlinear(spec: Specification, prior: Prior, seed: int) -> Truth:
    # Thresholds where the evidence has straight lines, on inputs that nearly every registry records.
    by_name = {f.name: f for f in spec.encoding.patient_factors}
    count, size, age = (by_name[n].of for n in ("metastases", "diameter", "age"))
    added = (
        PatientFactor(name="few", of=count, below=5),
        PatientFactor(name="very_large", of=size, above=80),
        PatientFactor(name="old", of=age, at_least=72),
        PatientFactor(name="old_with_many", product=("old", "right_sided")),
    )
    truth = drawn_truth(spec, prior, seed)
    wider = Encoding(
        patient_factors=(*truth.encoding.patient_factors, *added),
        regimen_factors=truth.encoding.regimen_factors,
        interactions=truth.encoding.interactions,
    )
    truth = replace(truth, encoding=wider)
    resection = spec.outcomes.part(Part.RESECTION).name
    for factor, effect in zip(added, (1.5, -1.5, 0.8, -2.0), strict=True):
        truth = truth.with_effect(resection, factor.name, effect)
    return truth


def _simulator(spec: Specification, prior: Prior, seed: int) -> Truth:
    return draw_truth(spec, seed, SITES)


SCENARIOS = (
    Scenario("prior_right", _right),
    Scenario("prognosis_off", _prognosis_off),
    Scenario("contrast_off", _contrast_off),
    Scenario("confounded", _right, confounding=2.5),
    Scenario("nonlinear", _nonlinear),
    Scenario("simulator", _simulator),
)


@dataclass(frozen=True)
class World:
    """One invented population, encoded once; the last `TEST` patients are held out."""

    spec: Specification
    prior: Prior
    cohort: Cohort
    encoded: Encoded
    within: Mapping[str, Array]  # true P(outcome | parent) by outcome, (n, 20)
    received: NDArray[np.intp]

    @property
    def test(self) -> NDArray[np.intp]:
        """Positions of the held-out patients."""
        return np.arange(self.encoded.n - TEST, self.encoded.n)


def world(scenario: Scenario, seed: int, most: int) -> World:
    """Invent one population under a scenario."""
    spec = load_specification()
    prior = load_prior(spec)
    truth = scenario.truth(spec, prior, seed)
    size = int(1.25 * (most + TEST)) + 50
    registry, table = simulate(
        spec, patients=size, seed=seed, sites=SITES, truth_override=truth, confounding=scenario.confounding
    )
    cohort = build_cohort(registry, spec)
    rng = np.random.default_rng(seed)
    cohort = cohort.take(rng.permutation(cohort.patients.n)[: most + TEST])
    keys = [(r.backbone, r.biologic) for r in spec.regimens.all()]
    return _world(spec, prior, cohort, table, keys)


def _world(
    spec: Specification, prior: Prior, cohort: Cohort, table: pd.DataFrame, keys: Sequence[tuple[str, str]]
) -> World:
    record = next(iter(table.columns))
    indexed = table.set_index([record, "backbone", "biologic"])
    rows = pd.MultiIndex.from_tuples([(r, *k) for r in cohort.record for k in keys])
    picked = indexed.loc[rows]
    within = {
        name: picked[f"{name}|within"].to_numpy().reshape(cohort.patients.n, len(keys)) for name in spec.outcomes.names
    }
    received = np.array([keys.index(r.key) for r in cohort.regimens])
    return World(spec, prior, cohort, encode(cohort, prior, spec), within, received)


def world_from(registry: Path, truth: Path, seed: int) -> World:
    """Read a population made by anyone: a registry and the truth behind it, as `resecta simulate` writes them."""
    spec = load_specification()
    prior = load_prior(spec)
    cohort = build_cohort(read_registry(registry, spec, None).frame, spec)
    cohort = cohort.take(np.random.default_rng(seed).permutation(cohort.patients.n))
    return _world(spec, prior, cohort, pd.read_parquet(truth), [r.key for r in spec.regimens.all()])

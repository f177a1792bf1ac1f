"""A cohort encoded once: every candidate and every fold reads the same numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import INTERCEPT, Specification
from training.bundle import Prior
from training.registry.cohort import Cohort

Array = NDArray[np.float64]
MIN_EVENTS = 20  # DOMAIN 5.4: below 20 events not even an intercept is updated


@dataclass(frozen=True)
class Encoded:
    """Numbers of n patients under the regimen each received.

    Attributes
    ----------
    prognosis
        Patient factors, shape (n, p), in the order of ``factors``; NaN where not known.
    patient_part, regimen_part
        The two factors of each term that involves the regimen, shape (n, t), in the order of ``terms``.
    evidence
        The evidence prior.
    effects
        Value of each of the prior's terms, averaged over what is not known, shape (n, e).
    prior
        The evidence's log-odds of each outcome given its parent under the received regimen, shape (n, o).
    outcomes
        1, 0 or NaN by outcome, each of shape (n,).
    """

    spec: Specification
    factors: tuple[str, ...]
    terms: tuple[str, ...]
    prognosis: Array
    patient_part: Array
    regimen_part: Array
    evidence: Prior
    effects: Array
    prior: Array
    outcomes: dict[str, Array]

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.prognosis)

    @property
    def planned(self) -> Array:
        """Terms that involve the regimen, shape (n, t); NaN where the patient factor is not known."""
        return self.patient_part * self.regimen_part

    def column(self, outcome: str) -> int:
        """Position of an outcome in the prior's arrays."""
        return self.spec.outcomes.names.index(outcome)

    def eligible(self, outcome: str) -> NDArray[np.bool_]:
        """Rows that can teach P(outcome | within): the parent happened and the outcome is recorded."""
        known = ~np.isnan(self.outcomes[outcome])
        within = self.spec.outcomes[outcome].within
        return known if within is None else known & (self.outcomes[within] == 1)

    def reported(self, outcome: str) -> NDArray[np.bool_]:
        """Rows on which P(outcome | given) is judged: the given event happened and the outcome is recorded."""
        known = ~np.isnan(self.outcomes[outcome])
        given = self.spec.outcomes[outcome].given
        return known if given is None else known & (self.outcomes[given] == 1)


def encode(cohort: Cohort, prior: Prior, spec: Specification) -> Encoded:
    """Encode a cohort for training."""
    terms = tuple(t for t, (_, regimen) in spec.encoding.terms.items() if regimen is not None and t != INTERCEPT)
    left, right = spec.encoding.term_factors(cohort.patients, cohort.regimens, terms)
    factors = spec.encoding.learned
    return Encoded(
        spec=spec,
        factors=factors,
        terms=terms,
        prognosis=spec.encoding.patient_matrix(cohort.patients, factors),
        patient_part=left,
        regimen_part=right,
        evidence=prior,
        effects=prior.expected_terms(cohort.patients, cohort.regimens),
        prior=prior.received(cohort.patients, cohort.regimens),
        outcomes=dict(cohort.outcomes),
    )


def enough(encoded: Encoded, outcome: str, needed: int) -> str | None:
    """Why an outcome cannot be learned from a cohort, or None when it has the events and non-events needed."""
    rows = encoded.eligible(outcome)
    y = encoded.outcomes[outcome][rows]
    if not len(y):
        return "not recorded in this registry"
    fewest = int(min(y.sum(), len(y) - y.sum()))
    if fewest < needed:
        return f"only {fewest} events or non-events among {len(y)} patients; {needed} are needed"
    return None

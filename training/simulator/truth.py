"""The truth behind an invented registry: what each regimen would do to each patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features import INTERCEPT, Patients, Regimen
from features.encoding import Encoding

Array = NDArray[np.float64]
Coefficients = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Truth:
    """Drawn coefficients; every edit gives a new truth.

    Attributes
    ----------
    encoding
        The terms that coefficients may name: the specification's and the simulator's own.
    coefficients
        Outcome -> term -> log odds ratio of the outcome given its parent; with the intercept.
    site_effects
        Outcome -> site -> shift of the log-odds. A site that is not named has none.
    """

    encoding: Encoding
    coefficients: Coefficients
    site_effects: Coefficients

    def with_effect(self, outcome: str, term: str, value: float) -> Truth:
        """The same truth with one coefficient set.

        Raises
        ------
        KeyError
            When the outcome or the term is not known.
        """
        if outcome not in self.coefficients:
            raise KeyError(f"unknown outcome {outcome}; known are {', '.join(self.coefficients)}")
        if term not in self.encoding.terms:
            raise KeyError(f"unknown term {term}")
        return self._edited({outcome: {**self.coefficients[outcome], term: value}})

    def shifted(self, outcome: str, by: float) -> Truth:
        """The same truth with an outcome's intercept moved, on the log-odds scale."""
        return self.with_effect(outcome, INTERCEPT, self.coefficients[outcome].get(INTERCEPT, 0.0) + by)

    def scaled(self, by: float, outcomes: Iterable[str] | None = None) -> Truth:
        """The same truth with every prognostic effect (terms of the patient alone) multiplied."""
        terms = self.encoding.terms
        prognostic = {t for t, (patient, regimen) in terms.items() if patient is not None and regimen is None}
        return self._edited(
            {
                name: {t: v * by if t in prognostic else v for t, v in self.coefficients[name].items()}
                for name in (self.coefficients if outcomes is None else outcomes)
            }
        )

    def without_sites(self) -> Truth:
        """The same truth with all sites alike."""
        return replace(self, site_effects={})

    def log_odds(
        self, patients: Patients, regimens: Sequence[Regimen], sites: NDArray[np.str_] | None = None
    ) -> dict[str, Array]:
        """Log-odds of every outcome given its parent, each patient under each regimen, shape (n, r).

        Raises
        ------
        ValueError
            When a factor behind a coefficient is not known for every patient.
        """
        names = tuple(dict.fromkeys(t for terms in self.coefficients.values() for t in terms))
        left, right = self.encoding.term_factors(patients, regimens, names)
        unknown = [name for name, column in zip(names, left.T, strict=True) if np.isnan(column).any()]
        if unknown:
            raise ValueError(f"the truth needs complete patients; not known for all: {', '.join(unknown)}")
        found = {}
        for outcome, terms in self.coefficients.items():
            beta = np.array([terms.get(name, 0.0) for name in names])
            shift: Array = np.zeros((1, 1))
            effects = self.site_effects.get(outcome)
            if sites is not None and effects:
                shift = np.array([effects.get(site, 0.0) for site in sites.tolist()])[:, None]
            found[outcome] = (left * beta) @ right.T + shift
        return found

    def probabilities(
        self, patients: Patients, regimens: Sequence[Regimen], sites: NDArray[np.str_] | None = None
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """P(outcome | parent) and P(outcome | given) by outcome, shape (n, r)."""
        within = {name: expit(z) for name, z in self.log_odds(patients, regimens, sites).items()}
        tree = patients.spec.outcomes
        given = {}
        for name in tree.names:
            value = within[name]
            for ancestor in tree.chain(name)[1:]:
                value = value * within[ancestor]
            given[name] = value
        return within, given

    def _edited(self, changed: Coefficients) -> Truth:
        return replace(self, coefficients={**self.coefficients, **changed})

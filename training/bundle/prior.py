"""The evidence prior: log-odds of every outcome for any patient under any regimen, with uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri
from scipy.stats import qmc

from features import INTERCEPT, Patients, Regimen, Specification
from features.memory import Memory
from training.bundle.coefficients import OutcomePrior, PriorParameters

Array = NDArray[np.float64]
DRAWS = 128
_PLANS, _SHORT = 64, 64  # lists of regimens that are remembered, and the longest of them
_READINGS = 8192  # of single patients that are remembered: a number, or 1 kB of draws
_ORDERS = 512  # of draws, of which one is taken
_CHUNK = 256  # patients per block of draws: bounds memory at about 256 * 128 * terms * 8 bytes


class Prior:
    """The one door to the evidence.

    Every answer averages over draws of the evidence's coefficients and, for each draw, one completion of the
    inputs that are not known. Directions that are clinically settled are respected by every draw.

    Parameters
    ----------
    parameters
        Coefficients, covariance and case mix.
    spec
        The specification whose terms the coefficients name.

    Raises
    ------
    ValueError
        Naming every outcome, term or field that the specification does not know or the case mix lacks.
    """

    def __init__(self, parameters: PriorParameters, spec: Specification) -> None:
        self.parameters = parameters
        self.spec = spec
        complaints = parameters.case_mix.complaints(spec)
        by_name = {o.outcome: o for o in parameters.outcomes}
        complaints += [f"no evidence for outcome {n}" for n in spec.outcomes.names if n not in by_name]
        known_terms = spec.encoding.terms
        for part in parameters.outcomes:
            stray = [c.term for c in part.coefficients if c.term not in known_terms]
            complaints += [f"prior of {part.outcome}: unknown term {t}" for t in stray]
        if complaints:
            raise ValueError("; ".join(complaints))
        used = {c.term for o in parameters.outcomes for c in o.coefficients} - {INTERCEPT}
        self.terms: tuple[str, ...] = (INTERCEPT, *(t for t in known_terms if t in used))
        self._planned: Memory[tuple[tuple[str, str, int], ...], Array] = Memory(_PLANS)
        nobody = Patients(spec, 1, {})
        completed = parameters.case_mix.complete(nobody, 2)
        values, _ = spec.encoding.term_factors(completed, spec.regimens.all()[:1], self.terms)
        factors = {t: known_terms[t][0] for t in self.terms}
        self._columns = {f: [j for j, t in enumerate(self.terms) if factors[t] == f] for f in factors.values() if f}
        self._sources = {f: parameters.case_mix.behind(spec, f) for f in self._columns}
        # Coded columns behind each factor, in one order, so that their values are a key.
        self._behind = {
            f: tuple(c for name in sorted(fields) for c in spec.fields[name].columns)
            for f, fields in self._sources.items()
        }
        self._read: Memory[tuple[Any, ...], float | Array] = Memory(_READINGS)
        self._unknown = spec.encoding.patient_part(parameters.case_mix.complete(nobody, DRAWS), self.terms)
        self._coefficients = {o: self._draw_coefficients(by_name[o], i) for i, o in enumerate(spec.outcomes.names)}
        open_terms = [t for t, v in zip(self.terms, values[0], strict=True) if np.isnan(v)]
        if open_terms:
            raise ValueError(f"the case mix completes no field behind the terms {', '.join(open_terms)}")

    def log_odds(self, patients: Patients, regimens: Sequence[Regimen], outcome: str) -> Array:
        """Log-odds of an outcome given its parent, every patient under every regimen.

        Parameters
        ----------
        outcome
            Name of an outcome.

        Returns
        -------
        (n, r) array
            Logit of the probability averaged over draws.
        """
        blocks = [_pooled(draws) for _, draws in self._blocks(patients, regimens, outcome)]
        return np.concatenate(blocks) if blocks else np.empty((0, len(regimens)))

    def received(self, patients: Patients, regimens: Sequence[Regimen]) -> Array:
        """Log-odds of every outcome given its parent under the regimen that each patient received.

        Parameters
        ----------
        regimens
            One per patient.

        Returns
        -------
        (n, o) array
            Outcomes in the order of the tree; logits of probabilities averaged over draws.
        """
        return np.asarray(self.paired(patients, [regimens])[0])

    def paired(self, patients: Patients, plans: Sequence[Sequence[Regimen]]) -> Array:
        """Log-odds of every outcome given its parent under several plans, each with one regimen per patient.

        Returns
        -------
        (p, n, o) array
            As `received` for each of p plans; what is not known of a patient is completed once for all of them.
        """
        beta = np.stack([self._coefficients[n] for n in self.spec.outcomes.names], axis=2)  # (DRAWS, t, o)
        blocks = [np.empty((len(plans), 0, beta.shape[2]))]
        for start in range(0, patients.n, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, patients.n))
            left, right = self.design(patients.take(rows), plans[0][start : start + _CHUNK])
            others = [self.spec.encoding.regimen_part(p[start : start + _CHUNK], self.terms) for p in plans[1:]]
            by_draw = np.broadcast_to(left, (len(rows), DRAWS, len(self.terms))).transpose(1, 0, 2)
            blocks.append(np.stack([_pooled(((by_draw * r) @ beta).transpose(1, 0, 2)) for r in (right, *others)]))
        return np.concatenate(blocks, axis=1)

    def draws(self, patients: Patients, regimens: Sequence[Regimen], outcome: str) -> Array:
        """Draws of the log-odds, shape (n, DRAWS, r)."""
        blocks = [draws for _, draws in self._blocks(patients, regimens, outcome)]
        return np.concatenate(blocks) if blocks else np.empty((0, DRAWS, len(regimens)))

    def design(self, patients: Patients, regimens: Sequence[Regimen]) -> tuple[Array, Array]:
        """Term values with what is missing completed: (n, DRAWS or 1, t) and (r, t); see `Encoding.term_factors`."""
        right = self._regimen_part(regimens)
        if patients.n == 1:
            return self._one(patients)[None], right
        left = self.spec.encoding.patient_part(patients, self.terms)
        if not np.isnan(left).any():
            return left[:, None, :], right
        completed = self.parameters.case_mix.complete(patients, DRAWS)
        left = self.spec.encoding.patient_part(completed, self.terms)
        return left.reshape(patients.n, DRAWS, len(self.terms)), right

    def _regimen_part(self, regimens: Sequence[Regimen]) -> Array:
        # Tumour boards ask for the same few regimens again and again.
        key = tuple((r.backbone, r.biologic, r.planned_cycles) for r in regimens)
        found = self._planned.get(key)
        if found is None:
            found = self.spec.encoding.regimen_part(regimens, self.terms)
            if len(regimens) <= _SHORT:
                self._planned.keep(key, found)
        return found

    def _one(self, patient: Patients) -> Array:
        """Patient part of the terms of one patient, (DRAWS or 1, t).

        Of a patient of whom little is known most terms are those of a patient of whom nothing is, and are not
        computed anew; of the others, what the same values gave before is remembered.
        """
        known = patient.single
        columns: list[int] = []
        values: list[float] = []
        drawn: list[tuple[list[int], Array]] = []
        settled = 0
        for factor, sources in self._behind.items():
            key = (factor, *map(known.get, sources))
            if key.count(None) == len(sources):
                continue
            found = self._read.get(key)
            if found is None:
                found = self._read.keep(key, self._reading(factor, patient))
            if isinstance(found, float):
                settled += 1
                columns += self._columns[factor]
                values += [found] * len(self._columns[factor])
            else:
                drawn.append((self._columns[factor], found))
        if settled == len(self._behind):
            left = self._unknown[:1].copy()
            left[:, columns] = values
            return left
        left = self._unknown.copy()
        left[:, columns] = values
        for where, column in drawn:
            left[:, where] = column[:, None]
        return left

    def _reading(self, factor: str, patient: Patients) -> float | Array:
        """A factor of one patient of whom something behind it is known: a number, or draws of it, shape (DRAWS,)."""
        value = float(self.spec.encoding.patient_matrix(patient, [factor])[0, 0])
        if not np.isnan(value):
            return value
        # Left open although something behind it is known: its distribution depends on what is known.
        completed = self.parameters.case_mix.complete(patient, DRAWS, only=self._sources[factor])
        return self.spec.encoding.patient_matrix(completed, [factor])[:, 0]

    def expected_terms(self, patients: Patients, regimens: Sequence[Regimen]) -> Array:
        """Value of each of `terms` under the regimen each patient received, averaged over completions, shape (n, t)."""
        blocks = []
        for start in range(0, patients.n, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, patients.n))
            left, right = self.design(patients.take(rows), regimens[start : start + _CHUNK])
            blocks.append(left.mean(axis=1) * right)
        return np.concatenate(blocks)

    @cached_property
    def typical(self) -> Mapping[str, Array]:
        """Draws of every input of a patient of whom nothing is known, each of shape (DRAWS,)."""
        completed = self.parameters.case_mix.complete(Patients(self.spec, 1, {}), DRAWS)
        return {name: completed[name] for name in self.spec.columns}

    def coefficients(self, outcome: str) -> Array:
        """Draws of an outcome's coefficients over `terms`, shape (DRAWS, t); zero where a term has no effect."""
        return self._coefficients[outcome]

    def _blocks(
        self, patients: Patients, regimens: Sequence[Regimen], outcome: str
    ) -> Iterator[tuple[NDArray[np.intp], Array]]:
        beta = self._coefficients[outcome]
        for start in range(0, patients.n, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, patients.n))
            left, right = self.design(patients.take(rows), regimens)
            yield rows, (left * beta[None]) @ right.T

    def _draw_coefficients(self, part: OutcomePrior, stream: int) -> Array:
        names = [c.term for c in part.coefficients]
        mean = np.array([c.mean for c in part.coefficients])
        values, vectors = np.linalg.eigh(np.array(part.covariance, dtype=float))
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        uniform = qmc.Sobol(len(names), rng=100 + stream).random(DRAWS)
        drawn = mean + ndtri(np.clip(uniform, 1e-6, 1 - 1e-6)) @ root.T
        # A settled direction is knowledge that the published interval alone does not carry.
        for term, direction in self.spec.outcomes[part.outcome].settled.items():
            if term in names:
                j = names.index(term)
                drawn[:, j] = np.maximum(drawn[:, j], 0) if direction == "increasing" else np.minimum(drawn[:, j], 0)
        over_terms = np.zeros((DRAWS, len(self.terms)))
        over_terms[:, [self.terms.index(n) for n in names]] = drawn
        return over_terms[_order(over_terms, self._unknown, 100 + stream)]


def _order(drawn: Array, completed: Array, seed: int) -> NDArray[np.intp]:
    """An order of draws of coefficients in which they go with completions of inputs, and of other outcomes, by chance.

    All are Sobol sequences, and equal dimensions of two such sequences go together (|r| up to 0.7 here): taken as they
    come, a probability averaged over an unknown input would lie outside those of its values. Of many random orders,
    the one is taken under which the log-odds of a patient of whom nothing is known are spread most as they are over all
    pairs of a draw and a completion.

    Parameters
    ----------
    drawn, completed
        Coefficients and patient parts of the terms, each of shape (DRAWS, t).
    """
    count = len(drawn)
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(count), (_ORDERS, 1)), axis=1)
    pairs = drawn @ completed.T
    wanted = np.sort(pairs.ravel()).reshape(count, count).mean(axis=1)
    found = np.sort(pairs[orders, np.arange(count)], axis=1)
    return np.asarray(orders[np.abs(found - wanted).mean(axis=1).argmin()])


def _pooled(draws: Array) -> Array:
    return logit(np.clip(expit(draws).mean(axis=1), 1e-9, 1 - 1e-9))

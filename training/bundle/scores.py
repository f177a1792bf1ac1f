"""The scoring path: from patients and regimens to coherent probabilities with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from features import Part, Patients, Regimen, Specification
from training.bundle.learned import Learned
from training.bundle.manifest import OutcomeModel
from training.bundle.prior import DRAWS, Prior

Array = NDArray[np.float64]
INTERVAL = (0.05, 0.95)  # a 90% interval (DOMAIN 3.2)
_EDGE = 1e-9
_CHUNK = 32  # patients at a time: about 32 * 12 outcomes * 128 draws * 21 regimens * 8 bytes = 80 MB


@dataclass(frozen=True)
class Scores:
    """Probabilities of n patients under r regimens.

    Attributes
    ----------
    probability, low, high
        P(outcome | given) by outcome, each of shape (n, r). ``low`` and ``high`` bound a 90% interval.
    states
        Not resected, resected without and with major complication, by name; they sum to 1.
    """

    probability: Mapping[str, Array]
    low: Mapping[str, Array]
    high: Mapping[str, Array]
    states: Mapping[str, Array]


@dataclass(frozen=True)
class Comparison:
    """Differences between two regimens for n patients, with the bounds of a 90% interval, each of shape (n,).

    Attributes
    ----------
    difference, low, high
        By name of an outcome that is not conditional on resection, and of a state.
    """

    difference: Mapping[str, Array]
    low: Mapping[str, Array]
    high: Mapping[str, Array]


@dataclass(frozen=True)
class Received:
    """Log-odds of every outcome given its parent for n patients, each of shape (n, o), outcomes in the tree's order.

    Attributes
    ----------
    log_odds
        Under the regimen that each patient received.
    reference
        Under the reference regimen: the patient's prognosis, which no regimen's effect has entered.
    """

    log_odds: Array
    reference: Array


STATES = ("not_resected", "resected_without_major_complication", "resected_with_major_complication")


def reference_regimen(spec: Specification) -> Regimen:
    """The first regimen of the catalogue, at its default duration: the one that prognosis is stated under."""
    return spec.regimens.all()[0]


class Engine:
    """Scores patients with a prior and whatever was learned on top of it.

    Parameters
    ----------
    prior
        Where intervals come from, and points too unless `shown` is given.
    shown
        Effects moved by simulated patients. They move the points; the intervals keep the spread of `prior`, because
        invented patients remove no doubt, not even about what is missing.
    """

    def __init__(
        self,
        spec: Specification,
        prior: Prior,
        models: Sequence[OutcomeModel],
        learned: Mapping[str, Learned],
        shown: Prior | None = None,
    ) -> None:
        self.spec, self.prior, self.learned, self.shown = spec, prior, dict(learned), shown
        self.models = {m.outcome: m for m in models}
        self.names = spec.outcomes.names
        self._reference = reference_regimen(spec)
        # A recalibrated slope turns about the log-odds under the reference regimen, which must then be scored too.
        self._turned = any(m.recalibration is not None and m.recalibration.slope != 1.0 for m in models)
        # A patient's own departure from the form of the evidence; the same under every regimen.
        normal = ndtri((np.arange(DRAWS) + 0.5) / DRAWS)
        order = np.random.default_rng(3)
        self._misfit = np.stack([self.models[n].lack_of_fit * order.permutation(normal) for n in self.names])
        self._beta = np.stack([prior.coefficients(n) for n in self.names])  # (o, DRAWS, t)

    def score(self, patients: Patients, regimens: Sequence[Regimen], intervals: bool = True) -> Scores:
        """Score every patient under every regimen.

        Parameters
        ----------
        intervals
            False skips the intervals; `low` and `high` then equal `probability`.

        Returns
        -------
        Scores
        """
        blocks = [
            self._block(patients.take(np.arange(s, min(s + _CHUNK, patients.n))), regimens, intervals)
            for s in range(0, patients.n, _CHUNK)
        ]
        point, low, high = (np.concatenate(parts) for parts in zip(*blocks, strict=True))  # (n, o, r)
        probability, below, above = (
            {name: part[:, i] for i, name in enumerate(self.names)} for part in (point, low, high)
        )
        return Scores(probability, below, above, self._states(probability))

    def compare(self, patients: Patients, first: Regimen, second: Regimen) -> Comparison:
        """Compare two regimens for each patient: first minus second.

        Only what is not conditional on resection is compared, because those resected under one regimen are not
        those resected under the other (DOMAIN 5.5). Uncertainty that both share cancels.
        """
        point, drawn = self.reported(patients, [first, second])
        names = [o.name for o in self.spec.outcomes.outcomes if o.given is None]
        rows = [self.names.index(name) for name in names]
        states_point, states_drawn = self._states_of(point), self._states_of(drawn)
        difference = {n: point[:, i, 0] - point[:, i, 1] for n, i in zip(names, rows, strict=True)}
        spread = {n: drawn[:, i, :, 0] - drawn[:, i, :, 1] for n, i in zip(names, rows, strict=True)}
        difference |= {n: v[..., 0] - v[..., 1] for n, v in states_point.items()}
        spread |= {n: v[..., 0] - v[..., 1] for n, v in states_drawn.items()}
        bounds = {n: _bounds(v, axis=1) for n, v in spread.items()}
        return Comparison(
            difference=difference,
            low={n: np.minimum(low, difference[n]) for n, (low, _) in bounds.items()},
            high={n: np.maximum(high, difference[n]) for n, (_, high) in bounds.items()},
        )

    def _block(self, patients: Patients, regimens: Sequence[Regimen], intervals: bool) -> tuple[Array, Array, Array]:
        point, drawn = self.reported(patients, regimens, intervals)
        if not intervals:
            return point, point, point
        low, high = _bounds(drawn, axis=2)
        return point, np.minimum(low, point), np.maximum(high, point)

    def reported(self, patients: Patients, regimens: Sequence[Regimen], intervals: bool = True) -> tuple[Array, Array]:
        """P(outcome | given), shape (n, o, r), and draws of it, shape (n, o, DRAWS, r)."""
        if not self._turned:
            return self._reported(patients, regimens, intervals)
        point, drawn = self._reported(patients, [*regimens, self._reference], intervals)
        return point[..., :-1], drawn[..., :-1]

    def received(self, patients: Patients, regimens: Sequence[Regimen]) -> Received:
        """Log-odds given the parent under the regimen that each patient received, for many patients at once.

        Parameters
        ----------
        regimens
            One per patient.
        """
        plans = [regimens, [self._reference] * patients.n]
        base = (self.prior if self.shown is None else self.shown).paired(patients, plans)
        final = np.empty_like(base)
        for i, name in enumerate(self.names):
            learned = self.learned.get(name)
            answer = base[..., i] if learned is None else learned.paired(patients, plans, base[..., i])
            answer = self._calibrated(name, answer)
            final[..., i] = self._recalibrated(name, answer, answer[1])
        return Received(final[0], final[1])

    def _reported(self, patients: Patients, regimens: Sequence[Regimen], intervals: bool) -> tuple[Array, Array]:
        left, right = self.prior.design(patients, regimens)
        n, o, r, t = patients.n, len(self.names), len(regimens), len(self.prior.terms)
        weighted = (self._beta[None] * left[:, None]).reshape(n * o * DRAWS, t)
        drawn = (weighted @ right.T).reshape(n, o, DRAWS, r)
        chances = expit(drawn)
        pooled = logit(np.clip(chances.mean(axis=2), _EDGE, 1 - _EDGE))  # (n, o, r)
        base = pooled if self.shown is None else self._pooled_by(self.shown, patients, regimens)
        final = np.stack(
            [self._final(name, patients, regimens, base[:, i]) for i, name in enumerate(self.names)], axis=1
        )
        point = self._chain(expit(final))
        if not intervals:
            return point, point[:, :, None]
        if np.array_equal(final, pooled) and not self._misfit.any():
            return point, self._chain(chances)
        # What was learned beyond the prior shifts the draws; it never narrows their spread.
        shift = (final - pooled)[:, :, None] + self._misfit[None, :, :, None]
        return point, self._chain(expit(drawn + shift))

    def _pooled_by(self, prior: Prior, patients: Patients, regimens: Sequence[Regimen]) -> Array:
        return np.stack([prior.log_odds(patients, regimens, name) for name in self.names], axis=1)

    def _final(self, outcome: str, patients: Patients, regimens: Sequence[Regimen], pooled: Array) -> Array:
        learned = self.learned.get(outcome)
        answer = self._calibrated(outcome, pooled if learned is None else learned.log_odds(patients, regimens, pooled))
        # The reference regimen comes last whenever any slope needs it; see `reported`.
        return self._recalibrated(outcome, answer, answer[:, -1:])

    def _calibrated(self, outcome: str, answer: Array) -> Array:
        intercept, slope = self.models[outcome].calibration
        return intercept + slope * answer if (intercept, slope) != (0.0, 1.0) else answer

    def _recalibrated(self, outcome: str, answer: Array, reference: Array) -> Array:
        moved = self.models[outcome].recalibration
        if moved is None:
            return answer
        turned = 0.0 if moved.slope == 1.0 else (moved.slope - 1.0) * reference
        return np.asarray(answer + moved.intercept + turned)

    def _chain(self, conditional: Array) -> Array:
        """Multiply P(outcome | within), outcomes on axis 1, up the tree to P(outcome | given)."""
        by_name: dict[str, object] = {name: conditional[:, i] for i, name in enumerate(self.names)}
        return np.stack(list(self.spec.outcomes.product(by_name).values()), axis=1)  # type: ignore[arg-type]

    def _states(self, probability: Mapping[str, Array]) -> dict[str, Array]:
        return self._states_of(np.stack([probability[name] for name in self.names], axis=1))

    def _states_of(self, reported: Array) -> dict[str, Array]:
        """Three states from P(outcome | given) with outcomes on axis 1."""
        tree = self.spec.outcomes
        resected = reported[:, self.names.index(tree.part(Part.RESECTION).name)]
        with_major = resected * reported[:, self.names.index(tree.part(Part.COMPLICATION).name)]
        return dict(zip(STATES, (1.0 - resected, resected - with_major, with_major), strict=True))


def _bounds(drawn: Array, axis: int) -> tuple[Array, Array]:
    """Bounds of the interval over draws, interpolated between order statistics."""
    ordered = np.sort(drawn, axis=axis)
    found = []
    for share in INTERVAL:
        position = share * (DRAWS - 1)
        below = int(position)
        lower, upper = np.take(ordered, below, axis), np.take(ordered, below + 1, axis)
        found.append(lower + (position - below) * (upper - lower))
    return found[0], found[1]

"""The scoring path: from patients and regimens to coherent probabilities with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from features import Part, Patients, Regimen, Specification
from features.outcome import OutcomeTree
from training.bundle.draws import averaged, interval, log_odds, logistic
from training.bundle.learned import Learned
from training.bundle.manifest import OutcomeModel
from training.bundle.points import Points
from training.bundle.prior import DRAWS, Prior
from training.bundle.scored import STATES, Comparison, Received, Scores

Array = NDArray[np.float64]
Single = NDArray[np.float32]
_CHUNK = 32  # patients at a time: about 32 * 12 outcomes * 128 draws * 21 regimens * 8 bytes = 80 MB
_MANY = 64  # patients from which it pays to score points without their draws
_TOGETHER = 2048  # of those at a time: about 2048 * 12 outcomes * 20 regimens * 3 copies * 8 bytes = 12 MB


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
        misfit = np.stack([self.models[n].lack_of_fit * order.permutation(normal) for n in self.names])
        self._misfit = misfit.astype(np.float32)[None, :, None]
        self._beta = _coefficients(prior, self.names)
        # Simulated patients move effects and nothing else, so both read the same completed inputs.
        self._beta_shown = None if shown is None else _coefficients(shown, self.names)
        if shown is not None and shown.terms != prior.terms:
            raise ValueError("the effects that are shown are not those of the evidence beside them")
        self._parents = _parents(spec.outcomes)

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
        if not intervals and patients.n >= _MANY:
            return self._points_alone(patients, regimens)
        few = patients.n <= _CHUNK
        blocks = [
            self._block(
                patients if few else patients.take(np.arange(s, min(s + _CHUNK, patients.n))), regimens, intervals
            )
            for s in range(0, patients.n, _CHUNK)
        ]
        both = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
        count = len(self.names)
        states = {name: both[0, :, count + i] for i, name in enumerate(STATES)}
        return Scores(self.names, both[:, :, :count], states, both[1:, :, count:])

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
        difference |= {n: v[..., 0] - v[..., 1] for n, v in zip(STATES, states_point, strict=True)}
        spread |= {n: v[..., 0] - v[..., 1] for n, v in zip(STATES, states_drawn, strict=True)}
        bounds = {n: interval(v, axis=1) for n, v in spread.items()}
        return Comparison(
            difference=difference,
            low={n: np.minimum(low, difference[n]) for n, (low, _) in bounds.items()},
            high={n: np.maximum(high, difference[n]) for n, (_, high) in bounds.items()},
        )

    def _points_alone(self, patients: Patients, regimens: Sequence[Regimen]) -> Scores:
        """Score many patients without intervals; the same numbers in another order of work, see `Points`."""
        asked = [*regimens, self._reference] if self._turned else regimens
        point = np.empty((patients.n, len(self.names), len(regimens)))
        for start in range(0, patients.n, _TOGETHER):
            some = patients.take(np.arange(start, min(start + _TOGETHER, patients.n)))
            base = self._points.pooled(some, asked)
            final = [self._final(name, some, asked, base[:, i]) for i, name in enumerate(self.names)]
            point[start : start + some.n] = self._chain(expit(np.stack(final, axis=1)))[..., : len(regimens)]
        states = np.stack(self._states_of(point), axis=1)
        repeated = np.broadcast_to(states, (2, *states.shape))
        return Scores(
            self.names,
            np.broadcast_to(point, (3, *point.shape)),
            dict(zip(STATES, states.swapaxes(0, 1), strict=True)),
            repeated,
        )

    @cached_property
    def _points(self) -> Points:
        return Points(self.prior if self.shown is None else self.shown)

    def _block(self, patients: Patients, regimens: Sequence[Regimen], intervals: bool) -> Array:
        """Outcomes and, after them, states: probability, low and high; shape (3, n, o + 3, r)."""
        point, drawn = self.reported(patients, regimens, intervals)
        point = self._with_states(point)
        if not intervals:
            return np.broadcast_to(point, (3, *point.shape))
        # The draws lie side by side in memory, and are to stay so.
        low, high = interval(self._with_states(drawn.swapaxes(2, 3)), axis=3)
        return np.stack([point, np.minimum(low, point), np.maximum(high, point)])

    def _with_states(self, reported: Array) -> Array:
        """P(outcome | given) with outcomes on axis 1, and after them the states."""
        count = len(self.names)
        both = np.empty((len(reported), count + len(STATES), *reported.shape[2:]), reported.dtype)
        both[:, :count] = reported
        for i, state in enumerate(self._states_of(reported)):
            both[:, count + i] = state
        return both

    def reported(self, patients: Patients, regimens: Sequence[Regimen], intervals: bool = True) -> tuple[Array, Array]:
        """P(outcome | given), shape (n, o, r), and draws of it, shape (n, o, DRAWS, r)."""
        if not self._turned:
            return self._reported(patients, regimens, intervals)
        point, drawn = self._reported(patients, [*regimens, self._reference], intervals)
        return point[..., :-1], drawn[..., :-1]

    def conditional(self, patients: Patients, regimens: Sequence[Regimen]) -> Array:
        """Log-odds of every outcome given its parent, shape (n, o, r)."""
        asked = [*regimens, self._reference] if self._turned else regimens
        left, right = (np.asarray(part, dtype=np.float32) for part in self.prior.design(patients, asked))
        beta = self._beta if self._beta_shown is None else self._beta_shown
        base = averaged(logistic(log_odds(beta, left, right)))
        final = [self._final(name, patients, asked, base[:, i]) for i, name in enumerate(self.names)]
        return np.stack(final, axis=1)[..., : len(regimens)]

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
        left, right = (np.asarray(part, dtype=np.float32) for part in self.prior.design(patients, regimens))
        drawn = log_odds(self._beta, left, right)  # (n, o, r, DRAWS)
        chances = logistic(drawn.copy())
        pooled = averaged(chances)  # (n, o, r)
        shown = pooled if self._beta_shown is None else averaged(logistic(log_odds(self._beta_shown, left, right)))
        final = np.stack(
            [self._final(name, patients, regimens, shown[:, i]) for i, name in enumerate(self.names)], axis=1
        )
        point = self._chain(expit(final))
        if not intervals:
            return point, point[:, :, None]
        if self._misfit.any() or not np.array_equal(final, pooled):
            # What was learned beyond the prior shifts the draws; it never narrows their spread.
            drawn += (final - pooled).astype(np.float32)[..., None] + self._misfit
            chances = logistic(drawn)
        return point, self._chain(chances).swapaxes(2, 3)

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

    def _chain(self, conditional: Any) -> Any:
        """Multiply P(outcome | within), outcomes on axis 1, up the tree to P(outcome | given), in place."""
        for i, parent in enumerate(self._parents):
            if parent is not None:
                conditional[:, i] *= conditional[:, parent]
        return conditional

    def _states_of(self, reported: Array) -> tuple[Array, Array, Array]:
        """`STATES` from P(outcome | given) with outcomes on axis 1."""
        tree = self.spec.outcomes
        resected = reported[:, self.names.index(tree.part(Part.RESECTION).name)]
        with_major = resected * reported[:, self.names.index(tree.part(Part.COMPLICATION).name)]
        return 1.0 - resected, resected - with_major, with_major


def _coefficients(prior: Prior, names: Sequence[str]) -> Single:
    """Draws of every outcome's coefficients, shape (o, DRAWS, t)."""
    return np.stack([prior.coefficients(n) for n in names]).astype(np.float32)


def _parents(tree: OutcomeTree) -> tuple[int | None, ...]:
    """Position of the outcome whose reported probability multiplies each one's; None where there is none."""
    found: list[int | None] = []
    for name in tree.names:
        above = tree.chain(name)[1:]
        if above and tree.chain(above[0]) != above:
            raise ValueError(f"outcome {name} and its parent {above[0]} are given different events")
        found.append(tree.names.index(above[0]) if above else None)
    return tuple(found)

"""Points for many patients: the evidence's answer without intervals, at a fraction of the work.

The arithmetic is that of `Prior.design` and `Engine._reported`: the chance averaged over draws of the coefficients
and, draw by draw, one completion of what is not known. It is only done in another order:

- Terms are summed by the regimen factor that they carry before any regimen is looked at, so that the sum over terms
  is made once for each patient and draw, and not once for each regimen too.
- What is unknown and depends on nothing known has the same draws in every patient, and enters as a constant.
- Regimens that an outcome cannot tell apart are answered once.
- Where regimens are sums of whole factors, as all are at the usual duration, the odds of a regimen are the product
  of its factors' odds ratios: there are fewer factors than regimens, so fewer exponentials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import Patients, Regimen
from training.bundle.prior import DRAWS, Prior

Single = NDArray[np.float32]
Array = NDArray[np.float64]
_EDGE = 1e-9
_LARGEST = 80.0  # of a sum, beyond which single precision overflows
_COMPLETED = 128  # different patients that are completed at a time: 128 * 128 draws * 75 columns * 8 bytes = 10 MB
_SLICE = 64  # patients at a time, so that their draws stay within a core's cache: 64 * 128 * 20 * 4 bytes = 650 kB


@dataclass(frozen=True)
class _Sum:
    """Terms of one outcome that share a regimen factor.

    Attributes
    ----------
    regimen
        The regimen factor; None for terms that hold under every regimen.
    rows, weights
        Rows of the inputs (see `Points._inputs`), and what each takes from the log-odds in every draw,
        shape (len(rows), DRAWS).
    terms
        Coefficients of each patient factor with the sign changed, shape (DRAWS,); for what is drawn for single
        patients.
    """

    regimen: str | None
    rows: NDArray[np.intp]
    weights: Single
    terms: Mapping[str, Single]


@dataclass(frozen=True)
class _Drawn:
    """Completions of a patient factor that depend on what is known of single patients.

    Attributes
    ----------
    rows
        Patients.
    values
        Different completions, shape (u, DRAWS).
    which
        Position in `values` of each patient's.
    """

    factor: str
    rows: NDArray[np.intp]
    values: Single
    which: NDArray[np.intp]


class Points:
    """Averages the evidence over its draws, for many patients at once.

    Parameters
    ----------
    prior
        The evidence.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior, self.spec = prior, prior.spec
        encoding = self.spec.encoding
        self.factors = tuple(dict.fromkeys(f for t in prior.terms if (f := encoding.terms[t][0]) is not None))
        self._sources = {f: prior.parameters.case_mix.behind(self.spec, f) for f in self.factors}
        at = {f: j for j, f in enumerate(self.factors)}
        nobody = prior.parameters.case_mix.complete(Patients(self.spec, 1, {}), DRAWS)
        unknown = encoding.patient_matrix(nobody, self.factors)  # (DRAWS, factors)
        self._sums: list[list[_Sum]] = []
        for name in self.spec.outcomes.names:
            beta = -prior.coefficients(name)
            by_regimen: dict[str | None, list[int]] = {}
            for j, term in enumerate(prior.terms):
                if beta[:, j].any():
                    by_regimen.setdefault(encoding.terms[term][1], []).append(j)
            sums = []
            for regimen, members in by_regimen.items():
                rows: list[int] = []
                weights: list[Array] = []
                terms: dict[str, Single] = {}
                for j in members:
                    factor = encoding.terms[prior.terms[j]][0]
                    if factor is None:
                        rows.append(2 * len(self.factors))
                        weights.append(beta[:, j])
                        continue
                    rows += [at[factor], len(self.factors) + at[factor]]
                    weights += [beta[:, j], beta[:, j] * unknown[:, at[factor]]]
                    terms[factor] = beta[:, j].astype(np.float32)
                sums.append(_Sum(regimen, np.array(rows), np.stack(weights).astype(np.float32), terms))
            self._sums.append(sums)

    def pooled(self, patients: Patients, regimens: Sequence[Regimen]) -> Array:
        """Logit of the probability averaged over draws, every patient under every regimen; shape (n, o, r)."""
        chances = np.empty((patients.n, len(self._sums), len(regimens)))
        inputs, drawn = self._inputs(patients)
        most = max(len(sums) for sums in self._sums)
        room = np.empty((most + len(regimens), _SLICE * DRAWS), dtype=np.float32)
        for o, sums in enumerate(self._sums):
            used, right, same = self._regimens(sums, regimens)
            steps = _products(right)
            for start in range(0, patients.n, _SLICE):
                stop = min(start + _SLICE, patients.n)
                summed = room[: len(used), : (stop - start) * DRAWS]
                answers = room[len(used) : len(used) + len(right), : (stop - start) * DRAWS]
                self._sum(used, inputs[:, start:stop], drawn, start, summed.reshape(len(used), -1, DRAWS))
                chances[start:stop, o] = _averaged(right, steps, summed, answers)[same].T
        np.clip(chances, _EDGE, 1 - _EDGE, out=chances)
        return np.asarray(np.log(chances) - np.log1p(-chances))

    def _regimens(
        self, sums: Sequence[_Sum], regimens: Sequence[Regimen]
    ) -> tuple[list[_Sum], Single, NDArray[np.intp]]:
        """Sums that count under any regimen, different rows of their regimen factors, and each regimen's row."""
        named = [s.regimen for s in sums if s.regimen is not None]
        values = iter(self.spec.encoding.regimen_matrix(regimens, named).T)
        columns = [np.ones(len(regimens)) if s.regimen is None else next(values) for s in sums]
        count = [bool(c.any()) for c in columns]
        matrix = np.stack([c for c, counts in zip(columns, count, strict=True) if counts], axis=1)
        right, same = np.unique(matrix, axis=0, return_inverse=True)
        used = [s for s, counts in zip(sums, count, strict=True) if counts]
        return used, right.astype(np.float32), same.reshape(-1)

    def _inputs(self, patients: Patients) -> tuple[Single, list[_Drawn]]:
        """What each patient factor is, for the sums over terms.

        Returns
        -------
        array, shape (2 * factors + 1, n)
            Values, 0 where unknown; then 1 where nothing bears on the factor; then 1 throughout.
        list
            Completions of what is unknown although something that bears on it is known.
        """
        n, count = patients.n, len(self.factors)
        values = self.spec.encoding.patient_matrix(patients, self.factors).T
        unsettled = np.isnan(values)
        inputs = np.empty((2 * count + 1, n), dtype=np.float32)
        inputs[:count] = np.where(unsettled, 0.0, values)
        inputs[2 * count] = 1.0
        known = {name: patients.known(name) for f in self.factors for name in self._sources[f]}
        partly: dict[frozenset[str], list[int]] = {}
        touched = np.zeros((count, n), dtype=bool)
        for j, factor in enumerate(self.factors):
            for name in self._sources[factor]:
                touched[j] |= known[name]
            if (unsettled[j] & touched[j]).any():
                partly.setdefault(self._sources[factor], []).append(j)
        inputs[count : 2 * count] = unsettled & ~touched
        drawn: list[_Drawn] = []
        for sources, members in partly.items():
            drawn += self._draw(patients, sources, members, unsettled & touched)
        return inputs, drawn

    def _draw(
        self, patients: Patients, sources: frozenset[str], members: Sequence[int], wanted: NDArray[np.bool_]
    ) -> list[_Drawn]:
        rows = np.flatnonzero(wanted[members].any(axis=0))
        some = patients.take(rows)
        columns = [c for name in sorted(sources) for c in self.spec.fields[name].columns]
        first, which = _alike([some[c] for c in columns])
        case_mix = self.prior.parameters.case_mix
        names = [self.factors[j] for j in members]
        made = np.empty((len(members), len(first), DRAWS), dtype=np.float32)
        for start in range(0, len(first), _COMPLETED):
            part = some.take(first[start : start + _COMPLETED])
            completed = case_mix.complete(part, DRAWS, only=sources)
            values = self.spec.encoding.patient_matrix(completed, names)
            made[:, start : start + part.n] = values.T.reshape(len(members), part.n, DRAWS)
        found = []
        for i, j in enumerate(members):
            here = wanted[j, rows]
            found.append(_Drawn(names[i], rows[here], made[i], which[here]))
        return found

    def _sum(self, used: Sequence[_Sum], inputs: Single, drawn: Sequence[_Drawn], start: int, summed: Single) -> None:
        """Write the log-odds with their sign changed, by regimen factor, to an array (sums, n, DRAWS)."""
        stop = start + inputs.shape[1]
        for k, s in enumerate(used):
            np.dot(inputs[s.rows].T, s.weights, out=summed[k])  # of one row, `matmul` is five times slower
        for d in drawn:
            low, high = np.searchsorted(d.rows, (start, stop))
            if low == high:
                continue
            rows, values = d.rows[low:high] - start, d.values[d.which[low:high]]
            for k, s in enumerate(used):
                if d.factor in s.terms:
                    summed[k, rows] += values * s.terms[d.factor]


#: Regimen made, regimen it starts from (None: from one), and factors by which that is multiplied.
_Step = tuple[int, int | None, tuple[int, ...]]


def _products(right: Single) -> list[_Step] | None:
    """Order in which the regimens' odds are multiplied; None when a regimen takes part of a factor."""
    if not np.isin(right, (0.0, 1.0)).all():
        return None
    sets = [frozenset(np.flatnonzero(row).tolist()) for row in right]
    order = sorted(range(len(sets)), key=lambda j: len(sets[j]))
    steps: list[_Step] = []
    for i, j in enumerate(order):
        smaller = [h for h in order[:i] if sets[h] <= sets[j]]
        before = max(smaller, key=lambda h: len(sets[h]), default=None)
        steps.append((j, before, tuple(sorted(sets[j] - (sets[before] if before is not None else frozenset())))))
    return steps


def _averaged(right: Single, steps: list[_Step] | None, summed: Single, answers: Single) -> Array:
    """Probabilities averaged over draws, shape (r, n); both arrays are written over."""
    if steps is None:
        np.matmul(right, summed, out=answers)
        np.clip(answers, -_LARGEST, _LARGEST, out=answers)
        np.exp(answers, out=answers)
    else:
        # Within these bounds no product of a few is infinite times zero.
        np.clip(summed, -_LARGEST / 4, _LARGEST / 4, out=summed)
        np.exp(summed, out=summed)
        for made, before, factors in steps:
            first = answers[before] if before is not None else summed[factors[0]] if factors else None
            rest = factors if before is not None else factors[1:]
            if first is None:
                answers[made] = 1.0
            elif not rest:
                answers[made] = first
            else:
                np.multiply(first, summed[rest[0]], out=answers[made])
                for k in rest[1:]:
                    answers[made] *= summed[k]
    answers += 1.0
    np.reciprocal(answers, out=answers)
    shares = answers.reshape(len(right), -1, DRAWS) @ np.full(DRAWS, 1 / DRAWS, dtype=np.float32)
    return np.asarray(shares, dtype=np.float64)


def _alike(columns: Sequence[Array]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First row of each different combination of values, and each row's combination; unknowns are alike."""
    key = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        different, codes = np.unique(column, return_inverse=True)
        # Made dense again after each column, so that the product never overflows.
        _, key = np.unique(key * (len(different) + 1) + codes, return_inverse=True)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return first, which

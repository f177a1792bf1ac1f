"""Who is given what: a choice by indication, by site and by year, so that regimens are confounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Attribute

from features import Patients, Regimen, Specification
from features.encoding import Encoding
from features.field import Frozen

Matrix = NDArray[np.float64]


class Utility(Frozen):
    """What speaks for one part of a regimen, on the log-odds scale.

    Attributes
    ----------
    per_year
        Change per calendar year from the middle of the accrual.
    terms
        Per unit of a patient factor as it was known when the choice was made.
    """

    base: float
    per_year: float = 0.0
    terms: dict[str, float] = {}


class Pair(Frozen):
    """What speaks for a backbone and a biologic together."""

    backbone: str
    biologic: str
    shift: float


class Treatment(Frozen):
    """The multinomial choice among all regimens.

    Attributes
    ----------
    habit_sd
        Spread of each site's liking for each part.
    planned_weeks
        Shares of planned durations.
    """

    habit_sd: float
    backbones: dict[str, Utility]
    biologics: dict[str, Utility]
    pairs: tuple[Pair, ...]
    planned_weeks: dict[int, float] = Attribute(min_length=1)

    def complaints(self, spec: Specification, factors: frozenset[str]) -> list[str]:
        """Every entry that does not fit the specification."""
        found: list[str] = []
        declared = (
            ("backbone", self.backbones, {b.name for b in spec.regimens.backbones}),
            ("biologic", self.biologics, {b.name for b in spec.regimens.biologics}),
        )
        for kind, utilities, known in declared:
            found += [f"treatment: unknown {kind} {name}" for name in utilities if name not in known]
            found += [f"treatment: {kind} {name} has no utility" for name in sorted(known - set(utilities))]
            for name, utility in utilities.items():
                found += [f"treatment: {name}: unknown patient factor {t}" for t in utility.terms if t not in factors]
        for pair in self.pairs:
            if pair.backbone not in self.backbones or pair.biologic not in self.biologics:
                found.append(f"treatment: unknown pair {pair.backbone} + {pair.biologic}")
        return found

    def log_odds(
        self,
        seen: Patients,
        encoding: Encoding,
        years: NDArray[np.float64],
        habits: Matrix,
        confounding: float,
    ) -> Matrix:
        """Utility of every regimen, in the specification's order.

        Parameters
        ----------
        seen
            Patients as known when the choice was made; an unknown factor counts as zero.
        years
            Calendar years from the middle of the accrual, shape (n,).
        habits
            Each patient's site's liking for each part, shape (n, backbones + biologics).
        confounding
            Multiplies what the patient's state contributes; 0 chooses regardless of the patient.

        Returns
        -------
        (n, r) array
        """
        parts = {**self.backbones, **self.biologics}
        names = sorted({t for utility in parts.values() for t in utility.terms})
        state = np.nan_to_num(encoding.patient_matrix(seen, names))
        # Each state's mean effect stays in place of it, so that shares of regimens survive any strength.
        spread = (state - state.mean(axis=0)) * confounding + state.mean(axis=0)
        worth = {}
        for j, (name, utility) in enumerate(parts.items()):
            weights = np.array([utility.terms.get(t, 0.0) for t in names])
            worth[name] = utility.base + utility.per_year * years + spread @ weights + habits[:, j]
        shifts = {(p.backbone, p.biologic): p.shift for p in self.pairs}
        columns = [worth[r.backbone] + worth[r.biologic] + shifts.get(r.key, 0.0) for r in seen.spec.regimens.all()]
        return np.column_stack(columns)

    def choose(self, log_odds: Matrix, rng: np.random.Generator) -> NDArray[np.intp]:
        """Position of the regimen chosen for each patient, by the largest utility plus Gumbel noise."""
        return np.argmax(log_odds + rng.gumbel(size=log_odds.shape), axis=1)

    def weeks(self, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Planned weeks before the first decision about surgery, shape (n,)."""
        shares = np.array(list(self.planned_weeks.values()), dtype=np.float64)
        return rng.choice(np.array(list(self.planned_weeks), dtype=np.intp), size=n, p=shares / shares.sum())


def for_weeks(regimens: Sequence[Regimen], weeks: int, spec: Specification) -> tuple[Regimen, ...]:
    """The same regimens with the number of cycles nearest to the planned weeks."""
    cycle = {b.name: b.cycle_weeks for b in spec.regimens.backbones}
    return tuple(
        spec.regimens.regimen(r.backbone, r.biologic, max(1, round(weeks / cycle[r.backbone]))) for r in regimens
    )

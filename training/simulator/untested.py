"""What nobody had tested when the regimen was chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from features import Patients, Specification
from features.encoding import Encoding
from features.field import Frozen

Column = NDArray[np.float64]


class Untested(Frozen):
    """How often one field carries a code that means "not known".

    Attributes
    ----------
    percent
        Range of the share of rows.
    codes
        Shares of the codes written instead.
    per_year, terms
        Shift of the log-odds by calendar year and by patient factors.
    """

    field: str
    percent: tuple[float, float]
    codes: dict[str, float]
    per_year: float = 0.0
    terms: dict[str, float] = {}

    def complaints(self, spec: Specification, factors: frozenset[str]) -> list[str]:
        """Every entry that does not fit the specification."""
        field = spec.fields.get(self.field)
        if field is None:
            return [f"untested: unknown field {self.field}"]
        found = [
            f"untested {self.field}: {c} does not mean not known" for c in self.codes if c not in field.unknown_codes
        ]
        return found + [f"untested {self.field}: unknown patient factor {t}" for t in self.terms if t not in factors]


def seen_at_start(
    patients: Patients, untested: Sequence[Untested], encoding: Encoding, years: Column, rng: np.random.Generator
) -> Patients:
    """The patients as they were known when the regimen was chosen."""
    hidden: dict[str, Column] = {}
    for part in untested:
        share = rng.uniform(*part.percent) / 100.0
        names = list(part.terms)
        shift = part.per_year * years
        if names:
            shift = shift + np.nan_to_num(encoding.patient_matrix(patients, names)) @ np.array(
                list(part.terms.values())
            )
        blind = rng.random(patients.n) < at_rate(share, shift)
        codes = list(patients.spec.fields[part.field].codes)
        positions = np.array([codes.index(c) for c in part.codes], dtype=np.float64)
        shares = np.array(list(part.codes.values()))
        written = rng.choice(positions, size=patients.n, p=shares / shares.sum())
        hidden[part.field] = np.where(blind, written, patients[part.field])
    return patients.replace(hidden)


def at_rate(rate: float, shift: Column) -> Column:
    """Probabilities with the given mean that differ by the given log-odds, shape (n,)."""
    if rate <= 0.0 or rate >= 1.0 or not len(shift):
        return np.full_like(shift, np.clip(rate, 0.0, 1.0))
    base = brentq(lambda a: float(expit(a + shift).mean()) - rate, logit(rate) - 30, logit(rate) + 30)
    return expit(base + shift)

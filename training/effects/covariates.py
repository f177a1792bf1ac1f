"""What regimens are adjusted for: everything known of a patient before cycle 1, the site and the calendar year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import INTERCEPT, Regimen, Specification
from training.bundle.effect import describe
from training.effects.declared import RegimenPart, components, labels
from training.registry import Cohort

Array = NDArray[np.float64]
_LEAST_MISSING = 10  # an indicator of fewer patients tells nothing
_YEAR = 365.25


@dataclass(frozen=True)
class Table:
    """Covariates of n patients and the regimens they could have received.

    Attributes
    ----------
    matrix, names
        Standardised covariates without missing values, shape (n, p).
    received
        Position of the backbone and of the biologic that each patient received, shape (n, 2).
    regimens
        Columns for the received regimen, shape (n, q): indicators of each component but the most frequent, and
        planned weeks. They are adjusted for where they are not what is compared; `of_part` tells which.
    of_part
        The part to which each of these columns belongs, None for planned weeks.
    """

    spec: Specification
    matrix: Array
    names: tuple[str, ...]
    received: NDArray[np.intp]
    regimens: Array
    regimen_names: tuple[str, ...]
    of_part: tuple[RegimenPart | None, ...]

    def beside(self, part: RegimenPart) -> tuple[Array, tuple[str, ...]]:
        """Everything that is adjusted for when arms differ in `part`, with names."""
        columns = [j for j, p in enumerate(self.of_part) if p is not part]
        names = (*self.names, *(self.regimen_names[j] for j in columns))
        return np.hstack([self.matrix, self.regimens[:, columns]]), names


def tabulate(cohort: Cohort, spec: Specification) -> Table:
    """Build the covariates of a cohort.

    Notes
    -----
    A missing factor takes the median and an indicator; factors with many values also enter squared.
    """
    values = spec.encoding.patient_matrix(cohort.patients, spec.encoding.learned)
    columns, names = _factors(values, [describe(spec, factor) for factor in spec.encoding.learned])
    sites = np.unique(cohort.site)
    if len(sites) > 1:
        columns += [(cohort.site == s).astype(np.float64) for s in sites]
        names += [f"site {s}" for s in sites]
    years = cohort.index_date.astype("datetime64[D]").astype(np.float64) / _YEAR
    columns += [years - years.mean(), (years - years.mean()) ** 2]
    names += ["calendar year", "calendar year, squared"]
    kept = _distinct(columns)
    matrix = standardised(np.column_stack([columns[j] for j in kept]))
    received = np.column_stack([_positions(cohort.regimens, spec, part) for part in RegimenPart])
    regimens, regimen_names, of_part = _received(cohort.regimens, received, spec)
    return Table(spec, matrix, tuple(names[j] for j in kept), received, regimens, regimen_names, of_part)


def standardised(matrix: Array) -> Array:
    """Columns with mean 0 and standard deviation 1; a constant column becomes 0."""
    spread = matrix.std(axis=0)
    return (matrix - matrix.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


@dataclass(frozen=True)
class Arms:
    """Terms of the encoding that involve the regimen, under any component of one part, the other as received.

    Attributes
    ----------
    patient
        Patient part of each term, 0 where not known, shape (n, t).
    """

    spec: Specification
    terms: tuple[str, ...]
    patient: Array
    regimens: tuple[Regimen, ...]

    @classmethod
    def of(cls, cohort: Cohort, spec: Specification) -> Arms:
        """Terms of a cohort."""
        terms = tuple(t for t, (_, regimen) in spec.encoding.terms.items() if regimen is not None and t != INTERCEPT)
        left = spec.encoding.patient_part(cohort.patients, terms)
        return cls(spec, terms, np.nan_to_num(left), cohort.regimens)

    def received(self) -> Array:
        """Values under the regimen received, shape (n, t)."""
        return self.patient * self._rows({r: r for r in set(_keys(self.regimens))})

    def under(self, part: RegimenPart, component: str) -> Array:
        """Values had everyone received one backbone (or biologic) for as many weeks as planned, shape (n, t)."""
        return self.patient * self._rows({k: _exchanged(k, part, component) for k in set(_keys(self.regimens))})

    def _rows(self, given: dict[tuple[str, str, int], tuple[str, str, int]]) -> Array:
        cycle = {b.name: b.cycle_weeks for b in self.spec.regimens.backbones}
        wanted = list(dict.fromkeys(given.values()))
        made = [self.spec.regimens.regimen(b, a, max(1, round(weeks / cycle[b]))) for b, a, weeks in wanted]
        table = self.spec.encoding.regimen_part(made, self.terms)
        at = {key: i for i, key in enumerate(wanted)}
        return table[[at[given[k]] for k in _keys(self.regimens)]]


def _exchanged(key: tuple[str, str, int], part: RegimenPart, component: str) -> tuple[str, str, int]:
    backbone, biologic, weeks = key
    return (component, biologic, weeks) if part is RegimenPart.BACKBONE else (backbone, component, weeks)


def _keys(regimens: Sequence[Regimen]) -> list[tuple[str, str, int]]:
    return [(r.backbone, r.biologic, r.planned_weeks) for r in regimens]


def _factors(values: Array, factors: Sequence[str]) -> tuple[list[Array], list[str]]:
    columns: list[Array] = []
    names: list[str] = []
    for name, column in zip(factors, values.T, strict=True):
        unknown = np.isnan(column)
        if unknown.all():
            continue
        filled = np.where(unknown, np.nanmedian(column), column)
        columns.append(filled)
        names.append(name)
        if len(np.unique(filled)) > 2:
            columns.append((filled - filled.mean()) ** 2)
            names.append(f"{name}, squared")
        if unknown.sum() >= _LEAST_MISSING:
            columns.append(unknown.astype(np.float64))
            names.append(f"{name} not known")
    return columns, names


def _distinct(columns: Sequence[Array]) -> list[int]:
    # Factors of one field are missing together; the same indicator twice would be penalised half.
    seen: set[bytes] = set()
    kept = []
    for j, column in enumerate(columns):
        key = column.tobytes()
        if key not in seen and column.std() > 0:
            seen.add(key)
            kept.append(j)
    return kept


def _positions(regimens: Sequence[Regimen], spec: Specification, part: RegimenPart) -> NDArray[np.intp]:
    at = {name: i for i, name in enumerate(components(spec, part))}
    return np.array([at[r.key[part]] for r in regimens], dtype=np.intp)


def _received(
    regimens: Sequence[Regimen], received: NDArray[np.intp], spec: Specification
) -> tuple[Array, tuple[str, ...], tuple[RegimenPart | None, ...]]:
    columns: list[Array] = [np.log2(np.array([r.planned_weeks for r in regimens], dtype=np.float64))]
    names, parts = ["planned weeks"], [None]
    of_part: list[RegimenPart | None] = list(parts)
    for part in RegimenPart:
        counts = np.bincount(received[:, part], minlength=len(components(spec, part)))
        for c, name in enumerate(labels(spec, part)):
            if counts[c] and c != counts.argmax():
                columns.append((received[:, part] == c).astype(np.float64))
                names.append(name)
                of_part.append(part)
    return standardised(np.column_stack(columns)), tuple(names), tuple(of_part)

"""A profile: what a model's training patients looked like, without any of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from features import Field, Kind, Patients, Regimen, Specification
from features.field import Frozen

Array = NDArray[np.float64]
SHOWN = 5  # DOMAIN 3.2: cells below 5 are suppressed, so that no patient can be singled out
LEAST = 50  # patients without whom a profile says nothing
_CELLS = 5  # fifths: with ten cells and 100 patients chance alone reaches the index that alerts
_DIGITS = 2


class ProfileRefused(ValueError):
    """No profile can be made, or the one given does not fit; the message says why and what to do."""


class ColumnProfile(Frozen):
    """One coded column.

    Attributes
    ----------
    missing
        Share of patients of whom it was not known.
    edges
        Of a number: inner edges of its fifths, rounded so that none is a patient's value.
    groups
        Of anything coded: positions of the codes that share a cell; codes of fewer than 5 patients share one.
    shares
        Share of the known in each cell.
    unusual
        Of a number: share of the known outside the usual range.
    """

    field: str
    column: str
    known: int
    missing: float
    edges: tuple[float, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    shares: tuple[float, ...] = ()
    mean: float | None = None
    sd: float | None = None
    unusual: float | None = None


class RegimenProfile(Frozen):
    """Share of patients who started a backbone with a biologic; only of 5 patients or more."""

    backbone: str
    biologic: str
    share: float


class PredictionProfile(Frozen):
    """Mean and standard deviation of the predictions of an outcome."""

    outcome: str
    mean: float
    sd: float


class Profile(Frozen):
    """The reference that later patients are compared with.

    Attributes
    ----------
    source
        Whose patients these were, in words.
    """

    format: int = 1
    source: str
    spec_digest: str
    patients: int
    columns: tuple[ColumnProfile, ...]
    regimens: tuple[RegimenProfile, ...]
    predictions: tuple[PredictionProfile, ...] = ()


def profile(
    patients: Patients,
    regimens: Sequence[Regimen],
    predictions: Mapping[str, Array] | None = None,
    source: str = "the patients the model learned from",
) -> Profile:
    """Describe patients as the monitor compares them.

    Parameters
    ----------
    predictions
        P(outcome | given) of each patient under the regimen started, by outcome, shape (n,).

    Raises
    ------
    ProfileRefused
        When there are too few patients to compare with.
    """
    if patients.n < LEAST:
        raise ProfileRefused(f"{patients.n} patients are too few to compare with; at least {LEAST} are needed")
    spec = patients.spec
    counts = Counter(r.key for r in regimens)
    return Profile(
        source=source,
        spec_digest=spec.digest,
        patients=patients.n,
        columns=tuple(_column(patients, field, column) for field in watched_fields(spec) for column in field.columns),
        regimens=tuple(
            RegimenProfile(backbone=backbone, biologic=biologic, share=round(n / patients.n, 4))
            for (backbone, biologic), n in sorted(counts.items())
            if n >= SHOWN
        ),
        predictions=tuple(
            PredictionProfile(outcome=name, mean=round(float(p.mean()), 5), sd=round(float(p.std(ddof=1)), 5))
            for name, p in (predictions or {}).items()
        ),
    )


def watched_fields(spec: Specification) -> tuple[Field, ...]:
    """Fields whose values are compared: what a clinician is asked for."""
    return tuple(f for f in spec.asked if f.kind not in (Kind.TEXT, Kind.DATE))


def cells(column: ColumnProfile, values: Array) -> NDArray[np.int64]:
    """How many known values fall in each cell of a profile, shape of its `shares`."""
    if column.groups:
        counted = np.bincount(values.astype(int), minlength=1 + max(max(g, default=0) for g in column.groups))
        return np.array([counted[list(group)].sum() for group in column.groups], dtype=np.int64)
    return np.bincount(np.searchsorted(column.edges, values, side="right"), minlength=len(column.edges) + 1)


def unusual_share(field: Field, values: Array) -> float | None:
    """Share of known values outside the usual range; None when there is none."""
    if field.usual is None or not len(values):
        return None
    odd = (values < field.usual[0]) | (values > field.usual[1])
    return float((odd & ~np.isin(values, list(field.special))).mean())


def _column(patients: Patients, field: Field, name: str) -> ColumnProfile:
    known = patients.known(field.name)
    values = patients[name][known]
    missing = patients.n - len(values)
    made = ColumnProfile(
        field=field.name,
        column=name,
        known=len(values) if min(missing, len(values)) >= SHOWN or missing == 0 else patients.n,
        # A handful of patients with or without a value is told as none.
        missing=0.0 if missing < SHOWN else 1.0 if len(values) < SHOWN else round(missing / patients.n, 4),
    )
    if len(values) < LEAST:
        return made
    if field.numeric:
        ordinary = values[~np.isin(values, list(field.special))]
        quantiles = np.quantile(ordinary, np.arange(1, _CELLS) / _CELLS)
        edges = tuple(dict.fromkeys(_rounded(q, field.kind is Kind.INTEGER) for q in quantiles))
        update: dict[str, object] = {"edges": edges}
        unusual = unusual_share(field, values) or 0.0
        update["mean"], update["sd"] = round(float(ordinary.mean()), 4), round(float(ordinary.std(ddof=1)), 4)
        update["unusual"] = round(unusual, 4) if unusual * len(values) >= SHOWN else 0.0
    else:
        size = len(field.codes) if field.kind is Kind.CATEGORY else 2
        update = {"groups": _groups(np.bincount(values.astype(int), minlength=size))}
    made = made.model_copy(update=update)
    counted = cells(made, values)
    if field.numeric and counted.min() < SHOWN:
        return made.model_copy(update={"edges": ()})
    return made.model_copy(update={"shares": tuple(round(float(c) / len(values), 4) for c in counted)})


def _rounded(value: float, whole: bool) -> float:
    # Between two whole numbers, so that no edge is itself a value that patients share.
    return float(np.floor(value) + 0.5) if whole else float(f"{value:.{_DIGITS}g}")


def _groups(counted: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    own = [i for i, n in enumerate(counted) if n >= SHOWN]
    rest = [i for i, n in enumerate(counted) if n < SHOWN]
    if rest and 0 < counted[rest].sum() < SHOWN and own:
        rest.append(own.pop(int(np.argmin(counted[own]))))
    return tuple((i,) for i in own) + ((tuple(sorted(rest)),) if rest else ())

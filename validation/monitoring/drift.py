"""Drift of what goes in and what comes out: missing inputs, distributions, regimens and mean predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, hypergeom

from features import Patients, Regimen
from features.facts import regimen_facts
from features.flag import FlagCatalogue
from validation.monitoring.findings import Severity
from validation.monitoring.profile import ColumnProfile, Profile, cells, unusual_share
from validation.monitoring.thresholds import InputThresholds

Array = NDArray[np.float64]
_QUESTIONS = 3  # of each column: is it missing, unusual, or distributed otherwise


@dataclass(frozen=True)
class Rise:
    """A share now and in the reference, and how unlikely so high a share is by chance."""

    now: float
    reference: float
    p: float
    severity: Severity


@dataclass(frozen=True)
class Shift:
    """A distribution against its reference.

    Attributes
    ----------
    psi
        Population stability index; None where there is nothing to compare.
    p
        Chance of so large an index when nothing changed.
    standardised
        Difference of means in standard deviations of the reference; None unless a number.
    """

    psi: float | None
    p: float | None
    standardised: float | None
    severity: Severity


@dataclass(frozen=True)
class InputDrift:
    """One column of the inputs.

    Attributes
    ----------
    code
        The option of a multiple choice; None for the field itself.
    """

    field: str
    label: str
    code: str | None
    known: int
    missing: Rise
    unusual: Rise | None
    shift: Shift

    @property
    def severity(self) -> Severity:
        """The worst of its parts."""
        parts = [self.missing.severity, self.shift.severity]
        parts += [self.unusual.severity] if self.unusual is not None else []
        return max(parts)


def input_drift(patients: Patients, reference: Profile, limits: InputThresholds) -> tuple[InputDrift, ...]:
    """Compare every input with the reference.

    Notes
    -----
    A rise of missing values is shown from 10 points or p < 0.001, an index from 0.2 (DOMAIN 6.1). With tens of
    patients and dozens of fields these alone would cry wolf each month, so that an alert also needs `least` patients
    and a chance below `family` shared out over every question asked (Bonferroni).
    """
    columns = [c for c in reference.columns if c.field in patients.spec.fields and c.column in patients.spec.columns]
    enough = limits.family / max(_QUESTIONS * len(columns), 1)
    return tuple(_input(patients, c, reference.patients, limits, enough) for c in columns)


def _input(patients: Patients, column: ColumnProfile, n: int, limits: InputThresholds, enough: float) -> InputDrift:
    field = patients.spec.fields[column.field]
    known = patients.known(field.name)
    values = patients[column.column][known]
    code = column.column.partition("=")[2]
    unusual = None
    odd = unusual_share(field, values)
    if odd is not None and column.unusual is not None:
        unusual = _rise(odd, len(values), column.unusual, column.known, limits, enough)
    return InputDrift(
        field=field.name,
        label=f"{field.label}: {field.codes[code]}" if code else field.label,
        code=code or None,
        known=len(values),
        missing=_rise(float((~known).mean()) if patients.n else 0.0, patients.n, column.missing, n, limits, enough),
        unusual=unusual,
        shift=_shift(column, values, limits, enough, [float(s) for s in field.special]),
    )


def _rise(now: float, n: int, before: float, m: int, limits: InputThresholds, enough: float) -> Rise:
    k, held = round(now * n), round(before * m)
    p = float(hypergeom.sf(k - 1, n + m, k + held, n)) if n and k > before * n else 1.0
    severity = Severity.OK
    if (now - before >= limits.missing_points and p < 0.5) or p < limits.missing_p:
        severity = Severity.ALERT if n >= limits.least and p < enough else Severity.SHOW
    return Rise(now, before, p, severity)


def _shift(
    column: ColumnProfile, values: Array, limits: InputThresholds, enough: float, special: Sequence[float]
) -> Shift:
    standardised = None
    ordinary = values[~np.isin(values, special)]
    if column.mean is not None and column.sd and len(ordinary):
        standardised = float((ordinary.mean() - column.mean) / column.sd)
    if len(column.shares) < 2 or not len(values):
        return Shift(None, None, standardised, Severity.OK)
    index, p = stability(np.array(column.shares), column.known, cells(column, values))
    severity = Severity.OK
    if index > limits.psi:
        severity = Severity.ALERT if len(values) >= limits.least and p < enough else Severity.SHOW
    return Shift(index, p, standardised, severity)


def stability(shares: Array, n: int, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Population stability index of counts against shares of `n` reference patients, and its chance.

    Without change the index is near chi-squared over the harmonic sample size (Yurdakul and Naranjo, Journal of Risk
    Model Validation 2020;14(4)): E = (cells - 1)(1/n + 1/m). Half a patient is added to every cell, so that an empty
    cell has an index.
    """
    m = int(counts.sum())
    before = (shares * n + 0.5) / (n + 0.5 * len(shares))
    now = (counts + 0.5) / (m + 0.5 * len(counts))
    index = float(((now - before) * np.log(now / before)).sum())
    return index, float(chi2.sf(index / (1 / n + 1 / m), len(shares) - 1))


@dataclass(frozen=True)
class MixShare:
    """One regimen's share of those started, now and in the reference (None: fewer than 5 patients had it)."""

    label: str
    patients: int
    now: float
    reference: float | None
    severity: Severity


def regimen_mix(regimens: Sequence[Regimen], reference: Profile, limits: InputThresholds) -> tuple[MixShare, ...]:
    """Compare which regimens are started; one that the reference hardly holds and 5% now start is new practice."""
    held = {(r.backbone, r.biologic): r.share for r in reference.regimens}
    labels = {r.key: r.label for r in regimens}
    counts = Counter(r.key for r in regimens)
    found = []
    for key, n in counts.most_common():
        now, before = n / len(regimens), held.get(key)
        severity = Severity.OK
        if now >= limits.new_regimen and (before or 0.0) < limits.known_regimen:
            severity = Severity.ALERT if len(regimens) >= limits.least else Severity.SHOW
        found.append(MixShare(labels[key], n, now, before, severity))
    return tuple(found)


def contraindicated(
    catalogue: FlagCatalogue,
    facts: Sequence[Mapping[str, object]],
    regimens: Sequence[Regimen],
    unknown_codes: Mapping[str, tuple[str, ...]],
    region: str,
) -> dict[str, int]:
    """Patients who started a regimen with a contraindicated flag, by the flag's text."""
    found: Counter[str] = Counter()
    for about, regimen in zip(facts, regimens, strict=True):
        (flags,) = catalogue.evaluate(about, [regimen_facts(regimen)], region, unknown_codes)
        found.update(f.text for f in flags if f.severity == "contraindicated" and f.status == "present")
    return dict(found)


@dataclass(frozen=True)
class PredictionDrift:
    """Mean prediction of an outcome now and in the reference; `z` in standard errors of their difference."""

    outcome: str
    patients: int
    mean: float
    reference: float
    z: float
    severity: Severity


def prediction_drift(
    predictions: Mapping[str, Array], reference: Profile, limits: InputThresholds, headline: frozenset[str]
) -> tuple[PredictionDrift, ...]:
    """Compare mean predictions; only headline outcomes alert, the others are shown."""
    found = []
    for held in reference.predictions:
        p = predictions.get(held.outcome)
        p = None if p is None else p[~np.isnan(p)]
        if p is None or not len(p) or held.sd <= 0:
            continue
        z = float((p.mean() - held.mean) / (held.sd * np.sqrt(1 / len(p) + 1 / reference.patients)))
        severity = Severity.OK
        if abs(z) > limits.sigma:
            severity = Severity.ALERT if held.outcome in headline else Severity.SHOW
        found.append(PredictionDrift(held.outcome, len(p), float(p.mean()), held.mean, z, severity))
    return tuple(found)

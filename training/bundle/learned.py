"""Learned models as data: a logistic regression in JSON, a booster in XGBoost's UBJ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from features import Patients, Regimen, Specification
from features.field import Frozen
from training.bundle.trees import FEW, Trees

Array = NDArray[np.float64]


class MissingBaseMargin(ValueError):
    """A booster that starts from the prior was asked to predict without it."""


class Learned(Protocol):
    """A learned model of one outcome given its parent."""

    def log_odds(self, patients: Patients, regimens: Sequence[Regimen], base_margin: Array | None) -> Array:
        """Log-odds, shape (n, r)."""
        ...

    def paired(self, patients: Patients, plans: Sequence[Sequence[Regimen]], base_margin: Array) -> Array:
        """Log-odds under p plans with one regimen per patient each, shape (p, n), as is `base_margin`."""
        ...

    @property
    def prior_started(self) -> bool:
        """Whether it adds to the prior's log-odds."""
        ...

    def contributions(self, patient: Patients, regimen: Regimen) -> dict[str, float]:
        """What each patient factor adds to the log-odds of one patient under one regimen."""
        ...


class LogisticParameters(Frozen):
    """A penalised logistic regression in the units of the encoding.

    Attributes
    ----------
    terms, coefficients
        Terms of the encoding and their log odds ratios; a missing patient factor takes its `medians` entry.
    missing
        Log odds ratio of a patient factor not being known.
    """

    intercept: float
    terms: tuple[str, ...]
    coefficients: tuple[float, ...]
    medians: dict[str, float]
    missing: dict[str, float]


class LogisticModel:
    """Evaluates `LogisticParameters`."""

    prior_started = False

    def __init__(self, parameters: LogisticParameters, spec: Specification) -> None:
        self.parameters = parameters
        self.encoding = spec.encoding
        terms = spec.encoding.terms
        stray = [t for t in parameters.terms if t not in terms]
        if stray:
            raise ValueError(f"unknown terms {', '.join(stray)}")
        self._fill = np.array([parameters.medians.get(terms[t][0] or "", 1.0) for t in parameters.terms])
        self._factors = tuple(parameters.missing)

    def log_odds(self, patients: Patients, regimens: Sequence[Regimen], base_margin: Array | None = None) -> Array:
        """Log-odds of every patient under every regimen, shape (n, r); `base_margin` has no part in it."""
        constant, left = self._patient_part(patients)
        return constant[:, None] + left @ self.encoding.regimen_part(regimens, self.parameters.terms).T

    def paired(self, patients: Patients, plans: Sequence[Sequence[Regimen]], base_margin: Array) -> Array:
        """Log-odds under p plans with one regimen per patient each, shape (p, n); `base_margin` has no part in it."""
        constant, left = self._patient_part(patients)
        terms = self.parameters.terms
        return np.stack([constant + (left * self.encoding.regimen_part(p, terms)).sum(axis=1) for p in plans])

    def contributions(self, patient: Patients, regimen: Regimen) -> dict[str, float]:
        """What each patient factor adds to the log-odds of one patient under one regimen."""
        terms = self.parameters.terms
        _, left = self._patient_part(patient)
        added = left[0] * self.encoding.regimen_part([regimen], terms)[0]
        found: dict[str, float] = {}
        for term, value in zip(terms, added.tolist(), strict=True):
            factor = self.encoding.terms[term][0]
            if factor is not None:
                found[factor] = found.get(factor, 0.0) + value
        unknown = np.isnan(self.encoding.patient_matrix(patient, self._factors))[0]
        for factor, missing in zip(self._factors, unknown.tolist(), strict=True):
            found[factor] = found.get(factor, 0.0) + (self.parameters.missing[factor] if missing else 0.0)
        return found

    def _patient_part(self, patients: Patients) -> tuple[Array, Array]:
        left = self.encoding.patient_part(patients, self.parameters.terms)
        left = np.where(np.isnan(left), self._fill, left) * np.array(self.parameters.coefficients)
        unknown = np.isnan(self.encoding.patient_matrix(patients, self._factors))
        return self.parameters.intercept + unknown @ np.array(list(self.parameters.missing.values())), left


class BoosterModel:
    """An XGBoost booster over patient factors, and over regimen terms when it does not start from the prior.

    Parameters
    ----------
    columns
        Patient factors, in the booster's order.
    terms
        Terms that involve the regimen, after the patient factors; empty when the booster learns prognosis only.
    prior_started
        Whether it was trained from a base margin and is meaningless without one.
    start
        Log-odds from which the trees of any other booster start.
    """

    def __init__(
        self,
        raw: bytes,
        columns: Sequence[str],
        terms: Sequence[str],
        prior_started: bool,
        start: float,
        spec: Specification,
    ) -> None:
        self.columns, self.terms = tuple(columns), tuple(terms)
        self.prior_started, self.start = prior_started, start
        self.encoding = spec.encoding
        self._booster = xgb.Booster(params={"nthread": 1})
        self._booster.load_model(bytearray(raw))
        if self._booster.num_features() != len(self.columns) + len(self.terms):
            raise ValueError("the booster's inputs do not match its declared columns")
        try:
            self._trees: Trees | None = Trees(self._booster)
        except ValueError:
            self._trees = None

    def prognosis(self, patients: Patients) -> Array:
        """What the trees add to the base margin, shape (n,); for a prior-started booster."""
        matrix = self.encoding.patient_matrix(patients, self.columns)
        return self._margin(matrix, np.zeros(patients.n))

    def log_odds(self, patients: Patients, regimens: Sequence[Regimen], base_margin: Array | None = None) -> Array:
        """Log-odds of every patient under every regimen.

        Parameters
        ----------
        base_margin
            The prior's log-odds, shape (n, r); required by a prior-started booster.

        Raises
        ------
        MissingBaseMargin
            When a prior-started booster gets none.
        """
        if self.prior_started:
            if base_margin is None:
                raise MissingBaseMargin(
                    "this booster starts from the evidence prior; give its log-odds as base_margin, shape (n, r)"
                )
            return base_margin + self.prognosis(patients)[:, None]
        prognostic = self.encoding.patient_matrix(patients, self.columns)
        left, right = self.encoding.term_factors(patients, regimens, self.terms)
        n, r = patients.n, len(regimens)
        planned = (left[:, None, :] * right[None]).reshape(n * r, len(self.terms))
        matrix = np.hstack([np.repeat(prognostic, r, axis=0), planned])
        return self._margin(matrix, np.full(n * r, self.start)).reshape(n, r)

    def paired(self, patients: Patients, plans: Sequence[Sequence[Regimen]], base_margin: Array) -> Array:
        """Log-odds under p plans with one regimen per patient each, shape (p, n).

        Parameters
        ----------
        base_margin
            The prior's log-odds, shape (p, n); without part in a booster that does not start from the prior.
        """
        if self.prior_started:
            return np.asarray(base_margin + self.prognosis(patients)[None])
        prognostic = self.encoding.patient_matrix(patients, self.columns)
        left = self.encoding.patient_part(patients, self.terms)
        start = np.full(patients.n, self.start)
        return np.stack(
            [
                self._margin(np.hstack([prognostic, left * self.encoding.regimen_part(p, self.terms)]), start)
                for p in plans
            ]
        )

    def contributions(self, patient: Patients, regimen: Regimen) -> dict[str, float]:
        """What each patient factor adds to the log-odds of one patient under one regimen: exact Shapley values."""
        prognostic = self.encoding.patient_matrix(patient, self.columns)
        planned = self.encoding.patient_part(patient, self.terms) * self.encoding.regimen_part([regimen], self.terms)
        matrix = xgb.DMatrix(np.hstack([prognostic, planned]), missing=np.nan, nthread=1)
        added = self._booster.predict(matrix, pred_contribs=True)[0][:-1].astype(float).tolist()
        found = dict(zip(self.columns, added, strict=False))
        for term, value in zip(self.terms, added[len(self.columns) :], strict=True):
            factor = self.encoding.terms[term][0]
            if factor is not None:
                found[factor] = found.get(factor, 0.0) + value
        return found

    def _margin(self, matrix: Array, start: Array) -> Array:
        if self._trees is not None and len(matrix) <= FEW:
            return start + self._trees.sum(matrix)
        added = self._booster.inplace_predict(matrix, base_margin=start, predict_type="margin", missing=np.nan)
        return np.asarray(added, dtype=np.float64)


def save_logistic(path: Path, parameters: LogisticParameters) -> None:
    """Write a logistic regression as JSON."""
    path.write_text(parameters.model_dump_json(indent=1) + "\n", "utf-8")


def save_booster(
    path: Path, raw: bytes, columns: Sequence[str], terms: Sequence[str], prior_started: bool, start: float
) -> None:
    """Write a booster as UBJ beside a JSON file with its columns."""
    path.write_bytes(raw)
    described = {
        "columns": list(columns),
        "terms": list(terms),
        "prior_started": prior_started,
        "start": start,
    }
    path.with_suffix(".json").write_text(json.dumps(described, indent=1) + "\n", "utf-8")


def load_learned(path: Path, spec: Specification) -> Learned:
    """Load a learned model: ``*.ubj`` is a booster, ``*.json`` a logistic regression."""
    if path.suffix == ".ubj":
        described = json.loads(path.with_suffix(".json").read_text("utf-8"))
        return BoosterModel(path.read_bytes(), spec=spec, **described)
    return LogisticModel(LogisticParameters.model_validate_json(path.read_text("utf-8")), spec)

"""Published ranges: what a review states of a population, beside what the prior says of its average patient."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.special import expit

from features import Kind, Patients, Specification
from features.field import Frozen
from training.bundle import Prior
from training.evidence.arms import ArmReader
from training.evidence.held_out import Evidence
from training.evidence.population import everyone, regimen_called
from training.evidence.tables import data_folder

Array = NDArray[np.float64]
SIZE = 256
_BOUNDS = (0.05, 0.5, 0.95)


class PublishedRange(Frozen):
    """One stated range (see published_ranges.yaml), percent."""

    name: str
    outcome: str
    regimens: tuple[str, ...]
    extrahepatic_share: float
    arm: dict[str, str]
    low: float
    high: float
    source: str


class RangeCheck(Frozen):
    """A stated range beside the prior's average, percent, with its 90% interval for a new hospital or study.

    Attributes
    ----------
    patients
        Mean and interval of the prior for patients, averaged over the case mix.
    arms
        The same of the meta-regression, for an arm of that population in a new study.
    """

    stated: PublishedRange
    patients: tuple[float, float, float]
    arms: tuple[float, float, float]

    @property
    def overlaps(self) -> bool:
        """Whether the prior's interval and the stated range overlap."""
        return self.patients[1] <= self.stated.high and self.patients[2] >= self.stated.low


def load_published_ranges() -> tuple[PublishedRange, ...]:
    """Read the stated ranges."""
    raw = yaml.safe_load((data_folder() / "published_ranges.yaml").read_text("utf-8"))
    return tuple(PublishedRange.model_validate(entry) for entry in raw)


def check_ranges(spec: Specification, prior: Prior, evidence: Evidence) -> list[RangeCheck]:
    """Average the prior over the case mix of each stated range."""
    patients = everyone(prior.parameters.case_mix, spec, SIZE)
    found = []
    for stated in load_published_ranges():
        draws = np.sort(_averaged(spec, prior, with_extrahepatic(patients, stated.extrahepatic_share), stated))
        low, _, high = np.quantile(draws, _BOUNDS)
        found.append(
            RangeCheck(
                stated=stated,
                patients=_percent(float(draws.mean()), float(low), float(high)),
                arms=_of_arms(stated, evidence),
            )
        )
    return found


def with_extrahepatic(patients: Patients, share: float) -> Patients:
    """The same patients, of whom a share, evenly spread, has disease outside the liver and nobody else has."""
    outside = {f.of for f in patients.spec.encoding.patient_factors if f.not_only is not None}
    field = next(f for f in patients.spec.fields.values() if f.kind is Kind.CODES and f.exclusive and f.name in outside)
    ill = np.floor(np.arange(1, patients.n + 1) * share) > np.floor(np.arange(patients.n) * share)
    present = np.max([patients[c] for c in field.columns if not c.endswith(f"={field.exclusive}")], axis=0) > 0
    first = next(code for code in field.codes if code != field.exclusive)
    columns: dict[str, Array] = {}
    for code, column in zip(field.codes, field.columns, strict=True):
        if code == field.exclusive:
            columns[column] = 1.0 - ill
        else:
            columns[column] = np.where(ill, np.where(present, patients[column], float(code == first)), 0.0)
    return patients.replace(columns)


def _averaged(spec: Specification, prior: Prior, patients: Patients, stated: PublishedRange) -> Array:
    regimens = [regimen_called(spec, text, 12) for text in stated.regimens]
    chances = [expit(prior.draws(patients, regimens, name)) for name in spec.outcomes.chain(stated.outcome)]
    return np.asarray(np.prod(chances, axis=0).mean(axis=(0, 2)))


def _of_arms(stated: PublishedRange, evidence: Evidence) -> tuple[float, float, float]:
    kind = next(k for k in evidence.vocabulary.kinds if k.outcome == stated.outcome)
    reader = evidence.reader
    row: dict[str, Any] = {"study_id": stated.source, "arm_id": stated.name, "biologic": _nothing(reader), **stated.arm}
    arms = [reader.read({**row, "arm_id": text, "backbone": text, "design": "rct"}) for text in stated.regimens]
    mean, covariance = evidence.full.predict(arms, [kind.name] * len(arms))
    # Arms share their study here, so that the interval is for the mean of a new study.
    center, sd = float(mean.mean()), float(np.sqrt(covariance.mean()))
    low, middle, high = (float(expit(center + z * sd)) for z in (-1.644854, 0.0, 1.644854))
    return _percent(middle, low, high)


def _nothing(reader: ArmReader) -> str:
    return next(b.name for b in reader.spec.regimens.biologics if not b.drugs)


def _percent(*shares: float) -> tuple[float, float, float]:
    a, b, c = (round(100 * s, 1) for s in shares)
    return a, b, c

"""Effect sizes: one row of a published table as a log odds ratio with its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import model_validator
from scipy.special import logit, ndtri
from statsmodels.stats.meta_analysis import combine_effects

from features.field import Frozen
from training.evidence.tables import Cell, Row, Table

RECALLED = 1.5  # rows not re-read at their source carry less weight: their standard error is inflated
LEAST_HETEROGENEITY = 0.15  # judgement: no pool of one or two studies shows that the next hospital would agree
_NORMAL_95, _NORMAL_90 = 1.959964, 1.644854


@dataclass(frozen=True)
class EffectSize:
    """A log odds ratio.

    Attributes
    ----------
    sd
        Standard error, inflated when the row is recalled.
    basis
        ``published``, ``unverified`` (recalled) or ``judgement``.
    """

    value: float
    sd: float
    basis: str
    studies: tuple[str, ...]


@dataclass(frozen=True)
class Pooled:
    """Random-effects pool of effect sizes.

    Attributes
    ----------
    sd
        Of the effect in a new setting: uncertainty of the mean and heterogeneity between studies together.
    heterogeneity
        Standard deviation between studies, at least `LEAST_HETEROGENEITY` unless all is judgement.
    basis
        The one that carries the most weight.
    """

    value: float
    sd: float
    heterogeneity: float
    basis: str
    studies: tuple[str, ...]


class Source(Frozen):
    """Where one effect size comes from: a row, two arms, or a stated range (see contrasts.yaml)."""

    table: str | None = None
    study: str | None = None
    where: dict[str, str] = {}
    exposed: str | None = None
    control: str | None = None
    measure: str | None = None
    baseline: float | None = None
    p_value: float | None = None
    se: float | None = None
    invert: bool = False
    stated: tuple[float, float] | None = None
    studies: tuple[str, ...] = ()
    published: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.table is None) == (self.stated is None):
            raise ValueError("a source is either a row of a table or a stated range")
        if (self.exposed is None) != (self.control is None) or (self.exposed is None) != (self.measure is None):
            raise ValueError("two arms need exposed, control and measure together")
        return self

    def effect_size(self, tables: dict[str, Table]) -> EffectSize:
        """Return the log odds ratio.

        Raises
        ------
        LookupError
            When the table is unknown or not exactly one row fits.
        ValueError
            When the row does not hold what a log odds ratio with a standard error needs.
        """
        if self.stated is not None:
            value, sd = _interval(*self.stated, _NORMAL_90)
            basis = "published" if self.published else "judgement"
            return EffectSize(value, sd, basis, self.studies)
        assert self.table is not None
        if self.table not in tables:
            raise LookupError(f"unknown table {self.table}")
        table, study = tables[self.table], {} if self.study is None else {"study_id": self.study}
        if self.exposed is not None:
            rows = [table.pick(**study, arm_id=arm) for arm in (self.exposed, self.control)]
            value, sd = self._arms(*rows)
        else:
            rows = [table.pick(**study, **self.where)]
            value, sd = self._row(rows[0])
        studies = () if self.study is None else (self.study,)
        if "verified" not in rows[0]:
            return EffectSize(self._sign(value), sd, "judgement", studies)
        recalled = any(r["verified"] != "read" for r in rows)
        sd = sd * RECALLED if recalled else sd
        return EffectSize(self._sign(value), sd, "unverified" if recalled else "published", studies)

    def _sign(self, value: float) -> float:
        return -value if self.invert else value

    def _arms(self, exposed: Row, control: Row) -> tuple[float, float]:
        shares = [_number(r[f"{self.measure}_pct"]) for r in (exposed, control)]
        counts = [_number(r[f"{self.measure}_n"]) for r in (exposed, control)]
        sizes = [_number(r["n_patients"]) for r in (exposed, control)]
        if None in sizes:
            if shares[0] is None or shares[1] is None:
                raise ValueError("the arms hold neither group sizes nor percentages")
            value = float(logit(shares[0] / 100) - logit(shares[1] / 100))
            return value, self._given_error(value)
        events = [
            c if c is not None else None if s is None or n is None else s / 100 * n
            for c, s, n in zip(counts, shares, sizes, strict=True)
        ]
        return _from_counts(events[0], sizes[0], events[1], sizes[1])

    def _row(self, row: Row) -> tuple[float, float]:
        if "quantity" in row:
            if row["scale"] != "odds_ratio":
                raise ValueError("an assumed range is an effect only on the scale of odds ratios")
            return _interval(_needed(row["low"]), _needed(row["high"]), _NORMAL_90)
        effect, low, high = (_number(row[c]) for c in ("effect", "ci_low", "ci_high"))
        if effect is None:
            counts = [_number(row.get(c)) for c in ("events_exposed", "n_exposed", "events_control", "n_control")]
            return _from_counts(*counts)
        kind = str(row["effect_type"])
        value = self._log_odds_ratio(effect, kind)
        if low is None or high is None:
            return value, self._given_error(value)
        bounds = sorted(self._log_odds_ratio(bound, kind) for bound in (low, high))
        return value, (bounds[1] - bounds[0]) / (2 * _NORMAL_95)

    def _log_odds_ratio(self, effect: float, kind: str) -> float:
        if kind.startswith("odds_ratio"):
            return math.log(effect)
        if self.baseline is None:
            raise ValueError(f"a {kind} needs the percent with the event among controls as baseline")
        p = self.baseline / 100
        exposed = p + 1 / effect if kind == "number_needed_to_harm" else p * effect
        return float(logit(min(exposed, 0.99)) - logit(p))

    def _given_error(self, value: float) -> float:
        if self.se is not None:
            return self.se
        if self.p_value is not None:
            return abs(value) / float(-ndtri(self.p_value / 2))
        raise ValueError("the row prints no interval: give p_value or se")


def pool(sizes: Sequence[EffectSize]) -> Pooled:
    """Pool effect sizes with random effects (Paule and Mandel), for the next setting rather than the average one."""
    effect, variance = np.array([s.value for s in sizes]), np.array([s.sd for s in sizes]) ** 2
    tau2 = heterogeneity(effect, variance)
    weights = 1 / (variance + tau2)
    value = float(weights @ effect / weights.sum())
    # A range that was judged is already meant for the next setting.
    if any(s.basis != "judgement" for s in sizes):
        tau2 = max(tau2, LEAST_HETEROGENEITY**2)
    sd = math.sqrt(1 / weights.sum() + tau2)
    by_basis: dict[str, float] = {}
    for size, weight in zip(sizes, weights, strict=True):
        by_basis[size.basis] = by_basis.get(size.basis, 0.0) + float(weight)
    studies = tuple(dict.fromkeys(study for size in sizes for study in size.studies))
    return Pooled(value, sd, math.sqrt(tau2), max(by_basis, key=lambda b: by_basis[b]), studies)


def heterogeneity(effect: np.ndarray, variance: np.ndarray) -> float:
    """Variance between studies by Paule and Mandel (1982); zero for a single study."""
    if len(effect) < 2:
        return 0.0
    with np.errstate(divide="ignore"):  # I2 of studies that agree exactly, which is not used
        return max(float(combine_effects(effect, variance, method_re="iterated").tau2), 0.0)


def _number(cell: Cell) -> float | None:
    return float(cell) if isinstance(cell, float | int) else None


def _needed(cell: Cell) -> float:
    number = _number(cell)
    if number is None:
        raise ValueError("a number is missing")
    return number


def _interval(low: float, high: float, normal: float) -> tuple[float, float]:
    return (math.log(low) + math.log(high)) / 2, (math.log(high) - math.log(low)) / (2 * normal)


def _from_counts(
    events_exposed: float | None, n_exposed: float | None, events_control: float | None, n_control: float | None
) -> tuple[float, float]:
    if events_exposed is None or n_exposed is None or events_control is None or n_control is None:
        raise ValueError("the counts of both groups are needed")
    cells = [events_exposed, n_exposed - events_exposed, events_control, n_control - events_control]
    if min(cells) <= 0:
        cells = [c + 0.5 for c in cells]  # Haldane-Anscombe correction
    a, b, c, d = cells
    return math.log(a * d / (b * c)), math.sqrt(sum(1 / x for x in cells))

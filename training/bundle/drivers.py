"""Drivers: which inputs move one patient's estimate, and what else it would help to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features import Kind, Patients, Regimen, Role, Specification
from features.field import Field
from training.bundle.bundle import Bundle

Array = NDArray[np.float64]
_TYPICAL = (0.1, 0.9)  # of the case mix: what a number not known may well turn out to be
_LEAST = 1e-9


@dataclass(frozen=True)
class Driver:
    """What one input, or several that act together, add to a probability.

    Attributes
    ----------
    fields
        Fields or derived fields behind it.
    points
        Difference of probability; those of all drivers add up to ``probability - typical``.
    """

    fields: tuple[str, ...]
    points: float


@dataclass(frozen=True)
class Open:
    """What a probability would mostly become if a field were known: the lowest and the highest over its likely values.

    Of a number the 10th and the 90th centile of the case mix, else every code that is an answer.
    """

    field: str
    low: float
    high: float


@dataclass(frozen=True)
class Drivers:
    """Why one patient's estimate is what it is.

    Attributes
    ----------
    typical
        P(outcome | given) of a patient of whom nothing is known, under the same regimen.
    probability
        P(outcome | given) of this patient.
    drivers
        Largest first.
    open
        Fields not known, widest first.
    """

    typical: float
    probability: float
    drivers: tuple[Driver, ...]
    open: tuple[Open, ...]


def explain(bundle: Bundle, patient: Patients, regimen: Regimen, outcome: str) -> Drivers:
    """Explain one patient's estimate under one regimen.

    Every part of a model adds to log-odds: the evidence by its effects, a logistic regression by its coefficients,
    trees by exact Shapley values (Lundberg 2020, Nat Mach Intell 2:56, as XGBoost computes them). Differences to a
    patient of whom nothing is known are carried to the probability scale such that they still add up.

    Parameters
    ----------
    patient
        One patient.
    outcome
        Name of an outcome.
    """
    spec = bundle.spec
    nobody = Patients(spec, 1, {})
    log_odds = {name: _log_odds(bundle, regimen, (patient, nobody), name) for name in spec.outcomes.chain(outcome)}
    here, there = (float(np.prod([expit(pair[i]) for pair in log_odds.values()])) for i in (0, 1))
    added: dict[tuple[str, ...], float] = {}
    for name, (mine, typical) in log_odds.items():
        parts = _completed(_parts(bundle, patient, nobody, regimen, name), mine - typical)
        change = mine - typical
        # d log expit(x) = (1 - expit(x)) dx; over a finite step the mean slope, so that nothing is lost.
        slope = (_log_expit(mine) - _log_expit(typical)) / change if abs(change) > _LEAST else 1.0 - expit(mine)
        for fields, part in parts.items():
            added[fields] = added.get(fields, 0.0) + slope * part
    total = float(sum(added.values()))
    to_points = (here - there) / total if abs(total) > _LEAST else here
    drivers = sorted((Driver(fields, to_points * part) for fields, part in added.items()), key=lambda d: -abs(d.points))
    return Drivers(
        typical=there,
        probability=here,
        drivers=tuple(d for d in drivers if abs(d.points) > _LEAST),
        open=_open(bundle, patient, regimen, outcome),
    )


def _log_odds(bundle: Bundle, regimen: Regimen, patients: Sequence[Patients], name: str) -> tuple[float, ...]:
    position = bundle.spec.outcomes.names.index(name)
    return tuple(float(bundle.engine.conditional(p, [regimen])[0, position, 0]) for p in patients)


def _log_expit(x: float) -> float:
    return float(-np.logaddexp(0.0, -x))


def _parts(
    bundle: Bundle, patient: Patients, nobody: Patients, regimen: Regimen, name: str
) -> dict[tuple[str, ...], float]:
    """What each factor adds to the log-odds, beyond what it adds for a patient of whom nothing is known."""
    learned, spec = bundle.engine.learned.get(name), bundle.spec
    by_factor: dict[str, float] = {}
    if learned is None or learned.prior_started:
        prior = bundle.engine.shown or bundle.prior
        beta = prior.coefficients(name)
        mine, right = prior.design(patient, [regimen])
        typical, _ = prior.design(nobody, [regimen])
        differences = ((beta * mine[0]).mean(axis=0) - (beta * typical[0]).mean(axis=0)) * right[0]
        for term, difference in zip(prior.terms, differences, strict=True):
            factor = spec.encoding.terms[term][0]
            if factor is not None:
                by_factor[factor] = by_factor.get(factor, 0.0) + float(difference)
    if learned is not None:
        before, after = learned.contributions(nobody, regimen), learned.contributions(patient, regimen)
        for factor, value in after.items():
            by_factor[factor] = by_factor.get(factor, 0.0) + value - before[factor]
    grouped: dict[tuple[str, ...], float] = {}
    for factor, value in by_factor.items():
        fields = _fields(spec, factor)
        grouped[fields] = grouped.get(fields, 0.0) + value
    return grouped


def _fields(spec: Specification, factor: str) -> tuple[str, ...]:
    declared = next(f for f in spec.encoding.patient_factors if f.name == factor)
    if declared.product is None:
        return (declared.of or factor,)
    return tuple(dict.fromkeys(name for part in declared.product for name in _fields(spec, part)))


def _completed(parts: dict[tuple[str, ...], float], total: float) -> dict[tuple[str, ...], float]:
    """Share out what averaging and recalibration leave over, by the size of the parts."""
    size = sum(abs(part) for part in parts.values())
    left = total - sum(parts.values())
    return {fields: part + left * abs(part) / size for fields, part in parts.items()} if size > _LEAST else parts


def _open(bundle: Bundle, patient: Patients, regimen: Regimen, outcome: str) -> tuple[Open, ...]:
    spec = bundle.spec
    wanted = [f for f in spec.asked if Role.PLAN not in f.roles and not patient.known(f.name)[0]]
    supposed: list[tuple[Field, float]] = []
    for field in wanted:
        supposed += [(field, value) for value in _likely(bundle, field)]
    if not supposed:
        return ()
    columns = {name: np.repeat(patient[name], len(supposed)) for name in spec.columns if not np.isnan(patient[name][0])}
    for i, (field, value) in enumerate(supposed):
        column = columns.setdefault(field.name, np.full(len(supposed), np.nan))
        column[i] = value
    scored = bundle.score(Patients(spec, len(supposed), columns), [regimen], intervals=False).probability[outcome][:, 0]
    found = []
    for field in wanted:
        answers = [p for p, (f, _) in zip(scored.tolist(), supposed, strict=True) if f.name == field.name]
        if answers and max(answers) - min(answers) > _LEAST:
            found.append(Open(field.name, min(answers), max(answers)))
    return tuple(sorted(found, key=lambda o: o.low - o.high))


def _likely(bundle: Bundle, field: Field) -> tuple[float, ...]:
    """Coded values that a field may well turn out to have; none for a multiple choice."""
    if field.kind is Kind.BOOLEAN:
        return (0.0, 1.0)
    if field.codes and field.kind is not Kind.CODES:
        return tuple(float(i) for i, code in enumerate(field.codes) if code not in field.unknown_codes)
    if not field.numeric:
        return ()
    drawn = bundle.prior.typical[field.name]
    drawn = drawn[~np.isnan(drawn)]
    return tuple(np.quantile(drawn, _TYPICAL).tolist()) if drawn.size else ()

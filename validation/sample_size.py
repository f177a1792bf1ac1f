"""How many patients a model needs before its numbers can be believed: Riley's criteria for a binary outcome."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.special import logit
from scipy.stats import norm

from features.field import Frozen

# Targets of Riley 2020 (BMJ 368:m441): shrinkage of 10% at most, an apparent R2 (Nagelkerke) at most 0.05 too good, and
# the overall risk known to within 0.05.
SHRINKAGE = 0.9
OPTIMISM = 0.05
MARGIN = 0.05
_NODES = 80  # of Gauss-Hermite quadrature; 40 give the same R2 to nine digits
CRITERIA = {
    "shrinkage": "predictor effects shrink by at most 10%",
    "optimism": "apparent and adjusted R2 differ by at most 0.05",
    "overall_risk": "the overall risk is known to within 0.05",
}


class SampleSize(Frozen):
    """What a model of one outcome needs.

    Attributes
    ----------
    n, events
        Patients, and events expected among them.
    binding
        Name of the criterion that asks for most; see `CRITERIA`.
    criteria
        Patients that each criterion asks for, by name.
    cox_snell, max_cox_snell
        The Cox-Snell R2 that the model is expected to reach, and the most that the prevalence allows.
    events_per_parameter
        `events` over `parameters`.
    """

    n: int
    events: int
    binding: str
    criteria: dict[str, int]
    prevalence: float
    c_statistic: float | None
    parameters: int
    cox_snell: float
    max_cox_snell: float
    events_per_parameter: float


class SampleVerdict(Frozen):
    """A registry held against what a model needs.

    Attributes
    ----------
    label
        ``sufficient``, ``underpowered`` or ``not judged``.
    text
        One sentence with the figures behind it.
    """

    label: str
    patients: int
    events: int
    needed: SampleSize | None
    text: str


@cache
def cox_snell_from_c(c_statistic: float, prevalence: float) -> tuple[float, float]:
    """Cox-Snell R2 that goes with a C statistic, and the largest that goes with the prevalence.

    Parameters
    ----------
    c_statistic
        In (0.5, 1).
    prevalence
        In (0, 1).

    Raises
    ------
    ValueError
        Naming what is outside its range.

    Notes
    -----
    The linear predictor is taken as normal with one variance among events and non-events, as Riley, Van Calster and
    Collins do by simulation (Stat Med 2021;40:859). Under that model the log-odds are linear in it, so the expected
    log-likelihood is an integral, which Gauss-Hermite quadrature gives without the noise of a simulation.
    """
    _inside("the C statistic", c_statistic, 0.5, 1.0)
    _inside("the prevalence", prevalence, 0.0, 1.0)
    separation = math.sqrt(2.0) * float(norm.ppf(c_statistic))
    at, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    weight = weight / weight.sum()
    start = float(logit(prevalence)) - separation**2 / 2
    events = -np.logaddexp(0.0, -(start + separation * (at + separation)))
    others = -np.logaddexp(0.0, start + separation * at)
    fitted = float(weight @ (prevalence * events + (1 - prevalence) * others))
    empty = prevalence * math.log(prevalence) + (1 - prevalence) * math.log(1 - prevalence)
    return 1 - math.exp(2 * (empty - fitted)), 1 - math.exp(2 * empty)


def required(
    prevalence: float, c_statistic: float | None, parameters: int, cox_snell: float | None = None
) -> SampleSize:
    """Patients and events that a new model needs (Riley 2019, Stat Med 38:1276; Riley 2020, BMJ 368:m441).

    Parameters
    ----------
    prevalence
        Share of patients with the outcome, in (0, 1).
    c_statistic
        The discrimination to expect, in (0.5, 1); lower is more cautious. None only when `cox_snell` is given.
    parameters
        Candidate predictor parameters, the intercept left out.
    cox_snell
        Expected Cox-Snell R2, when it is known; replaces the one that goes with the C statistic.

    Raises
    ------
    ValueError
        Naming what is outside its range.
    """
    _inside("the prevalence", prevalence, 0.0, 1.0)
    if parameters < 1:
        raise ValueError("the number of parameters must be 1 or more")
    if cox_snell is None:
        if c_statistic is None:
            raise ValueError("give the C statistic to expect, or the Cox-Snell R2")
        cox_snell, most = cox_snell_from_c(c_statistic, prevalence)
    else:
        most = cox_snell_from_c(0.75, prevalence)[1]
        _inside("the Cox-Snell R2", cox_snell, 0.0, most)
    criteria = {
        "shrinkage": _for_shrinkage(parameters, cox_snell, SHRINKAGE),
        "optimism": _for_shrinkage(parameters, cox_snell, cox_snell / (cox_snell + OPTIMISM * most)),
        "overall_risk": math.ceil((1.96 / MARGIN) ** 2 * prevalence * (1 - prevalence)),
    }
    binding = max(criteria, key=lambda name: criteria[name])
    n = criteria[binding]
    return SampleSize(
        n=n,
        events=math.ceil(n * prevalence),
        binding=binding,
        criteria=criteria,
        prevalence=prevalence,
        c_statistic=c_statistic,
        parameters=parameters,
        cox_snell=cox_snell,
        max_cox_snell=most,
        events_per_parameter=n * prevalence / parameters,
    )


def verdict(patients: int, events: int, c_statistic: float | None, parameters: int) -> SampleVerdict:
    """Say whether a registry has the patients that a new model of `parameters` parameters needs.

    Parameters
    ----------
    patients, events
        Who could teach the model, and how many of them had the outcome; their ratio is taken as the prevalence.
    c_statistic
        The discrimination to expect. At 0.5 or below, or unknown, nothing can be said.
    """
    if not 0 < events < patients or c_statistic is None or not 0.5 < c_statistic < 1:
        text = f"{events:,} events among {patients:,} patients: no sample size can be worked out"
        return SampleVerdict(label="not judged", patients=patients, events=events, needed=None, text=text)
    needed = required(events / patients, c_statistic, parameters)
    label = "sufficient" if patients >= needed.n else "underpowered"
    text = (
        f"{label}: {patients:,} patients with {events:,} events ({events / parameters:.1f} per parameter); a new model "
        f"of {parameters} parameters needs {needed.n:,} with {needed.events:,}, at a C statistic of {c_statistic:.2f}, "
        f"so that {CRITERIA[needed.binding]} (Riley 2020); trees need several times more"
    )
    return SampleVerdict(label=label, patients=patients, events=events, needed=needed, text=text)


def _for_shrinkage(parameters: int, cox_snell: float, shrinkage: float) -> int:
    return math.ceil(parameters / ((shrinkage - 1) * math.log(1 - cox_snell / shrinkage)))


def _inside(what: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise ValueError(f"{what} must lie between {low:g} and {high:g}, both excluded")

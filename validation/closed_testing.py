"""Closed testing: the least update of a prediction model that newer patients justify (Vergouwe et al. 2017).

Y. Vergouwe and others, "A closed testing procedure to select an appropriate method for updating prediction models",
Stat Med 2017;36:4529. For one outcome and a revision with k parameters, likelihood-ratio tests at the 5% level ask:

1. the original against the revision, on k degrees of freedom: not significant, keep the original;
2. the intercept re-estimated against the revision, on k - 1: not significant, update the intercept;
3. intercept and slope re-estimated against the revision, on k - 2: not significant, update both;
4. otherwise revise.

Each step is tested only when the one before it was rejected, so an original that is right is kept with probability
95%. Over several outcomes the first tests are corrected by Holm's method, so that an original right for every outcome
is kept whole with probability 95%; the later tests choose how, not whether, to update and stay at 5%.

Where events are too few for the revision, the largest step that they allow takes its place as the alternative
(DOMAIN 5.4), and the degrees of freedom fall accordingly.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from features.field import Frozen

Array = NDArray[np.float64]
Step = Literal["nothing", "intercept", "line", "revision"]
STEPS: tuple[Step, ...] = ("nothing", "intercept", "line", "revision")
LEVEL = 0.05
WORDS: Mapping[Step, str] = MappingProxyType(
    {
        "nothing": "no update",
        "intercept": "an update of the intercept",
        "line": "an update of intercept and slope",
        "revision": "a revision",
    }
)
_FITTED = {
    "nothing": "the original",
    "intercept": "a new intercept",
    "line": "a new intercept and slope",
    "revision": "a revision",
}


class Minimums(Frozen):
    """Fewest events, and fewest non-events, that each step takes.

    Attributes
    ----------
    intercept, line
        20 and 100 (DOMAIN 5.4).
    per_parameter
        A revision takes as many for each of its parameters, and never fewer than `line`. Ten is the old rule of
        thumb; `climb` takes `patients` where Riley's criteria ask for more.
    """

    intercept: int = 20
    line: int = 100
    per_parameter: int = 10

    def of(self, step: Step, parameters: int) -> int:
        """Fewest events and non-events of a step; `parameters` are those of the revision."""
        needed = {"nothing": 0, "intercept": self.intercept, "line": self.line}
        return needed.get(step, max(self.line, self.per_parameter * parameters))


@dataclass(frozen=True)
class LikelihoodRatio:
    """One step against the largest: twice the difference in log-likelihood, its degrees of freedom and p-value."""

    statistic: float
    df: int
    p: float


@dataclass(frozen=True)
class Ladder:
    """The steps fitted for one outcome, none chosen yet.

    Attributes
    ----------
    ceiling
        The largest step that events allow: the alternative of every test.
    capped
        Why that is not the revision; None when it is.
    tests
        Each step below the ceiling against the ceiling, in order, up to the first that is not rejected.
    parameters
        Intercept and slope of each step that was fitted; of a revision they mean nothing by themselves.
    """

    patients: int
    events: int
    ceiling: Step
    capped: str | None
    tests: Mapping[Step, LikelihoodRatio]
    parameters: Mapping[Step, tuple[float, float]]


@dataclass(frozen=True)
class Chosen:
    """The least update that is justified for one outcome.

    Attributes
    ----------
    step
        What to do.
    intercept, slope
        The recalibration to apply: (0, 1) for nothing; for a revision the best that a recalibration can do.
    statistics, df, p
        Of each step below the ceiling against the ceiling, up to the first that was not rejected before Holm's
        correction; empty when nothing could be tested.
    corrected
        The p-value of the first test after Holm's correction across outcomes; None when nothing could be tested.
    patients, events
        Behind the tests.
    reason
        In words.
    """

    step: Step
    intercept: float
    slope: float
    statistics: Mapping[Step, float]
    df: Mapping[Step, int]
    p: Mapping[Step, float]
    corrected: float | None
    patients: int
    events: int
    reason: str


def climb(
    y: Array,
    log_odds: Array,
    predictors: Array,
    prognosis: Array | None = None,
    minimums: Minimums | None = None,
    patients: int | None = None,
) -> Ladder:
    """Test the steps that the events allow, from the least up, against the largest of them.

    Parameters
    ----------
    y
        1 or 0, shape (n,).
    log_odds
        The original's log-odds, shape (n,).
    predictors
        The few inputs whose effects a revision re-estimates beside intercept and slope, standardised, shape
        (n, k - 2); nothing that involves a regimen (DOMAIN 6.4).
    prognosis
        What the slope acts on, shape (n,): the slope multiplies it and what `log_odds` adds to it is kept. None is
        `log_odds` itself, the procedure as published. The log-odds under one fixed regimen keep regimen contrasts.
    minimums
        Fewest events; None takes those of DOMAIN 5.4.
    patients
        Fewest patients that a revision takes, by Riley's criteria; None leaves it to the events.

    Raises
    ------
    ValueError
        When shapes differ, an outcome is not 0 or 1, or a number is missing.
    """
    prognosis = log_odds if prognosis is None else prognosis
    _check(y, log_odds, predictors, prognosis)
    minimums = minimums or Minimums()
    n, events = len(y), int(y.sum())
    fewest = min(events, n - events)
    ones = np.ones((n, 1))
    designs: dict[Step, Array] = {
        "nothing": np.empty((n, 0)),
        "intercept": ones,
        "line": np.column_stack([ones, prognosis]),
        "revision": np.column_stack([ones, prognosis, predictors]),
    }
    rank: dict[Step, int] = {}
    allowed: list[Step] = []
    capped: str | None = None
    for step in STEPS:
        needed = minimums.of(step, designs["revision"].shape[1])
        if fewest < needed:
            rarer = "events" if events <= n - events else "patients without the event"
            capped = f"{fewest:,} {rarer}, and {WORDS[step]} takes {needed}"
        elif step == "revision" and patients is not None and n < patients:
            capped = f"{n:,} patients, and a revision takes {patients:,}"
        if capped is not None:
            break
        rank[step] = int(np.linalg.matrix_rank(designs[step])) if step != "nothing" else 0
        # Predictions or inputs without any spread add nothing to the step below.
        if not allowed or rank[step] > rank[allowed[-1]]:
            allowed.append(step)
    while (fitted := _fit(y, designs[allowed[-1]], log_odds)) is None:
        capped = f"the fit of {WORDS[allowed.pop()]} did not converge"
    ceiling = allowed.pop()
    most, coefficients = fitted
    parameters = {ceiling: _line(ceiling, coefficients)}
    tests: dict[Step, LikelihoodRatio] = {}
    for step in allowed:
        fitted = _fit(y, designs[step], log_odds)
        if fitted is None:
            continue
        tests[step] = _ratio(fitted[0], most, rank[ceiling] - rank[step])
        parameters[step] = _line(step, fitted[1])
        if tests[step].p > LEVEL:
            break
    return Ladder(n, events, ceiling, capped, MappingProxyType(tests), MappingProxyType(parameters))


def choose(ladders: Mapping[str, Ladder]) -> dict[str, Chosen]:
    """Choose the least update of each outcome, the first tests corrected across outcomes by Holm's method.

    Parameters
    ----------
    ladders
        By outcome; those on which nothing could be tested do not count in the correction.
    """
    tested = [name for name, ladder in ladders.items() if ladder.tests]
    corrected = dict(zip(tested, holm([ladders[name].tests["nothing"].p for name in tested]), strict=True))
    return {name: _choose(ladder, corrected.get(name), len(tested)) for name, ladder in ladders.items()}


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down method (Scand J Stat 1979;6:65), in the order given.

    Arithmetic of our own, because that of statsmodels collects garbage at each call, which takes longer than the fits.
    """
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(order), 0, -1)))
    return [float(value) for value in corrected]


def _choose(ladder: Ladder, corrected: float | None, outcomes: int) -> Chosen:
    step: Step = ladder.ceiling
    said: list[str] = []
    for candidate, test in ladder.tests.items():
        p = corrected if candidate == "nothing" and corrected is not None else test.p
        raw = f", {_p(test.p)} before Holm's correction" if candidate == "nothing" and outcomes > 1 else ""
        said.append(
            f"{_FITTED[candidate]} against {_FITTED[ladder.ceiling]}: likelihood ratio {test.statistic:.1f} on "
            f"{test.df} degree{'s' if test.df != 1 else ''} of freedom, {_p(p)}{raw}"
        )
        if p > LEVEL:
            step = candidate
            break
    reversed_ = ladder.parameters.get("line", (0.0, 1.0))[1] <= 0.0
    if step in ("line", "revision") and reversed_:
        said.append("the slope is not positive, so a line would turn the order of patients round")
        step = "revision" if ladder.ceiling == "revision" else "intercept"
    if ladder.capped is not None:
        most = "nothing could be tested" if not ladder.tests else f"{_FITTED[ladder.ceiling]} is the most considered"
        said.append(f"{most}: {ladder.capped}")
    usable: Step = "intercept" if reversed_ or "line" not in ladder.parameters else "line"
    intercept, slope = ladder.parameters.get(usable if step == "revision" else step, (0.0, 1.0))
    if step != "nothing":
        moved = f"intercept {intercept:+.2f}" + (f" and slope {slope:.2f}" if slope != 1.0 else "")
        said.append(f"as far as a recalibration goes, {moved}" if step == "revision" else moved)
    counted = f"{ladder.events:,} events among {ladder.patients:,} patients"
    return Chosen(
        step=step,
        intercept=intercept,
        slope=slope,
        statistics=MappingProxyType({s: t.statistic for s, t in ladder.tests.items()}),
        df=MappingProxyType({s: t.df for s, t in ladder.tests.items()}),
        p=MappingProxyType({s: t.p for s, t in ladder.tests.items()}),
        corrected=None if corrected is None else float(corrected),
        patients=ladder.patients,
        events=ladder.events,
        reason=f"{WORDS[step]} ({counted}): " + "; ".join(said),
    )


def _check(y: Array, log_odds: Array, predictors: Array, prognosis: Array) -> None:
    parts = {"log_odds": (log_odds, 1), "prognosis": (prognosis, 1), "predictors": (predictors, 2)}
    complaints: list[str] = []
    if not np.isin(y, (0.0, 1.0)).all():
        complaints.append("y holds something other than 0 and 1; leave out patients whose outcome is not known")
    for name, (part, dimensions) in parts.items():
        if part.ndim != dimensions or len(part) != len(y):
            complaints.append(f"{name} has shape {part.shape}; {dimensions}-dimensional with {len(y)} rows is expected")
        if not np.isfinite(part).all():
            complaints.append(f"{name} holds missing or infinite numbers; complete them first")
    if complaints:
        raise ValueError("; ".join(complaints))


def _fit(y: Array, design: Array, offset: Array) -> tuple[float, Array] | None:
    """Log-likelihood and coefficients of a logistic regression with an offset; None when it does not converge."""
    if design.shape[1] == 0:
        return float(np.sum(y * offset - np.logaddexp(0.0, offset))), np.empty(0)
    import statsmodels.api as sm

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # separation is found by the checks below
        fit = sm.GLM(y, design, family=sm.families.Binomial(), offset=offset).fit()
    eta = offset + design @ fit.params
    value = float(np.sum(y * eta - np.logaddexp(0.0, eta)))
    return (value, np.asarray(fit.params)) if fit.converged and np.isfinite(value) else None


def _line(step: Step, coefficients: Array) -> tuple[float, float]:
    if step == "nothing":
        return 0.0, 1.0
    return float(coefficients[0]), 1.0 if step == "intercept" else 1.0 + float(coefficients[1])


def _ratio(smaller: float, larger: float, df: int) -> LikelihoodRatio:
    statistic = max(0.0, 2.0 * (larger - smaller))
    return LikelihoodRatio(statistic, df, float(chi2.sf(statistic, df)))


def _p(p: float) -> str:
    return "p<0.001" if p < 0.001 else f"p={p:.3f}"

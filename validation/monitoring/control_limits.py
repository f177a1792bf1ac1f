"""Control limits by simulation: how high a chart climbs by chance when the model's own predictions are right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from validation.monitoring.sequential import LIMITS, cusum, event_counts, shifted
from validation.monitoring.thresholds import CalibrationThresholds, Directions

Array = NDArray[np.float64]
Truth = NDArray[np.bool_]
Chart = tuple[str, str]
MORE, FEWER = "more", "fewer"
_BURN, _YEAR = 24, 12  # months: the year that is judged comes after two, so that charts have left their start at 0
_WORTH_A_LOOK = 2.2  # standard errors; a tail of 0.1% never lies nearer, so that exact chances are needed beyond only


@dataclass(frozen=True)
class CaseMix:
    """Predictions of typical patients, from which months of patients are drawn.

    Attributes
    ----------
    chance
        P(outcome | given) by watched outcome, each of shape (n,).
    at_risk
        P(given) by watched outcome, each of shape (n,): 1 where the outcome is reported of everyone.
    """

    chance: Mapping[str, Array]
    at_risk: Mapping[str, Array]

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(next(iter(self.chance.values())))


@dataclass(frozen=True)
class Streams:
    """Patients in order, drawn many times over: predictions and events by outcome, shape (runs, patients)."""

    chance: Mapping[str, Array]
    events: Mapping[str, Array]
    per_month: int


def draw(
    mix: CaseMix,
    runs: int,
    months: int,
    per_month: int,
    rng: np.random.Generator,
    ratio: Mapping[str, float] | None = None,
) -> Streams:
    """Draw months of patients to whom happens what was predicted, or `ratio` times it on the log-odds scale.

    Notes
    -----
    Outcomes that everyone is at risk of, and being at risk of the others, share one draw a patient: conversion lies
    within resection, so both charts move together as they do in patients.
    """
    who = rng.integers(0, mix.n, (runs, months * per_month))
    common = rng.random(who.shape)
    events: dict[str, Array] = {}
    for name, chance in mix.chance.items():
        moved = (ratio or {}).get(name, 1.0)
        true = chance if moved == 1.0 else shifted(chance, moved, mix.at_risk[name])
        everyone = bool((mix.at_risk[name] == 1).all())
        own = common if everyone else rng.random(who.shape)
        happened = (own < true[who]).astype(np.float64)
        events[name] = happened if everyone else np.where(common < mix.at_risk[name][who], happened, np.nan)
    return Streams({name: chance[who] for name, chance in mix.chance.items()}, events, per_month)


def rolling_alarms(p: Array, y: Array, per_month: int, window: int) -> Truth:
    """Month ends, shape (runs, months), at which the rolling O:E has just crossed its 99.8% limits twice in a row."""
    known = ~np.isnan(y)
    chance, happened = np.where(known, p, 0.0), np.where(known, y, 0.0)
    observed, expected, spread = (_windowed(x, per_month, window) for x in (happened, chance, chance * (1 - chance)))
    far = np.abs(observed - expected) > _WORTH_A_LOOK * np.sqrt(spread)
    side = np.zeros(observed.shape, dtype=np.int64)
    tail = (1 - LIMITS[1]) / 2
    runs, ends = np.nonzero(far)
    for month in np.unique(ends):
        rows = runs[ends == month]
        windows = chance[rows, max(0, month + 1 - window) * per_month : (month + 1) * per_month]
        # Those not at risk have no chance of an event; sorted to the end they cost nothing.
        likely = -np.sort(-windows, axis=1)[:, : int((windows > 0).sum(axis=1).max())]
        counts = event_counts(likely)
        at = observed[rows, month].astype(int)[:, None]
        below = np.cumsum(counts, axis=1)
        up_to = np.take_along_axis(below, at, 1)[:, 0]
        at_least = 1 - up_to + np.take_along_axis(counts, at, 1)[:, 0]
        side[rows, month] = (at_least <= tail).astype(int) - (up_to <= tail).astype(int)
    again = np.zeros(side.shape, dtype=bool)
    again[:, 1:] = (side[:, 1:] != 0) & (side[:, 1:] == side[:, :-1])
    return again


def _windowed(values: Array, per_month: int, window: int) -> Array:
    monthly = values.reshape(len(values), -1, per_month).sum(axis=2)
    total = np.cumsum(monthly, axis=1)
    total[:, window:] -= total[:, :-window].copy()
    return total


@dataclass(frozen=True)
class ControlLimits:
    """Heights at which charts raise an alarm, and what they were found on.

    Attributes
    ----------
    height
        By outcome and direction (``more`` or ``fewer`` events than predicted).
    factor
        Odds multiplied, and divided, by this.
    per_month, window
        Patients a month, and months of the rolling O:E, that were simulated.
    false_alarms
        Share of simulated years with any alarm, all rules together.
    """

    height: Mapping[Chart, float]
    factor: float
    per_month: int
    window: int
    false_alarms: float

    def factor_of(self, direction: str) -> float:
        """What a chart multiplies the odds by."""
        return self.factor if direction == MORE else 1 / self.factor

    def first_alarm(self, streams: Streams, outcome: str) -> NDArray[np.int64]:
        """Number of patients drawn, shape (runs,), when any rule first raises an alarm on an outcome; -1 never."""
        p, y = streams.chance[outcome], streams.events[outcome]
        raised = np.zeros(p.shape, dtype=bool)
        for (name, direction), height in self.height.items():
            if name == outcome:
                raised |= cusum(p, y, self.factor_of(direction)) > height
        ends = np.arange(1, p.shape[1] // streams.per_month + 1) * streams.per_month - 1
        raised[:, ends] |= rolling_alarms(p, y, streams.per_month, self.window)
        return np.where(raised.any(axis=1), raised.argmax(axis=1) + 1, -1)


def control_limits(
    mix: CaseMix,
    shares: Mapping[str, Directions],
    thresholds: CalibrationThresholds,
    per_month: int,
    runs: int = 4000,
    seed: int = 20,
) -> ControlLimits:
    """Find limits at which all charts and the rolling O:E together raise the stated share of false alarms a year.

    Parameters
    ----------
    shares
        By watched outcome: how the false alarms are shared out.

    Notes
    -----
    The year that is judged is the third of a chart that was never reset, whether or not it had raised an alarm before:
    more false alarms than among charts that were quiet so far, so that the limits err on the quiet side.
    """
    rng = np.random.default_rng(seed)
    window = thresholds.rolling_months
    streams = draw(mix, runs, _BURN + _YEAR, per_month, rng)
    by_rolling = np.zeros(runs, dtype=bool)
    highest: dict[Chart, Array] = {}
    weight: dict[Chart, float] = {}
    for name, directions in shares.items():
        p, y = streams.chance[name], streams.events[name]
        by_rolling |= rolling_alarms(p, y, per_month, window)[:, _BURN:].any(axis=1)
        for direction, share in ((MORE, directions.more), (FEWER, directions.fewer)):
            factor = thresholds.odds_factor if direction == MORE else 1 / thresholds.odds_factor
            highest[name, direction] = cusum(p, y, factor)[:, _BURN * per_month :].max(axis=1)
            weight[name, direction] = share

    def heights(scale: float) -> dict[Chart, float]:
        return {c: float(np.quantile(highest[c], max(0.0, 1 - scale * weight[c]))) for c in highest}

    def alarms(scale: float) -> float:
        raised = by_rolling.copy()
        for chart, height in heights(scale).items():
            raised |= highest[chart] > height
        return float(raised.mean())

    low, high = 0.0, 1.0 / max(weight.values())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if alarms(middle) <= thresholds.aim else (low, middle)
    return ControlLimits(heights(low), thresholds.odds_factor, per_month, window, alarms(low))


@dataclass(frozen=True)
class Power:
    """How soon a drift of one outcome is found.

    Attributes
    ----------
    ratio
        True observed to expected.
    within_events
        Share of simulated drifts found within `events` events of the outcome since the drift began.
    within_a_year, within_two_years
        Shares found by then.
    median_months
        None when fewer than half are found in the months simulated.
    """

    outcome: str
    ratio: float
    events: int
    within_events: float
    within_a_year: float
    within_two_years: float
    median_months: float | None


def power(
    mix: CaseMix, limits: ControlLimits, outcome: str, ratio: float, events: int = 60, runs: int = 1000, seed: int = 21
) -> Power:
    """Simulate a drift from a chart's start at 0, its worst case, and count when it is found."""
    likely = float((mix.at_risk[outcome] * mix.chance[outcome]).mean()) * ratio * limits.per_month
    months = int(min(120, max(_BURN, np.ceil(1.5 * events / max(likely, 1e-6)))))
    streams = draw(mix, runs, months, limits.per_month, np.random.default_rng(seed), {outcome: ratio})
    first = limits.first_alarm(streams, outcome)
    so_far = np.nancumsum(streams.events[outcome], axis=1)
    at = np.where(first > 0, so_far[np.arange(runs), first - 1], np.inf)
    waited = np.where(first > 0, first / limits.per_month, np.inf)
    middle = float(np.median(waited))
    return Power(
        outcome=outcome,
        ratio=ratio,
        events=events,
        within_events=float((at <= events).mean()),
        within_a_year=float((waited <= 12).mean()),
        within_two_years=float((waited <= 24).mean()),
        median_months=middle if np.isfinite(middle) else None,
    )

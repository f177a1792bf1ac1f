"""One outcome of closed patients: what was predicted, what happened, and whether the two still agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from validation.monitoring.control_limits import MORE, ControlLimits
from validation.monitoring.findings import Finding, Severity
from validation.monitoring.sequential import RollingPoint, beyond, crossed_twice, cusum, rolling
from validation.monitoring.thresholds import CalibrationThresholds

Array = NDArray[np.float64]
Months = NDArray[np.int64]
BLOCK = "Calibration"


@dataclass(frozen=True)
class Closed:
    """Closed patients of one outcome, in the order in which they started.

    Attributes
    ----------
    month
        Month of day 1, shape (n,), in months since January 1970.
    chance
        What was predicted, shape (n,).
    happened
        1, 0, or NaN where not known or not at risk, shape (n,).
    asked
        Shape (n,): of whom the outcome should be known; False where the event it is reported "given" did not happen.
    undecided
        Shape (n,): those asked whose parent event happened. Of the others the outcome is known by implication, and
        only as not having happened.
    version
        The model that predicted.
    served
        Whether that model still answers.
    """

    outcome: str
    label: str
    month: Months
    chance: Array
    happened: Array
    asked: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    version: str
    served: bool


@dataclass(frozen=True)
class Chart:
    """A CUSUM: its height after each patient, the limit, and the month in which the limit was first crossed."""

    direction: str
    month: Months
    path: Array
    limit: float
    crossed: int | None


@dataclass(frozen=True)
class Watched:
    """One outcome judged.

    Attributes
    ----------
    complete
        Share of closed patients whose outcome is known: of the last months, of all, or of those whose parent event
        happened, whichever is least; None when there are none.
    evaluable
        Whether enough of them are known.
    points
        Rolling O:E, by month; empty when not evaluable.
    charts
        CUSUM for more and for fewer events; empty unless the outcome has control limits.
    """

    closed: Closed
    patients: int
    complete: float | None
    evaluable: bool
    points: tuple[RollingPoint, ...]
    charts: tuple[Chart, ...]
    findings: tuple[Finding, ...]

    @property
    def last(self) -> RollingPoint | None:
        """The latest window."""
        return self.points[-1] if self.points else None

    @property
    def severity(self) -> Severity:
        """The worst finding."""
        return max((f.severity for f in self.findings), default=Severity.OK)


def watch(closed: Closed, thresholds: CalibrationThresholds, limits: ControlLimits | None) -> Watched:
    """Judge an outcome.

    Parameters
    ----------
    limits
        Of the watched outcomes; without limits for this one its rolling O:E is shown and never alerts, so that
        twelve outcomes do not spend the false alarms of two.
    """
    window = thresholds.rolling_months
    asked = closed.asked
    known = ~np.isnan(closed.happened) & asked
    if not asked.any():
        return _unjudged(closed, 0, None, "no patient is closed yet")
    recent = asked & (closed.month > closed.month[asked].max() - window)
    complete = min(float(known[rows].mean()) for rows in (recent, asked, closed.undecided) if rows.any())
    if complete < thresholds.complete:
        told = f"known of {100 * complete:.0f}% of closed patients, {100 * thresholds.complete:.0f}% needed"
        return _unjudged(closed, int(known.sum()), complete, told)
    month, chance, happened = closed.month[known], closed.chance[known], closed.happened[known]
    points = rolling(month, chance, happened, window)
    charts: tuple[Chart, ...] = ()
    if limits is not None:
        charts = tuple(
            _chart(direction, month, chance, happened, limits, height)
            for (name, direction), height in limits.height.items()
            if name == closed.outcome
        )
    found = _found(closed, month, chance, happened, points, charts, thresholds, limits is not None)
    return Watched(closed, int(known.sum()), complete, True, points, charts, found)


def month_name(month: int) -> str:
    """A month as YYYY-MM."""
    return str(np.datetime64(month, "M"))


def _unjudged(closed: Closed, patients: int, complete: float | None, why: str) -> Watched:
    finding = Finding(severity=Severity.OK, block=BLOCK, text=f"{closed.label}: not yet evaluable, {why}.")
    return Watched(closed, patients, complete, False, (), (), (finding,))


def _chart(
    direction: str, month: Months, chance: Array, happened: Array, limits: ControlLimits, height: float
) -> Chart:
    path = cusum(chance, happened, limits.factor_of(direction))
    over = path > height
    return Chart(direction, month, path, height, int(month[over.argmax()]) if over.any() else None)


def _found(
    closed: Closed,
    month: Months,
    chance: Array,
    happened: Array,
    points: tuple[RollingPoint, ...],
    charts: tuple[Chart, ...],
    thresholds: CalibrationThresholds,
    alerts: bool,
) -> tuple[Finding, ...]:
    last = points[-1]
    ratio = "" if last.ratio is None else f", O:E {last.ratio:.2f}"
    told = (
        f"{closed.label}: {last.observed} events among {last.patients} patients in the {thresholds.rolling_months} "
        f"months to {month_name(last.month)}, {last.expected:.1f} predicted{ratio}"
    )
    alert = Severity.ALERT if alerts and closed.served else Severity.SHOW
    of = "" if closed.served else f" This was version {closed.version}, which no longer answers."
    found = []
    for chart in charts:
        if chart.crossed is not None:
            what = "more" if chart.direction == MORE else "fewer"
            when = month_name(chart.crossed)
            text = f"{closed.label}: {what} events than predicted; the CUSUM crossed its limit in {when}"
            found.append(_drift(alert, f"{text} ({told.partition(': ')[2]}).{of}", last.ratio))
    twice = crossed_twice(points)
    if twice is not None:
        text = f"{closed.label}: O:E outside its 99.8% limits at two month ends in a row, to {month_name(twice.month)}"
        found.append(_drift(alert, f"{text} ({told.partition(': ')[2]}).{of}", last.ratio))
    window = month > last.month - thresholds.rolling_months
    if beyond(chance[window], int(happened[window].sum()), thresholds.stop):
        low, high = thresholds.stop
        text = f"{told}: outside {low:g} to {high:g} by its 99.8% limits. Stop rule: take this model out of use.{of}"
        found.append(_drift(alert, text, last.ratio))
    if not found:
        outside = last.side(wide=False) != 0
        limits = f"95% limits {last.inner[0]} to {last.inner[1]} events"
        where = "outside" if outside else "within"
        severity = Severity.SHOW if outside else Severity.OK
        found.append(Finding(severity=severity, block=BLOCK, text=f"{told}: {where} {limits}.{of}", figure=last.ratio))
    return tuple(found)


def _drift(severity: Severity, text: str, figure: float | None) -> Finding:
    return Finding(severity=severity, block=BLOCK, text=text, figure=figure, retrain=severity is Severity.ALERT)

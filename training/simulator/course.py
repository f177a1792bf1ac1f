"""What happens to each invented patient, and on which day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Attribute
from scipy.special import ndtr

from features import Kind, Patients, Specification
from features.field import Frozen
from features.outcome import OutcomeTree
from training.simulator.shape import Column, Shape, as_uniform

MONTH = 30.4375  # days, as in the derived field that counts months to the operation
YEAR = 365.25


class Late(Frozen):
    """Operations after the window: chance among those not operated on in time, and months from cycle 1."""

    chance: float
    months: tuple[float, float]


class Survival(Frozen):
    """Median months of life, for dates only; no outcome depends on them."""

    operated: float
    not_operated: float


class Course(Frozen):
    """Names of the dates and the numbers behind them; see ``data/simulator.yaml``."""

    luck: dict[str, float]
    start: str
    primary: str
    liver: str
    operation: str
    death: str
    last_contact: str
    first_day: dt.date
    accrual_years: float = Attribute(gt=0)
    staggered_years: float = Attribute(ge=0)
    export_after_months: float = Attribute(ge=0)
    weeks_liver_to_start: tuple[float, float]
    synchronous: str
    months_synchronous: tuple[float, float]
    months_metachronous: Shape
    since_adjuvant: str
    weeks_after_plan: Shape
    within: str
    latest_months: float
    late: Late
    fatal: str
    days_to_fatal: tuple[int, int]
    median_survival_months: Survival
    least_survival_months: float
    lost_per_year: float
    settled_days: int
    known_after_months: dict[str, float] = {}

    def complaints(self, spec: Specification) -> list[str]:
        """Every name that the specification does not know."""
        dates = (self.start, self.primary, self.liver, self.operation, self.death, self.last_contact)
        found = [
            f"course: {n} is not a date" for n in dates if n not in spec.fields or spec.fields[n].kind is not Kind.DATE
        ]
        found += [f"course: unknown field {n}" for n in (self.synchronous, self.since_adjuvant) if n not in spec.fields]
        found += [
            f"course: unknown outcome {n}"
            for n in (*self.luck, self.within, self.fatal, *self.known_after_months)
            if n not in spec.outcomes.names
        ]
        return found


@dataclass(frozen=True)
class Events:
    """What happened, as truths of shape (n,).

    Attributes
    ----------
    outcomes
        By name; those below the operation also for operations after the window.
    operated
        Ever operated on, within the window or later.
    """

    outcomes: Mapping[str, NDArray[np.bool_]]
    operated: NDArray[np.bool_]


@dataclass(frozen=True)
class Chronology:
    """Days, as ordinals with NaN for none, and what the hospital had seen by the day of the export.

    Attributes
    ----------
    dates
        By field name.
    operated, settled
        1 seen to be so, 0 seen not to be so, NaN not known: operated on at all; long enough after the operation for
        its complications to be entered.
    known
        1 where an outcome of the first year is known, NaN where not; by outcome, and for all others under "".
    """

    dates: Mapping[str, Column]
    operated: Column
    settled: Column
    known: Mapping[str, Column]


def happen(tree: OutcomeTree, within: Mapping[str, Column], course: Course, rng: np.random.Generator) -> Events:
    """Draw every outcome from its probability given its parent.

    What chance adds to the first outcomes is shared (``luck``), so that responders are those who are resected; each
    outcome by itself still has exactly its probability.
    """
    n = len(next(iter(within.values())))
    luck = rng.standard_normal(n)
    happened: dict[str, NDArray[np.bool_]] = {}
    operated = np.zeros(n, dtype=bool)
    for name in tree.names:
        rho = course.luck.get(name, 0.0)
        z = rho * luck + np.sqrt(1 - rho**2) * rng.standard_normal(n)
        event = ndtr(z) > 1.0 - within[name]
        parent = tree[name].within
        if parent is not None:
            event &= operated if parent == course.within else happened[parent]
        happened[name] = event
        if name == course.within:
            operated = event | (rng.random(n) < course.late.chance)
    return Events(happened, operated)


def first_days(course: Course, site: NDArray[np.intp], sites: int, rng: np.random.Generator) -> Column:
    """Day 1 of cycle 1 as ordinals: sites join one after the other and recruit evenly until the accrual ends."""
    begin = course.first_day.toordinal() + course.staggered_years * YEAR * site / max(sites - 1, 1)
    end = course.first_day.toordinal() + course.accrual_years * YEAR
    return np.floor(begin + (end - begin) * rng.random(len(site)))


def years_from_middle(course: Course, start: Column) -> Column:
    """Calendar years from the middle of the accrual."""
    return (start - course.first_day.toordinal()) / YEAR - course.accrual_years / 2


def chronology(
    course: Course, patients: Patients, start: Column, weeks: NDArray[np.intp], events: Events, rng: np.random.Generator
) -> Chronology:
    """Put the events on days and cut them off at the export.

    Parameters
    ----------
    start
        Day 1 of cycle 1, ordinals.
    weeks
        Planned weeks.
    """
    n = patients.n
    operation = np.where(events.operated, _operation_days(course, start, weeks, events, rng), np.nan)
    death = _death_days(course, start, operation, events, rng)
    export = course.first_day.toordinal() + course.accrual_years * YEAR + course.export_after_months * MONTH
    lost = start + 30 + rng.exponential(YEAR / course.lost_per_year, n)
    until = np.floor(np.minimum(export, lost))
    died = death <= until
    # The last visit lies up to two months before the export, never before the first month.
    contact = np.where(died, death, np.maximum(until - np.floor(60 * rng.random(n)), start + 28))
    seen = operation <= contact
    year = contact >= start + 12 * MONTH
    known = {"": np.where(seen | year | died, 1.0, np.nan)}
    for name, months in course.known_after_months.items():
        known[name] = np.where(died | (contact >= start + months * MONTH), 1.0, np.nan)
    operated = np.where(seen, 1.0, np.where(year | died, 0.0, np.nan))
    settled = np.where(seen & (died | (contact >= operation + course.settled_days)), 1.0, np.nan)
    liver = start - np.floor(7 * _between(course.weeks_liver_to_start, rng, n))
    dates = {
        course.start: start,
        course.liver: liver,
        course.primary: liver - _gap_days(course, patients, rng),
        course.operation: np.where(seen, operation, np.nan),
        course.death: np.where(died, death, np.nan),
        course.last_contact: contact,
    }
    return Chronology(dates, operated, settled, known)


def _between(limits: tuple[float, float], rng: np.random.Generator, n: int) -> Column:
    return limits[0] + (limits[1] - limits[0]) * rng.random(n)


def _no_column(name: str) -> Column:
    raise ValueError(f"a delay cannot depend on {name}")


def _operation_days(
    course: Course, start: Column, weeks: NDArray[np.intp], events: Events, rng: np.random.Generator
) -> Column:
    n = len(start)
    delay = course.weeks_after_plan.number(None, as_uniform(rng.standard_normal(n)), _no_column)
    latest = course.latest_months * MONTH - np.floor(21 * rng.random(n))
    in_time = start + np.floor(np.minimum(7 * (weeks + delay), latest))
    late = start + np.ceil(_between(course.late.months, rng, n) * MONTH)
    return np.where(events.outcomes[course.within], in_time, late)


def _death_days(course: Course, start: Column, operation: Column, events: Events, rng: np.random.Generator) -> Column:
    n = len(start)
    fatal = events.outcomes[course.fatal]
    soon = operation + rng.integers(course.days_to_fatal[0], course.days_to_fatal[1] + 1, n)
    median = np.where(
        events.operated, course.median_survival_months.operated, course.median_survival_months.not_operated
    )
    life = rng.exponential(median * MONTH / np.log(2.0))
    earliest = np.where(
        events.operated, operation + course.settled_days + 5, start + course.least_survival_months * MONTH
    )
    return np.where(fatal, soon, np.floor(earliest + life))


def _gap_days(course: Course, patients: Patients, rng: np.random.Generator) -> Column:
    n = patients.n
    near = _between(course.months_synchronous, rng, n)
    far = course.months_metachronous.number(None, as_uniform(rng.standard_normal(n)), _no_column)
    # Adjuvant treatment lies between the primary and the liver metastases and took about half a year.
    far = np.fmax(far, patients[course.since_adjuvant] + 7)
    return np.floor(MONTH * np.where(patients[course.synchronous] == 1, near, far))

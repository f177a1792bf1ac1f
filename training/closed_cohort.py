"""Closed cohorts: patients started so long ago that an outcome is known or never will be (DOMAIN 6.3).

Among patients who began recently only early events have arrived, so that any figure of theirs is biased upward. Only
closed cohorts are judged, and models are updated on nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pydantic import Field as Attribute

from features import Kind, Specification, SpecificationError
from features.field import Frozen
from training.bundle import Manifest
from training.registry.cohort import DAYS_A_MONTH, Cohort
from training.registry.layout import load_layout

Mask = NDArray[np.bool_]


class Closing(Frozen):
    """When an outcome counts as known, see ``closed_cohort.yaml``."""

    delay_months: int = Attribute(ge=0)
    months: dict[str, int]
    least_patients: int = Attribute(ge=1)
    recent_months: int = Attribute(ge=1)
    least_recorded: float = Attribute(gt=0, le=1)

    def complaints(self, spec: Specification) -> list[str]:
        """Every entry that does not fit the specification or the follow-up that registries are held to."""
        known = spec.outcomes.names
        found = [f"closed cohorts: unknown outcome {name}" for name in self.months if name not in known]
        found += [f"closed cohorts: no months for outcome {name}" for name in known if name not in self.months]
        horizon = load_layout(spec).horizon_months
        for name in known:
            for other in (name, *spec.outcomes.ancestors(name)):
                least = max(float(self.months.get(other, 0)), horizon.get(other, 0.0))
                if self.months.get(name, least) < least:
                    found.append(f"closed cohorts: {name} closes before {other} is known, after {least:g} months")
        return found


@lru_cache(maxsize=4)
def load_closing(spec: Specification) -> Closing:
    """Load the windows that ship with the project.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    text = (files("training") / "closed_cohort.yaml").read_text("utf-8")
    closing = Closing.model_validate(yaml.safe_load(text))
    complaints = closing.complaints(spec)
    if complaints:
        raise SpecificationError("\n".join(complaints))
    return closing


@dataclass(frozen=True)
class Newest:
    """The newest closed patients for one outcome.

    Attributes
    ----------
    rows
        Shape (n,): began in the period that `text` names and are closed; whether the outcome is recorded, and whether
        its parent event happened, is another question (`at_risk`).
    patients
        How many of them are at risk with a recorded outcome.
    unseen
        Whether none of them taught the model this outcome.
    recorded
        Share of those at risk whose outcome is recorded; None when none is at risk.
    first, last
        When the first and the last of `rows` began; None when there is none.
    text
        Who they are, in words.
    """

    rows: Mask
    patients: int
    unseen: bool
    recorded: float | None
    first: dt.date | None
    last: dt.date | None
    text: str


def newest_date(frame: pd.DataFrame, spec: Specification, today: dt.date | None = None) -> dt.date:
    """The date as of which a registry is judged: the newest date in it, but no later than today.

    What happened after a registry was exported is not in it, so that today would close patients too early.

    Parameters
    ----------
    frame
        `Registry.frame`, validated.

    Raises
    ------
    ValueError
        When the registry holds no date.
    """
    names = [f.name for f in spec.fields.values() if f.kind is Kind.DATE and not f.identifying]
    held = [d for name in names if name in frame.columns for d in frame[name] if isinstance(d, dt.date)]
    if not held:
        raise ValueError(f"the registry holds no date in {', '.join(names)}; give the date as of which it is judged")
    return min(max(held), today or dt.datetime.now(dt.UTC).date())


def at_risk(cohort: Cohort, outcome: str) -> Mask:
    """Patients for whom P(outcome | within) is asked: all, or those whose parent event happened."""
    within = cohort.spec.outcomes[outcome].within
    return np.ones(len(cohort), dtype=bool) if within is None else cohort.outcomes[within] == 1


def closed(cohort: Cohort, as_of: dt.date, spec: Specification) -> dict[str, Mask]:
    """Patients who are closed, by outcome.

    A calendar month of starting patients is closed when its last day lies as long ago as the outcome's window and
    the delay together.

    Returns
    -------
    dict
        Shape (n,) by outcome.
    """
    closing = load_closing(spec)
    started, now = _month(cohort.index_date), _month_of(as_of)
    return {name: now - started > closing.months[name] + closing.delay_months for name in spec.outcomes.names}


def taught_until(manifest: Manifest, spec: Specification) -> dict[str, dt.date | None]:
    """Until when patients began who may have taught a model an outcome, by outcome; None when no patient did.

    That is the last date of its training data, but no later than the follow-up that registries are held to allows:
    a patient whose outcome was still open when the model was made taught it nothing about that outcome. Patients of
    a later recalibration of the outcome count too.
    """
    data = manifest.trained_on
    if data.last_date is None:
        return dict.fromkeys(spec.outcomes.names)
    last = dt.date.fromisoformat(data.last_date)
    made = dt.datetime.fromisoformat(manifest.created).date()
    horizon = load_layout(spec).horizon_months
    recalibrated = {m.outcome: m.recalibration.last_date for m in manifest.outcomes if m.recalibration is not None}
    found: dict[str, dt.date | None] = {}
    for name in spec.outcomes.names:
        months = max(horizon.get(part, 0.0) for part in (name, *spec.outcomes.ancestors(name)))
        until = min(last, made - dt.timedelta(days=round(months * DAYS_A_MONTH)))
        found[name] = max(until, dt.date.fromisoformat(recalibrated[name])) if name in recalibrated else until
    return found


def newest(
    cohort: Cohort, since: Mapping[str, dt.date | None], as_of: dt.date, spec: Specification
) -> dict[str, Newest]:
    """The newest closed cohort of each outcome: closed patients whom the model has not learned the outcome from.

    Parameters
    ----------
    since
        Until when patients taught the model, by outcome; see `taught_until`.

    Notes
    -----
    With fewer than `Closing.least_patients` of them at risk the period is widened to the last closed months, and the
    answer says that the model may have learned from some.
    """
    closing, masks = load_closing(spec), closed(cohort, as_of, spec)
    return {name: _newest(cohort, name, masks[name], since[name], closing) for name in spec.outcomes.names}


def _newest(cohort: Cohort, outcome: str, mask: Mask, since: dt.date | None, closing: Closing) -> Newest:
    known = at_risk(cohort, outcome) & ~np.isnan(cohort.outcomes[outcome])
    fresh = mask if since is None else mask & (cohort.index_date > np.datetime64(since, "D"))
    unseen = int((fresh & known).sum())
    rows, is_unseen = fresh, True
    if since is not None and unseen < closing.least_patients:
        # Months are counted back from the last with a recorded outcome: a registry may have stopped before `as_of`.
        started = _month(cohort.index_date)
        latest = int(started[mask & known].max(initial=0))
        rows = fresh | (mask & (started > latest - closing.recent_months))
        is_unseen = bool((rows == fresh).all())
    patients = int((rows & known).sum())
    risked = int((rows & at_risk(cohort, outcome)).sum())
    recorded = patients / risked if risked else None
    dates = cohort.index_date[rows]
    first, last = (dates.min().astype(object), dates.max().astype(object)) if rows.any() else (None, None)
    return Newest(
        rows=rows,
        patients=patients,
        unseen=is_unseen,
        recorded=recorded,
        first=first,
        last=last,
        text=_words(patients, unseen, is_unseen, recorded, first, last, since, closing),
    )


def _words(
    patients: int,
    unseen: int,
    is_unseen: bool,
    recorded: float | None,
    first: dt.date | None,
    last: dt.date | None,
    since: dt.date | None,
    closing: Closing,
) -> str:
    if first is None:
        return "no patient is closed yet"
    text = f"{patients:,} closed patients with a recorded outcome who began from {first} to {last}"
    if since is None:
        text += "; the model has learned from no patient"
    elif is_unseen:
        text += f"; the model has learned this outcome from none of them (only from patients who began by {since})"
    else:
        text += (
            f"; only {unseen:,} of them began after {since}, fewer than {closing.least_patients}, so the last "
            f"{closing.recent_months} closed months stand in, and the model may have learned from them"
        )
    if recorded is not None and recorded < closing.least_recorded:
        text += (
            f"; only {100 * recorded:.0f}% of the closed patients at risk have the outcome recorded, and these need "
            "not stand for the rest"
        )
    return text


def _month(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return dates.astype("datetime64[M]").astype(np.int64)


def _month_of(date: dt.date) -> int:
    return int(_month(np.array([date], dtype="datetime64[D]"))[0])

"""The patients of a registry that belong, with what was planned for them and what became of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import DEFAULT_WEEKS, Kind, Patients, Regimen, Specification, Time
from training.registry.layout import Layout, load_layout
from validation.answers import answers

Column = NDArray[np.float64]
DAYS_A_MONTH = 30.4375


@dataclass(frozen=True)
class FlowStep:
    """One box of the flow diagram: how many rows it holds and why."""

    code: str
    text: str
    rows: int


@dataclass(frozen=True)
class Cohort:
    """Patients at baseline with their plans and outcomes.

    Attributes
    ----------
    patients
        Coded, with what was known before cycle 1 and nothing later.
    regimens
        As planned, one per patient.
    outcomes
        By name: shape (n,), 1 happened, 0 did not, NaN not known. An outcome is 0 where its parent event did not
        happen, and NaN where the event that it is reported "given" did not.
    site, record
        Shape (n,), texts.
    index_date
        Shape (n,), ``datetime64[D]`` of day 1 of cycle 1.
    flow
        From the rows read to the rows kept.
    trainable
        Outcomes with enough events and non-events.
    reasons
        Why each of the others cannot be trained.
    notes
        What was assumed or corrected, in words.
    """

    spec: Specification
    patients: Patients
    regimens: tuple[Regimen, ...]
    outcomes: Mapping[str, Column]
    site: NDArray[np.str_]
    record: NDArray[np.str_]
    index_date: NDArray[np.datetime64]
    flow: tuple[FlowStep, ...]
    trainable: tuple[str, ...]
    reasons: Mapping[str, str]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return self.patients.n

    def take(self, rows: NDArray[Any]) -> Cohort:
        """The patients at the given positions or mask; which outcomes are trainable is judged anew."""
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows
        outcomes = {name: column[positions] for name, column in self.outcomes.items()}
        trainable, reasons = _trainable(self.spec, outcomes, load_layout(self.spec), frozenset(outcomes))
        unrecorded = {k: v for k, v in self.reasons.items() if np.isnan(self.outcomes[k]).all()}
        return replace(
            self,
            patients=self.patients.take(positions),
            regimens=tuple(self.regimens[i] for i in positions),
            outcomes=MappingProxyType(outcomes),
            site=self.site[positions],
            record=self.record[positions],
            index_date=self.index_date[positions],
            trainable=trainable,
            reasons=MappingProxyType({**reasons, **unrecorded}),
        )


def build_cohort(frame: pd.DataFrame, spec: Specification) -> Cohort:
    """Build the cohort of a registry that passed validation.

    Parameters
    ----------
    frame
        `Registry.frame`: columns by field name, valid values.

    Raises
    ------
    ValueError
        When a required column is absent or a value is not valid, which validation would have named.
    """
    layout = load_layout(spec)
    keys, plan = layout.keys, layout.plan
    absent = [n for n in (keys.record, keys.site, keys.start, plan.backbone, plan.biologic) if n not in frame.columns]
    if absent:
        raise ValueError(f"the registry lacks {', '.join(absent)}; validate it first")
    flow = [FlowStep("read", "Rows in the registry", len(frame))]
    complete = frame[[keys.record, keys.site, keys.start, plan.backbone, plan.biologic]].notna().all(axis=1).to_numpy()
    flow.append(FlowStep("incomplete_key", "Without record, site, start or plan", int((~complete).sum())))
    frame = frame.loc[complete]
    everything = _coded(frame, spec)
    kept = np.ones(len(frame), dtype=bool)
    for rule in layout.exclusions:
        hit = kept & (answers(rule.when, everything) == 1)
        flow.append(FlowStep(rule.code, rule.text, int(hit.sum())))
        kept &= ~hit
    frame, everything = frame.loc[kept], everything.take(kept)
    flow.append(FlowStep("kept", "Patients in the cohort", len(frame)))

    notes: list[str] = []
    regimens = _regimens(frame, spec, layout, notes)
    outcomes, recorded = _outcomes(frame, everything, spec, layout, notes)
    trainable, reasons = _trainable(spec, outcomes, layout, recorded)
    known_then = {
        column: everything[column]
        for field in spec.fields.values()
        if field.known_at is Time.BASELINE and field.name in frame.columns and field.kind is not Kind.TEXT
        for column in field.columns
    }
    return Cohort(
        spec=spec,
        patients=Patients(spec, len(frame), known_then),
        regimens=regimens,
        outcomes=MappingProxyType(outcomes),
        site=np.array(frame[keys.site].tolist(), dtype=str),
        record=np.array(frame[keys.record].tolist(), dtype=str),
        index_date=np.array([_iso(v) for v in frame[keys.start]], dtype="datetime64[D]"),
        flow=tuple(flow),
        trainable=trainable,
        reasons=MappingProxyType(reasons),
        notes=tuple(notes),
    )


def _iso(value: Any) -> str:
    return value if isinstance(value, str) else dt.date.isoformat(value)


def _coded(frame: pd.DataFrame, spec: Specification) -> Patients:
    raw = {
        name: frame[name].tolist()
        for name in frame.columns
        if name in spec.fields and not spec.fields[name].identifying
    }
    return Patients.from_raw(spec, len(frame), raw)


def _regimens(frame: pd.DataFrame, spec: Specification, layout: Layout, notes: list[str]) -> tuple[Regimen, ...]:
    plan = layout.plan
    cycles = frame[plan.cycles].tolist() if plan.cycles in frame.columns else [None] * len(frame)
    made: dict[tuple[str, str, int | None], Regimen] = {}
    regimens = []
    for backbone, biologic, count in zip(frame[plan.backbone], frame[plan.biologic], cycles, strict=True):
        key = (backbone, biologic, None if pd.isna(count) else int(count))
        if key not in made:
            made[key] = spec.regimens.regimen(*key)
        regimens.append(made[key])
    assumed = sum(1 for count in cycles if pd.isna(count))
    if assumed:
        notes.append(f"planned cycles are not recorded in {assumed:,} rows; {DEFAULT_WEEKS} weeks are assumed there")
    return tuple(regimens)


def _outcomes(
    frame: pd.DataFrame, everything: Patients, spec: Specification, layout: Layout, notes: list[str]
) -> tuple[dict[str, Column], frozenset[str]]:
    outcomes: dict[str, Column] = {}
    recorded: set[str] = set()
    for outcome in spec.outcomes.outcomes:
        column = np.full(everything.n, np.nan)
        if outcome.name in frame.columns:
            column = np.array([np.nan if v is None or pd.isna(v) else float(v) for v in frame[outcome.name]])
        elif outcome.recorded is not None:
            column = answers(outcome.recorded, everything)
        if not np.isnan(column).all():
            recorded.add(outcome.name)
        outcomes[outcome.name] = column
    corrected = _raise_parents(outcomes, spec)
    if corrected:
        notes.append(
            f"in {corrected:,} rows an event was recorded without the event that it is part of (a death within 90 days "
            "is Clavien-Dindo V); the wider event counts as recorded"
        )
    start = everything[layout.keys.start]
    dates = [everything[f.name] for f in spec.fields.values() if f.kind is Kind.DATE and not f.identifying]
    last = np.nanmax(np.concatenate(dates)) if everything.n else np.nan
    for name, months in layout.horizon_months.items():
        still_open = start + months * DAYS_A_MONTH > last
        lost = int((still_open & ~np.isnan(outcomes[name])).sum())
        outcomes[name] = np.where(still_open, np.nan, outcomes[name])
        if lost:
            notes.append(
                f"{name}: {lost:,} rows began less than {months:g} months before the last date and do not count"
            )
    for outcome in spec.outcomes.outcomes:
        if outcome.within is None:
            continue
        parent, child = outcomes[outcome.within], outcomes[outcome.name]
        child = np.where(parent == 0, 0.0, np.where(np.isnan(parent), np.nan, child))
        if outcome.given is not None:
            child = np.where(outcomes[outcome.given] == 1, child, np.nan)
        outcomes[outcome.name] = child
    return outcomes, frozenset(recorded)


def _raise_parents(outcomes: dict[str, Column], spec: Specification) -> int:
    """Set an event that contains a recorded one, below the event both are given; return the rows changed."""
    changed = np.zeros(0, dtype=bool)
    for outcome in reversed(spec.outcomes.outcomes):
        parent = outcome.within
        if parent is None or outcome.given is None or parent == outcome.given:
            continue
        wrong = (outcomes[outcome.name] == 1) & (outcomes[outcome.given] == 1) & (outcomes[parent] != 1)
        changed = wrong if not changed.size else changed | wrong
        outcomes[parent] = np.where(wrong, 1.0, outcomes[parent])
    return int(changed.sum())


def _trainable(
    spec: Specification, outcomes: Mapping[str, Column], layout: Layout, recorded: frozenset[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    reasons: dict[str, str] = {}
    for outcome in spec.outcomes.outcomes:
        column = outcomes[outcome.name]
        at_risk = ~np.isnan(column)
        if outcome.within is not None:
            at_risk &= outcomes[outcome.within] == 1
        events, others = int((column[at_risk] == 1).sum()), int((column[at_risk] == 0).sum())
        among = "" if outcome.within is None else f" among those with {spec.outcomes[outcome.within].label.lower()}"
        if outcome.name not in recorded:
            reasons[outcome.name] = "not recorded in this registry"
        elif events + others == 0:
            reasons[outcome.name] = f"not known for any patient{among}"
        elif min(events, others) < layout.least_events:
            reasons[outcome.name] = (
                f"{events:,} events and {others:,} without{among}; at least {layout.least_events} of each are needed"
            )
    return tuple(name for name in spec.outcomes.names if name not in reasons), reasons

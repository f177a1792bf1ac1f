"""From a seed to a registry as hospitals export it, and the truth behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import Kind, Patients, Regimen, Specification
from training.registry.layout import load_layout
from training.simulator.course import Chronology, Events, chronology, first_days, happen, years_from_middle
from training.simulator.draw import draw_truth, site_names, streams, under_received
from training.simulator.record import write_down
from training.simulator.settings import load_settings
from training.simulator.shape import Column
from training.simulator.table import registry_table, truth_table
from training.simulator.treatment import for_weeks
from training.simulator.truth import Truth
from training.simulator.untested import seen_at_start

Step = Callable[[str, int, int], None]
_STEPS = ("patients", "regimens", "outcomes", "records", "registry", "truth")


def simulate(
    spec: Specification,
    patients: int = 3000,
    seed: int = 7,
    sites: int = 6,
    truth_override: Truth | None = None,
    confounding: float = 1.0,
    on_step: Step = lambda name, done, total: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Invent a registry.

    Parameters
    ----------
    truth_override
        A truth to use in place of the seed's own (`draw_truth`), for benchmarks that bend it.
    confounding
        Strength of the choice by indication: 1 as declared, 0 regardless of the patient.
    on_step
        Called as (name, done, total) after each step, for progress.

    Returns
    -------
    registry
        One row per patient; the first column marks every row as simulated; cells are plain Python values, None
        where not recorded.
    truth
        One row per patient and regimen, at the patient's own planned weeks: P(outcome | given) under the outcome's
        name, P(outcome | parent) under the name followed by ``|within``; the site's share is included.

    Raises
    ------
    ValueError
        When there is not at least one patient for each site.
    """
    if sites < 1 or patients < sites:
        raise ValueError("give at least one site, and at least one patient for each site")
    settings, rng = load_settings(spec), streams(seed)
    truth = truth_override or draw_truth(spec, seed, sites)
    encoding = truth.encoding

    def step(name: str) -> None:
        on_step(name, _STEPS.index(name) + 1, len(_STEPS))

    site = _sites(patients, sites, rng["sites"])
    start = first_days(settings.course, site, sites, rng["sites"])
    order = np.lexsort((start, site))
    site, start = site[order], start[order]
    complete = settings.population.draw(spec, encoding, rng["patients"], site, sites)
    years = years_from_middle(settings.course, start)
    seen = seen_at_start(complete, settings.untested, encoding, years, rng["untested"])
    step("patients")

    parts = len(settings.treatment.backbones) + len(settings.treatment.biologics)
    habits = (settings.treatment.habit_sd * rng["habits"].standard_normal((sites, parts)))[site]
    utility = settings.treatment.log_odds(seen, encoding, years, habits, confounding)
    chosen = settings.treatment.choose(utility, rng["choice"])
    weeks = settings.treatment.weeks(patients, rng["choice"])
    step("regimens")

    names = np.array(site_names(sites))[site]
    within = under_received(
        complete, weeks, chosen, lambda some, regimens, rows: truth.probabilities(some, regimens, names[rows])[0]
    )
    events = happen(spec.outcomes, within, settings.course, rng["events"])
    times = chronology(settings.course, complete, start, weeks, events, rng["days"])
    step("outcomes")

    regimens = _received(spec, weeks, chosen)
    plan = _plan(spec, regimens)
    records = write_down(
        settings.records, _truths(spec, events, times, regimens), complete, plan, encoding, rng["records"]
    )
    coded = _coded(spec, seen, {**plan, **times.dates, **records})
    step("records")

    blank = settings.missingness.blanks(
        spec,
        {name: ~np.isnan(next(iter(columns.values()))) for name, columns in coded.items()},
        site,
        sites,
        years,
        events.outcomes[settings.missingness.suspected.outcome],
        rng["blanks"],
    )
    keys = [f"{name}-{number:05d}" for name, number in zip(names, _counted(site), strict=True)]
    registry = registry_table(spec, coded, blank, keys, names)
    step("registry")
    frame = truth_table(spec, truth, complete, weeks, names, keys)
    step("truth")
    return registry, frame


def _sites(patients: int, sites: int, rng: np.random.Generator) -> NDArray[np.intp]:
    # Large and small hospitals, each with at least one patient.
    size = rng.uniform(0.5, 2.0, sites)
    drawn = rng.choice(sites, size=patients - sites, p=size / size.sum())
    return np.concatenate([np.arange(sites), drawn]).astype(np.intp)


def _counted(site: NDArray[np.intp]) -> NDArray[np.intp]:
    """Running number of each row within its site; sites are contiguous."""
    first = np.searchsorted(site, site, side="left")
    return np.arange(len(site)) - first + 1


def _received(spec: Specification, weeks: NDArray[np.intp], chosen: NDArray[np.intp]) -> list[Regimen]:
    at = {int(w): for_weeks(spec.regimens.all(), int(w), spec) for w in np.unique(weeks)}
    return [at[int(w)][c] for w, c in zip(weeks, chosen, strict=True)]


def _plan(spec: Specification, regimens: list[Regimen]) -> dict[str, Column]:
    plan = load_layout(spec).plan
    backbones, biologics = spec.codes(plan.backbone), spec.codes(plan.biologic)
    return {
        plan.backbone: np.array([float(backbones.index(r.backbone)) for r in regimens]),
        plan.biologic: np.array([float(biologics.index(r.biologic)) for r in regimens]),
        plan.cycles: np.array([float(r.planned_cycles) for r in regimens]),
    }


def _truths(spec: Specification, events: Events, times: Chronology, regimens: list[Regimen]) -> dict[str, Column]:
    truths = {
        name: np.where(times.known.get(name, times.known[""]) == 1, happened.astype(np.float64), np.nan)
        for name, happened in events.outcomes.items()
    }
    truths |= {e: np.array([r.exposures[e] for r in regimens]) for e in spec.regimens.exposure_names}
    return {**truths, "operated": times.operated, "settled": times.settled}


def _coded(spec: Specification, seen: Patients, later: Mapping[str, Column]) -> dict[str, dict[str, Column]]:
    """Coded columns by field, for every field that has a value at all."""
    found = {}
    for field in spec.registry_fields:
        columns = {c: later[c] if c in later else seen[c] for c in field.columns}
        if field.kind is not Kind.TEXT and not all(np.isnan(c).all() for c in columns.values()):
            found[field.name] = columns
    return found

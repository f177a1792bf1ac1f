"""Do adjusted contrasts between regimens find the truth, and as often as their intervals say?

`python -m benchmarks.effects --registries 200 --patients 3000` invents registries, each with a truth, a population,
sites and choices of its own, contrasts the regimens in each, and compares with the mean of the true chances under
either arm among the same patients. Rows are written as they come, and a run that was broken off goes on where it
stopped.

By default every registry records what decided the choice of regimen, as the method needs. `--as-exported` takes the
registries as hospitals would export them, with blanks in what decided the choice and in the outcomes: what was not
recorded cannot be adjusted for, and the bias that is left is measured, not claimed away.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import Part, Specification, load_specification
from training.bundle.scored import STATES
from training.effects.audit import LEAST_EVENTS, balanced_folds_of, overlap_of, resolved
from training.effects.compared import Adjusted, Compared, adjust, compare
from training.effects.covariates import Arms, tabulate
from training.effects.declared import RegimenPart, components
from training.effects.outcome_model import Design, cross_fitted
from training.effects.recorded import recorded
from training.registry import Cohort, build_cohort
from training.simulator import Truth, draw_truth, simulate
from training.simulator.course import first_days, happen, years_from_middle
from training.simulator.draw import site_names, streams, under_received
from training.simulator.settings import load_settings
from training.simulator.simulation import _received, _sites
from training.simulator.treatment import for_weeks
from training.simulator.untested import seen_at_start

Array = NDArray[np.float64]
SITES = 6
WANTED = (0.91, 0.98)  # coverage of the 95% intervals


@dataclass(frozen=True)
class World:
    """An invented registry with the truth behind it.

    Attributes
    ----------
    cohort
        What an analyst is given.
    chance
        True chance of each outcome and state for each patient under each regimen, for the weeks planned; (n, r).
    choice
        True chance of each regimen, (n, r).
    """

    cohort: Cohort
    chance: dict[str, Array]
    choice: Array


def invent(spec: Specification, seed: int, patients: int, as_exported: bool) -> World:
    """Invent a registry: the patients, choices and outcomes of `simulate` with the same seed."""
    settings, rng, truth = load_settings(spec), streams(seed), draw_truth(spec, seed, SITES)
    site = _sites(patients, SITES, rng["sites"])
    start = first_days(settings.course, site, SITES, rng["sites"])
    order = np.lexsort((start, site))
    site, start = site[order], start[order]
    complete = settings.population.draw(spec, truth.encoding, rng["patients"], site, SITES)
    years = years_from_middle(settings.course, start)
    seen = seen_at_start(complete, settings.untested, truth.encoding, years, rng["untested"])
    parts = len(settings.treatment.backbones) + len(settings.treatment.biologics)
    habits = (settings.treatment.habit_sd * rng["habits"].standard_normal((SITES, parts)))[site]
    utility = settings.treatment.log_odds(seen, truth.encoding, years, habits, 1.0)
    chosen = settings.treatment.choose(utility, rng["choice"])
    weeks = settings.treatment.weeks(patients, rng["choice"])
    names = np.array(site_names(SITES))[site]
    within = under_received(complete, weeks, chosen, lambda p, r, rows: truth.probabilities(p, r, names[rows])[0])
    chance = true_chances(spec, truth, complete, weeks, names)
    choice = np.exp(utility - utility.max(axis=1, keepdims=True))
    choice /= choice.sum(axis=1, keepdims=True)
    regimens = tuple(_received(spec, weeks, chosen))
    first = np.searchsorted(site, site, side="left")
    record = np.array([f"{n}-{i:05d}" for n, i in zip(names, np.arange(patients) - first + 1, strict=True)])
    if as_exported:
        cohort = build_cohort(simulate(spec, patients, seed, SITES)[0], spec)
        at = {name: i for i, name in enumerate(record.tolist())}
        rows = np.array([at[name] for name in cohort.record.tolist()])
        if [r.key for r in cohort.regimens] != [regimens[i].key for i in rows]:
            raise RuntimeError("the registry and the truth beside it are not of the same patients")
        return World(cohort, {name: c[rows] for name, c in chance.items()}, choice[rows])
    events = happen(spec.outcomes, within, settings.course, rng["events"]).outcomes
    outcomes = {}
    for outcome in spec.outcomes.outcomes:
        column = events[outcome.name].astype(np.float64)
        outcomes[outcome.name] = column if outcome.given is None else np.where(events[outcome.given], column, np.nan)
        if outcome.within is not None:
            parent = outcomes[outcome.within]
            outcomes[outcome.name] = np.where(parent == 0, 0.0, outcomes[outcome.name])
    days = np.array([np.datetime64("0001-01-01") + np.timedelta64(int(d) - 1, "D") for d in start])
    cohort = Cohort(
        spec=spec,
        patients=seen,
        regimens=regimens,
        outcomes=MappingProxyType(outcomes),
        site=names,
        record=record,
        index_date=days.astype("datetime64[D]"),
        flow=(),
        trainable=spec.outcomes.names,
        reasons=MappingProxyType({}),
        notes=(),
    )
    return World(cohort, chance, choice)


def true_chances(spec: Specification, truth: Truth, complete, weeks, names) -> dict[str, Array]:
    """True chance of each outcome of everyone started and of each state, (n, r)."""
    regimens = spec.regimens.all()
    found = {n: np.empty((complete.n, len(regimens))) for n in spec.outcomes.names}
    for duration in np.unique(weeks):
        rows = np.flatnonzero(weeks == duration)
        planned = for_weeks(regimens, int(duration), spec)
        for name, value in truth.probabilities(complete.take(rows), planned, names[rows])[1].items():
            found[name][rows] = value
    resected, major = (found[spec.outcomes.part(p).name] for p in (Part.RESECTION, Part.COMPLICATION))
    return {**found, STATES[1]: resected * (1 - major), STATES[2]: resected * major}


def true_arms(world: World, compared: Compared, received: NDArray[np.intp], outcome: str) -> tuple[Array, Array, Array]:
    """True chance of an outcome under either arm, and the true propensity of the first among both, shape (n,)."""
    spec = world.cohort.spec
    part = compared.contrast.part
    names = [components(spec, p) for p in RegimenPart]
    keys = [(names[0].index(r.backbone), names[1].index(r.biologic)) for r in spec.regimens.all()]
    # The other part of the regimen stays as received.
    beside = np.array([k[part.other] for k in keys])[None, :] == received[:, [part.other]]
    means, totals = [], []
    for arm in (compared.contrast.first, compared.contrast.second):
        inside = np.isin([k[part] for k in keys], arm)[None, :] & beside
        weight = world.choice * inside
        total = weight.sum(axis=1)
        means.append((weight * world.chance[outcome]).sum(axis=1) / total)
        totals.append(total)
    return means[0], means[1], totals[0] / (totals[0] + totals[1])


def measure(spec: Specification, seed: int, patients: int, as_exported: bool) -> list[dict[str, object]]:
    """Contrast the regimens of one registry and compare with its truth."""
    world = invent(spec, seed, patients, as_exported)
    began = time.process_time()
    cohort = world.cohort
    table = tabulate(cohort, spec)
    fold = balanced_folds_of(table)
    pairs = compare(cohort, table, resolved(spec), fold)
    design = Design.of(table, Arms.of(cohort, spec))
    rows: list[dict[str, object]] = []
    overlaps = [overlap_of(pair) for pair in pairs]
    for outcome in recorded(cohort, spec):
        predicted = cross_fitted(design, outcome, fold)
        for pair, overlap in zip(pairs, overlaps, strict=True):
            if not overlap.estimable:
                continue
            adjusted = adjust(pair, outcome, predicted)
            rows.append(
                {
                    "seed": seed,
                    "contrast": pair.contrast.declared.name,
                    "outcome": outcome.name,
                    "kept": len(adjusted.kept),
                    "effective": min(overlap.effective_first, overlap.effective_second),
                    "fewest": fewest(pair, outcome.y),
                    **errors(world, pair, adjusted, table.received, outcome.name),
                }
            )
    for row in rows:
        row["seconds"] = time.process_time() - began
    return rows


def fewest(pair: Compared, y: Array) -> int:
    """Events, or patients without, in the arm with the fewest, among those with overlap."""
    found = []
    for arm in (pair.first, pair.second):
        own = y[pair.rows][arm & pair.kept]
        own = own[~np.isnan(own)]
        found += [own.sum(), len(own) - own.sum()]
    return int(min(found))


def errors(
    world: World, pair: Compared, adjusted: Adjusted, received: NDArray[np.intp], outcome: str
) -> dict[str, float]:
    """Truths and estimates of one contrast on one outcome."""
    first, second, chance = true_arms(world, pair, received, outcome)
    effect, openness = first - second, chance * (1 - chance)
    truth = float(np.average(effect[adjusted.kept], weights=adjusted.weight))
    weighted = float(np.average(effect[adjusted.either], weights=openness[adjusted.either]))
    found = {"truth": truth, "overlap_truth": weighted}
    for name, influence, true in (
        ("aipw", adjusted.aipw, truth),
        ("overlap_weighted", adjusted.overlap_weighted, weighted),
        ("crude", adjusted.crude, truth),
    ):
        se = influence.se()
        found |= {
            f"{name}_error": influence.value - true,
            f"{name}_se": se,
            f"{name}_covered": float(abs(influence.value - true) <= 1.959964 * se),
        }
    return found


def summarise(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Coverage in percent, bias and standard deviation of the error in points, and mean standard error."""
    lines = []
    for key, part in rows.groupby(by) if by else [(("all",), rows)]:
        line = dict(zip(by or ["contrast"], key if isinstance(key, tuple) else (key,), strict=True))
        line |= {"registries": part["seed"].nunique(), "truth": 100 * part["truth"].mean()}
        for name in ("aipw", "overlap_weighted", "crude"):
            error = 100 * part[f"{name}_error"]
            line |= {
                f"{name}_coverage": 100 * part[f"{name}_covered"].mean(),
                f"{name}_bias": error.mean(),
                f"{name}_sd": error.std(),
                f"{name}_se": 100 * part[f"{name}_se"].mean(),
            }
        lines.append(line)
    return pd.DataFrame(lines)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--registries", type=int, default=200)
    parser.add_argument("--patients", type=int, default=3000)
    parser.add_argument("--as-exported", action="store_true", help="with blanks in what decided the choice")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("build/effects"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / f"rows-{asked.patients}{'-exported' if asked.as_exported else ''}.csv"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    done = {int(row["seed"]) for row in rows}
    spec = load_specification()
    for seed in range(asked.first_seed, asked.first_seed + asked.registries):
        if seed not in done:
            rows += measure(spec, seed, asked.patients, asked.as_exported)
            pd.DataFrame(rows).to_csv(path, index=False)
            print(seed, flush=True)
    frame = pd.DataFrame(rows)
    frame = frame[frame["seed"] < asked.first_seed + asked.registries]
    answered = frame["fewest"] >= LEAST_EVENTS
    print(f"{(~answered).sum()} of {len(frame)} contrasts are refused for too few events, as the audit does\n")
    frame = frame[answered]
    with pd.option_context("display.width", 250, "display.max_rows", 500, "display.max_columns", 30):
        for by in ([], ["contrast"], ["outcome"], ["contrast", "outcome"]):
            print(summarise(frame, by).round(1).to_string(index=False), "\n")
    coverage = frame["aipw_covered"].mean()
    wanted = f"wanted {WANTED[0]:.0%} to {WANTED[1]:.0%}"
    cells = frame.groupby(["contrast", "outcome"])["aipw_covered"].mean()
    print(f"cells within: {cells.between(*WANTED).sum()} of {len(cells)}, from {cells.min():.1%} to {cells.max():.1%}")
    print(f"coverage of 95% AIPW intervals: {100 * coverage:.1f}% of {len(frame)} ({wanted})")


if __name__ == "__main__":
    main()

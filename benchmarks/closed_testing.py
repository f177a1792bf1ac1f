"""What closed testing chooses when the champion is right, and when it is not: python -m benchmarks.closed_testing

Registries are drawn from the champion itself: real-looking patients under the regimens they received, every outcome
drawn anew down the tree from the champion's own probabilities. Nothing of it is knowledge about patients.

- right: a whole registry; the share of registries in which each outcome is left alone, before and after Holm's
  correction, and in which all are.
- intercept: an outcome drawn with its log-odds moved by 0.5, among as many patients as give about 300 of whatever is
  rarer, events or their absence; the share in which it gets an intercept: tested alone, by Holm's correction beside
  eleven outcomes that are right, and beside eleven that have moved as well.
- slope: the same with prognosis turned by 0.7 about its mean, for information.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features import Specification, load_specification
from training.bundle import Bundle, load_bundle
from training.champion import Predicted, evidence, predict
from training.evidence import load_prior
from training.registry import Cohort, build_cohort
from training.simulator import simulate
from training.updating import revision_design
from validation.closed_testing import Chosen, Ladder, choose, climb

Array = NDArray[np.float64]
WANTED = 0.90
SHIFT, SLOPE, EVENTS = 0.5, 0.7, 300
ALONE = "each outcome alone"
BESIDE_RIGHT, BESIDE_MOVED = "Holm beside right ones", "Holm beside moved ones"
RIGHT_ALONE, RIGHT = f"right, {ALONE}", "right, Holm"
TOGETHER = "all together"


@dataclass(frozen=True)
class Pool:
    """Invented patients with what the champion says of them."""

    spec: Specification
    cohort: Cohort
    predicted: Predicted
    designs: Mapping[str, Array]

    def ladder(self, outcome: str, rows: NDArray[np.intp], y: Array) -> Ladder:
        """Climb the steps of one outcome on some patients, repeats allowed."""
        return climb(
            y,
            self.predicted.log_odds[outcome][rows],
            self.designs[outcome][rows],
            self.predicted.reference[outcome][rows],
        )


def pool(bundle: Bundle, patients: int, seed: int) -> Pool:
    """Invent patients and let a model predict them once."""
    spec = bundle.spec
    frame, _ = simulate(spec, patients=patients, seed=seed, sites=6)
    cohort = build_cohort(frame, spec)
    everyone = np.ones(len(cohort), dtype=bool)
    designs = {name: revision_design(cohort, name, everyone) for name in spec.outcomes.names}
    return Pool(spec, cohort, predict(bundle, cohort), designs)


def right(here: Pool, patients: int, rng: np.random.Generator) -> dict[str, Ladder]:
    """Ladders of a registry in which the champion is right about every outcome."""
    rows = rng.integers(len(here.cohort), size=patients)
    happened: dict[str, NDArray[np.bool_]] = {}
    ladders = {}
    for outcome in here.spec.outcomes.outcomes:
        name = outcome.name
        drawn = rng.random(patients) < expit(here.predicted.log_odds[name][rows])
        risk = np.ones(patients, dtype=bool) if outcome.within is None else happened[outcome.within]
        happened[name] = drawn & risk
        ladders[name] = here.ladder(name, rows[risk], drawn[risk].astype(float))
    return ladders


def moved(here: Pool, outcome: str, move: Callable[[str], Array], rng: np.random.Generator) -> Ladder:
    """Ladder of an outcome drawn from other log-odds, among as many at risk as give about 300 events."""
    chances = expit(move(outcome))
    risk = np.ones(len(here.cohort))
    for ancestor in here.spec.outcomes.ancestors(outcome):
        risk = risk * expit(here.predicted.log_odds[ancestor])
    share = risk / risk.sum()
    rarer = min(float(share @ chances), 1.0 - float(share @ chances))
    rows = rng.choice(len(share), size=round(EVENTS / rarer), p=share)
    return here.ladder(outcome, rows, (rng.random(len(rows)) < chances[rows]).astype(float))


def measure(here: Pool, registries: int, patients: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Shares of each choice by scenario and outcome."""
    rng = np.random.default_rng(seed)
    names = here.spec.outcomes.names
    reference = here.predicted.reference

    def shifted(name: str) -> Array:
        return here.predicted.log_odds[name] + SHIFT

    def turned(name: str) -> Array:
        centred = reference[name] - reference[name].mean()
        return here.predicted.log_odds[name] + (SLOPE - 1.0) * centred

    counted = [RIGHT_ALONE, RIGHT]
    counted += [f"{move}, {how}" for move in ("intercept", "slope") for how in (ALONE, BESIDE_RIGHT, BESIDE_MOVED)]
    chosen = {scenario: {name: Counter[str]() for name in names} for scenario in counted}
    chosen[RIGHT_ALONE][TOGETHER], chosen[RIGHT][TOGETHER] = Counter[str](), Counter[str]()
    for number in range(registries):
        base = right(here, patients, rng)
        _count(chosen[RIGHT_ALONE], _alone(base))
        _count(chosen[RIGHT], choose(base))
        for move, by in (("intercept", shifted), ("slope", turned)):
            off = {name: moved(here, name, by, rng) for name in names}
            _count(chosen[f"{move}, {ALONE}"], _alone(off))
            _count(chosen[f"{move}, {BESIDE_MOVED}"], choose(off))
            beside = {name: choose({**base, name: ladder})[name] for name, ladder in off.items()}
            _count(chosen[f"{move}, {BESIDE_RIGHT}"], beside)
        if (number + 1) % 20 == 0:
            print(f"{number + 1}/{registries}", file=sys.stderr, flush=True)
    return {
        scenario: {
            name: {step: n / registries for step, n in sorted(counts.items())} for name, counts in by_outcome.items()
        }
        for scenario, by_outcome in chosen.items()
    }


def _alone(ladders: Mapping[str, Ladder]) -> dict[str, Chosen]:
    return {name: choose({name: ladder})[name] for name, ladder in ladders.items()}


def _count(counters: Mapping[str, Counter[str]], found: Mapping[str, Chosen]) -> None:
    for name, one in found.items():
        counters[name][one.step] += 1
    if TOGETHER in counters:
        steps = {one.step for one in found.values()}
        counters[TOGETHER]["nothing" if steps == {"nothing"} else "something"] += 1


def verdict(shares: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Every promise that the shares do not keep; the slope is information and promises nothing."""
    promised = (
        (RIGHT_ALONE, "nothing", False),
        (RIGHT, "nothing", True),
        (f"intercept, {ALONE}", "intercept", False),
        (f"intercept, {BESIDE_RIGHT}", "intercept", False),
    )
    return [
        f"{scenario}: {name}: {step} in {share.get(step, 0.0):.1%}, wanted {WANTED:.0%}"
        for scenario, step, whole in promised
        for name, share in shares[scenario].items()
        if (whole or name != TOGETHER) and share.get(step, 0.0) < WANTED
    ]


def main() -> int:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--registries", type=int, default=200)
    parser.add_argument("--patients", type=int, default=1500, help="in each registry")
    parser.add_argument("--pool", type=int, default=6000, help="invented patients that registries are drawn from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, help="the champion's bundle folder; the evidence by default")
    parser.add_argument("--out", type=Path, help="a JSON file for the shares")
    asked = parser.parse_args()
    spec = load_specification()
    bundle = evidence(spec, load_prior(spec)).bundle if asked.model is None else load_bundle(asked.model, spec)
    started = time.process_time()
    here = pool(bundle, asked.pool, asked.seed)
    shares = measure(here, asked.registries, asked.patients, asked.seed)
    for scenario, by_outcome in shares.items():
        print(f"\n{scenario}")
        for name, share in by_outcome.items():
            print(f"  {name:32s}" + "  ".join(f"{step} {part:6.1%}" for step, part in share.items()))
    print(f"\n{asked.registries} registries in {time.process_time() - started:.0f} s of one core")
    if asked.out is not None:
        asked.out.write_text(json.dumps(shares, indent=1) + "\n", "utf-8")
    broken = verdict(shares)
    print("\n".join(broken), file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

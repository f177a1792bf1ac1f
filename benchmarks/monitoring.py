"""How often the monitor cries wolf, and how soon it finds a drift, at ten patients a month.

`python -m benchmarks.monitoring` takes the evidence's predictions for simulated patients, finds control limits on half
of them and measures on the other half: events drawn as predicted for false alarms, and with O:E moved for power. The
limits are those of the served monitor, every rule together, on the headline pair at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np

from features import Specification, load_specification
from training.champion import evidence, predict
from training.evidence import load_prior
from training.registry import Cohort, build_cohort
from training.simulator import simulate
from validation.monitoring.control_limits import CaseMix, ControlLimits, Streams, control_limits, draw, power
from validation.monitoring.drift import input_drift, prediction_drift, regimen_mix
from validation.monitoring.findings import Severity
from validation.monitoring.profile import profile
from validation.monitoring.thresholds import CalibrationThresholds, load_thresholds

MOST_FALSE, LEAST_FOUND, EVENTS = 0.05, 0.8, 60
RATIOS = (1 / 1.5, 1.25, 1.5, 2.0)
AIMS = (0.01, 0.02, 0.03, 0.045, 0.1)


def case_mixes(spec: Specification, cohort: Cohort, chance: Mapping[str, np.ndarray]) -> tuple[CaseMix, CaseMix]:
    """Predictions for one half of the patients, to find limits on, and for the other."""
    half = np.arange(len(cohort)) % 2 == 0
    watched = [spec.outcomes.part(part) for part in load_thresholds().calibration.shares]

    def mix(rows: np.ndarray) -> CaseMix:
        return CaseMix(
            {o.name: chance[o.name][rows] for o in watched},
            {o.name: np.ones(int(rows.sum())) if o.given is None else chance[o.given][rows] for o in watched},
        )

    return mix(half), mix(~half)


def false_alarms(mix: CaseMix, limits: ControlLimits, years: int, runs: int, seed: int) -> list[float]:
    """Share of charts with a first alarm in each year, among those quiet until then."""
    streams = draw(mix, runs, 12 * years, limits.per_month, np.random.default_rng(seed))
    firsts = [limits.first_alarm(streams, name) for name in mix.chance]
    first = np.min([np.where(f < 0, np.iinfo(np.int64).max, f) for f in firsts], axis=0)
    a_year = 12 * limits.per_month
    quiet = [(first > y * a_year).mean() for y in range(years + 1)]
    return [float(1 - after / before) for before, after in pairwise(quiet)]


def input_alarms(
    cohort: Cohort, chance: Mapping[str, np.ndarray], window: int, looks: int, seed: int
) -> dict[str, float]:
    """Share of looks at a year of unchanged patients with any alert about inputs, regimens or mean predictions."""
    rng, limits = np.random.default_rng(seed), load_thresholds().inputs
    half = rng.permutation(len(cohort)) % 2 == 0
    past, coming = np.flatnonzero(half), np.flatnonzero(~half)
    headline = frozenset(o.name for o in cohort.spec.outcomes.outcomes if o.headline)
    held = profile(
        cohort.patients.take(past), [cohort.regimens[i] for i in past], {k: p[past] for k, p in chance.items()}
    )
    raised = {"inputs": 0, "regimens": 0, "predictions": 0, "any": 0}
    for _ in range(looks):
        rows = rng.choice(coming, window)
        found = {
            "inputs": input_drift(cohort.patients.take(rows), held, limits),
            "regimens": regimen_mix([cohort.regimens[i] for i in rows], held, limits),
            "predictions": prediction_drift({k: p[rows] for k, p in chance.items()}, held, limits, headline),
        }
        alerts = {name: any(one.severity is Severity.ALERT for one in part) for name, part in found.items()}
        for name, is_alert in alerts.items():
            raised[name] += is_alert
        raised["any"] += any(alerts.values())
    return {name: count / looks for name, count in raised.items()}


def pooled(mix: CaseMix, limits: ControlLimits, ratio: float, runs: int, seed: int) -> float:
    """Share found within 60 events of all watched outcomes together, when all of them drift at once."""
    streams = draw(mix, runs, 60, limits.per_month, np.random.default_rng(seed), dict.fromkeys(mix.chance, ratio))
    return float((_events_at_alarm(streams, limits) <= EVENTS).mean())


def _events_at_alarm(streams: Streams, limits: ControlLimits) -> np.ndarray:
    so_far = np.sum([np.nancumsum(y, axis=1) for y in streams.events.values()], axis=0)
    found = np.full(len(so_far), np.inf)
    for name in streams.chance:
        first = limits.first_alarm(streams, name)
        at = np.where(first > 0, so_far[np.arange(len(so_far)), first - 1], np.inf)
        found = np.minimum(found, at)
    return found


def measure(spec: Specification, per_month: int, runs: int, seed: int) -> dict[str, object]:
    """Every figure."""
    frame, _ = simulate(spec, patients=2000, seed=seed, sites=6)
    cohort = build_cohort(frame, spec)
    chance = predict(evidence(spec, load_prior(spec)).bundle, cohort).probability
    here, there = case_mixes(spec, cohort, chance)
    settings = load_thresholds().calibration
    shares = {spec.outcomes.part(part).name: share for part, share in settings.shares.items()}

    def at(aim: float) -> ControlLimits:
        return control_limits(here, shares, settings.model_copy(update={"aim": aim}), per_month)

    limits = at(settings.aim)
    drifts = [
        power(there, limits, name, ratio, EVENTS, runs, seed + 2).__dict__ for name in there.chance for ratio in RATIOS
    ]
    curve = [_trade(there, at(aim), settings, aim, runs, seed) for aim in AIMS]
    return {
        "patients_a_month": per_month,
        "runs": runs,
        "limits": {f"{name}, {direction}": h for (name, direction), h in limits.height.items()},
        "false_alarms_by_year": false_alarms(there, limits, 5, runs, seed + 1),
        "found": drifts,
        "found_pooled": pooled(there, limits, settings.found, runs, seed + 3),
        "trade_off": curve,
        "input_alarms_a_look": input_alarms(cohort, chance, 12 * per_month, min(runs // 5, 400), seed + 6),
    }


def _trade(
    mix: CaseMix, limits: ControlLimits, settings: CalibrationThresholds, aim: float, runs: int, seed: int
) -> dict[str, float]:
    found = {
        name: power(mix, limits, name, settings.found, EVENTS, runs, seed + 4).within_events for name in mix.chance
    }
    return {"aim": aim, "false_alarms": max(false_alarms(mix, limits, 3, runs, seed + 5)), **found}


def show(figures: Mapping[str, object]) -> bool:
    """Print the figures; whether both bars are met."""
    by_year: list[float] = figures["false_alarms_by_year"]  # type: ignore[assignment]
    found: list[dict[str, float]] = figures["found"]  # type: ignore[assignment]
    print(
        f"{figures['patients_a_month']} patients a month, {figures['runs']} runs; every rule on both outcomes together"
    )
    print("limits of the CUSUM:", ", ".join(f"{k} {v:.2f}" for k, v in figures["limits"].items()))  # type: ignore[attr-defined]
    print("false alarms, by year of a chart:", " ".join(f"{100 * x:.1f}%" for x in by_year), f"(bar {MOST_FALSE:.0%})")
    print(f"{'outcome':22}{'O:E':>6}{'in 60 events':>14}{'in 12 months':>14}{'in 24 months':>14}{'median months':>15}")
    for d in found:
        middle = "-" if d["median_months"] is None else f"{d['median_months']:.1f}"
        shares = "".join(f"{100 * d[k]:13.0f}%" for k in ("within_events", "within_a_year", "within_two_years"))
        print(f"{d['outcome']:22}{d['ratio']:6.2f}{shares}{middle:>15}")
    print(f"both at O:E 1.5, found within 60 events of the two together: {100 * figures['found_pooled']:.0f}%")  # type: ignore[operator]
    print("trade-off: false alarms in the worst year, and O:E 1.5 found within 60 events")
    for row in figures["trade_off"]:  # type: ignore[attr-defined]
        rest = ", ".join(f"{k} {100 * v:.0f}%" for k, v in row.items() if k not in ("aim", "false_alarms"))
        print(f"  aimed at {100 * row['aim']:.1f}%: {100 * row['false_alarms']:.1f}%; {rest}")
    looks = ", ".join(f"{k} {100 * v:.1f}%" for k, v in figures["input_alarms_a_look"].items())  # type: ignore[attr-defined]
    print(f"alerts at one look at a year of unchanged patients: {looks}")
    at_bar = [d for d in found if d["ratio"] == load_thresholds().calibration.found]
    return max(by_year) <= MOST_FALSE and all(d["within_events"] >= LEAST_FOUND for d in at_bar)


def main() -> int:
    arguments = argparse.ArgumentParser(description="False alarms and power of the monitor.")
    arguments.add_argument("--per-month", type=int, default=10)
    arguments.add_argument("--runs", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--json", type=Path)
    chosen = arguments.parse_args()
    began = time.perf_counter()
    figures = measure(load_specification(), chosen.per_month, chosen.runs, chosen.seed)
    met = show(figures)
    print(f"{'Both bars met' if met else 'NOT met'}; {time.perf_counter() - began:.0f} s")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

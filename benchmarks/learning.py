"""How candidates learn from registries whose truth differs from the evidence in known ways.

`python -m benchmarks.learning --seeds 20 --out learning` writes a table (CSV), a summary and a plot. Truths are
invented here from the evidence's own coefficients, so that "the prior is right" has a meaning; nothing of it is
knowledge about patients.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from features import INTERCEPT, Part, Regimen, Specification, load_specification
from features.encoding import Encoding, PatientFactor
from training.bundle import OutcomeModel, Prior
from training.bundle.learned import BoosterModel
from training.bundle.prior import OutcomePrior
from training.bundle.scores import Engine
from training.crossfit import CANDIDATE_NEEDS
from training.encoded import Encoded, encode
from training.evidence import load_prior
from training.learners import Fit, fit_candidate
from training.learners.update import prior_moments
from training.recalibration import calibrate
from training.registry import Cohort, build_cohort, read_registry
from training.simulator import Truth, draw_truth, simulate
from training.simulator.settings import load_settings
from validation.calibration import fit_line

Array = NDArray[np.float64]
SIZES = (0, 50, 100, 200, 500, 1000, 5000)
SITES = 5
TEST = 400  # held-out patients behind each excess log loss
COVERED = 60  # of them, with all regimens, behind each interval coverage
CANDIDATES = ("evidence", "recalibrated", "updated", "xgboost_prior", "logistic", "xgboost")


@dataclass(frozen=True)
class Scenario:
    """A way in which the truth differs from the evidence."""

    name: str
    truth: Callable[[Specification, Prior, int], Truth]
    confounding: float = 1.0


def drawn_truth(spec: Specification, prior: Prior, seed: int) -> Truth:
    """A truth drawn from the evidence: one value for each coefficient of each outcome."""
    rng = np.random.default_rng(10_000 + seed)
    encoding = load_settings(spec).encoding(spec)
    coefficients: dict[str, dict[str, float]] = {}
    for part in prior.parameters.outcomes:
        mean, covariance = prior_moments(part, prior.terms)
        values, vectors = np.linalg.eigh(covariance)
        beta = mean + vectors @ (np.sqrt(np.clip(values, 0, None)) * rng.standard_normal(len(mean)))
        for term, direction in spec.outcomes[part.outcome].settled.items():
            if term in prior.terms:
                j = prior.terms.index(term)
                beta[j] = max(beta[j], 0.0) if direction == "increasing" else min(beta[j], 0.0)
        named = {c.term for c in part.coefficients}
        coefficients[part.outcome] = {t: float(b) for t, b in zip(prior.terms, beta, strict=True) if t in named}
        coefficients[part.outcome].setdefault(INTERCEPT, 0.0)
    return Truth(encoding, coefficients, {})


def _right(spec: Specification, prior: Prior, seed: int) -> Truth:
    return drawn_truth(spec, prior, seed)


def _prognosis_off(spec: Specification, prior: Prior, seed: int) -> Truth:
    return drawn_truth(spec, prior, seed).scaled(0.7)


def _contrast_off(spec: Specification, prior: Prior, seed: int) -> Truth:
    # The triplet removes disease in 12 points fewer than the evidence has it, at a rate of about 40%.
    resection = spec.outcomes.part(Part.RESECTION).name
    term = next(f.name for f in spec.encoding.regimen_factors if len(f.exposures) == 2 and not f.weeks)
    truth = drawn_truth(spec, prior, seed)
    mean = {c.term: c.mean for p in prior.parameters.outcomes if p.outcome == resection for c in p.coefficients}
    return truth.with_effect(resection, term, mean.get(term, 0.0) - 0.55)


def _nonlinear(spec: Specification, prior: Prior, seed: int) -> Truth:
    # Thresholds where the evidence has straight lines, on inputs that nearly every registry records.
    by_name = {f.name: f for f in spec.encoding.patient_factors}
    count, size, age = (by_name[n].of for n in ("metastases", "diameter", "age"))
    added = (
        PatientFactor(name="few", of=count, below=5),
        PatientFactor(name="very_large", of=size, above=80),
        PatientFactor(name="old", of=age, at_least=72),
        PatientFactor(name="old_with_many", product=("old", "bilobar")),
    )
    truth = drawn_truth(spec, prior, seed)
    wider = Encoding(
        patient_factors=(*truth.encoding.patient_factors, *added),
        regimen_factors=truth.encoding.regimen_factors,
        interactions=truth.encoding.interactions,
    )
    truth = replace(truth, encoding=wider)
    resection = spec.outcomes.part(Part.RESECTION).name
    for factor, effect in zip(added, (1.5, -1.5, 0.8, -2.0), strict=True):
        truth = truth.with_effect(resection, factor.name, effect)
    return truth


def _simulator(spec: Specification, prior: Prior, seed: int) -> Truth:
    return draw_truth(spec, seed, SITES)


SCENARIOS = (
    Scenario("prior_right", _right),
    Scenario("prognosis_off", _prognosis_off),
    Scenario("contrast_off", _contrast_off),
    Scenario("confounded", _right, confounding=2.5),
    Scenario("nonlinear", _nonlinear),
    Scenario("simulator", _simulator),
)


@dataclass(frozen=True)
class World:
    """One invented population, encoded once; the last `TEST` patients are held out."""

    spec: Specification
    prior: Prior
    cohort: Cohort
    encoded: Encoded
    within: Mapping[str, Array]  # true P(outcome | parent) by outcome, (n, 20)
    received: NDArray[np.intp]

    @property
    def test(self) -> NDArray[np.intp]:
        """Positions of the held-out patients."""
        return np.arange(self.encoded.n - TEST, self.encoded.n)


def world(scenario: Scenario, seed: int, most: int) -> World:
    """Invent one population under a scenario."""
    spec = load_specification()
    prior = load_prior(spec)
    truth = scenario.truth(spec, prior, seed)
    size = int(1.25 * (most + TEST)) + 50
    registry, table = simulate(
        spec, patients=size, seed=seed, sites=SITES, truth_override=truth, confounding=scenario.confounding
    )
    cohort = build_cohort(registry, spec)
    rng = np.random.default_rng(seed)
    cohort = cohort.take(rng.permutation(cohort.patients.n)[: most + TEST])
    keys = [(r.backbone, r.biologic) for r in spec.regimens.all()]
    return _world(spec, prior, cohort, table, keys)


def _world(
    spec: Specification, prior: Prior, cohort: Cohort, table: pd.DataFrame, keys: Sequence[tuple[str, str]]
) -> World:
    record = next(iter(table.columns))
    indexed = table.set_index([record, "backbone", "biologic"])
    rows = pd.MultiIndex.from_tuples([(r, *k) for r in cohort.record for k in keys])
    picked = indexed.loc[rows]
    within = {
        name: picked[f"{name}|within"].to_numpy().reshape(cohort.patients.n, len(keys)) for name in spec.outcomes.names
    }
    received = np.array([keys.index(r.key) for r in cohort.regimens])
    return World(spec, prior, cohort, encode(cohort, prior, spec), within, received)


def world_from(registry: Path, truth: Path, seed: int) -> World:
    """Read a population made by anyone: a registry and the truth behind it, as `resecta simulate` writes them."""
    spec = load_specification()
    prior = load_prior(spec)
    cohort = build_cohort(read_registry(registry, spec, None).frame, spec)
    cohort = cohort.take(np.random.default_rng(seed).permutation(cohort.patients.n))
    return _world(spec, prior, cohort, pd.read_parquet(truth), [r.key for r in spec.regimens.all()])


def measure(name: str, here: World, seed: int, sizes: Sequence[int]) -> list[dict[str, object]]:
    """Every figure of one population, one row a size, candidate and outcome."""
    tree = here.spec.outcomes
    wanted = [tree.part(Part.PRIMARY).name, tree.part(Part.COMPLICATION).name]
    chain = list(dict.fromkeys(n for name in wanted for n in (*tree.ancestors(name)[::-1], name)))
    rows: list[dict[str, object]] = []
    for size in sizes:
        train = np.zeros(here.encoded.n, dtype=bool)
        train[:size] = True
        fitted = {c: {o: _fit(c, here, o, train) for o in chain} for c in CANDIDATES}
        for candidate, fits in fitted.items():
            for outcome in wanted:
                rows.append(
                    {"scenario": name, "seed": seed, "n": size, "candidate": candidate, "outcome": outcome}
                    | _excess(here, fits, outcome)
                )
        about = _intervals(here, fitted["xgboost_prior"], wanted)
        for outcome in wanted:
            rows.append(
                {"scenario": name, "seed": seed, "n": size, "candidate": "xgboost_prior", "outcome": outcome}
                | about[outcome]
            )
        rows.append(
            {"scenario": name, "seed": seed, "n": size, "candidate": "xgboost_prior", "outcome": wanted[0]}
            | _contrast(here, fitted["xgboost_prior"], train, wanted[0])
        )
    return rows


def _fit(candidate: str, here: World, outcome: str, train: NDArray[np.bool_]) -> Fit:
    encoded = here.encoded
    rows = encoded.eligible(outcome) & train
    y = encoded.outcomes[outcome][rows]
    fewest = int(min(y.sum(), len(y) - y.sum())) if len(y) else 0
    learner = "xgboost_prior" if candidate in ("updated", "xgboost_prior") else candidate
    j = encoded.column(outcome)
    if candidate == "recalibrated":
        line = calibrate(y, encoded.prior[rows, j]) if len(y) else (0.0, 1.0)
        return Fit(lambda data: line[0] + line[1] * data.prior[:, j])
    if fewest < CANDIDATE_NEEDS.get(learner, 0):
        return fit_candidate("evidence", encoded, outcome, rows)
    fit = fit_candidate(learner, encoded, outcome, rows)  # type: ignore[arg-type]
    if candidate == "updated" and fit.updated is not None:
        updated = fit.updated
        return Fit(lambda data: updated.log_odds(data.effects), updated=updated)
    return fit


def _excess(here: World, fits: Mapping[str, Fit], outcome: str) -> dict[str, float]:
    test = here.test
    tree = here.spec.outcomes
    q = np.prod([expit(fits[o].log_odds(here.encoded)[test]) for o in tree.chain(outcome)], axis=0)
    p = np.prod([here.within[o][test, here.received[test]] for o in tree.chain(outcome)], axis=0)
    q, p = np.clip(q, 1e-6, 1 - 1e-6), np.clip(p, 1e-6, 1 - 1e-6)
    excess = float(np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))))
    intercept, slope = fit_line(p, logit(q)) if np.ptp(q) > 1e-6 else (np.nan, np.nan)
    return {"excess_log_loss": excess, "calibration_slope": slope, "calibration_intercept": intercept}


def _engine(here: World, fits: Mapping[str, Fit]) -> Engine:
    spec, prior = here.spec, here.prior

    def moved(part: OutcomePrior) -> OutcomePrior:
        fit = fits.get(part.outcome)
        if fit is None or fit.updated is None:
            return part
        at = [prior.terms.index(c.term) for c in part.coefficients]
        covariance = fit.updated.covariance[np.ix_(at, at)]
        return OutcomePrior(
            outcome=part.outcome,
            coefficients=tuple(
                c.model_copy(update={"mean": float(fit.updated.mean[j])})
                for c, j in zip(part.coefficients, at, strict=True)
            ),
            covariance=tuple(map(tuple, ((covariance + covariance.T) / 2).tolist())),
        )

    parameters = prior.parameters.model_copy(update={"outcomes": tuple(moved(p) for p in prior.parameters.outcomes)})
    learned = {}
    for outcome, fit in fits.items():
        if fit.file is not None and fit.write is not None:
            raw = fit.write.keywords["raw"]  # type: ignore[attr-defined]
            learned[outcome] = BoosterModel(raw, here.encoded.factors, (), True, 0.0, spec)
    models = [
        OutcomeModel(outcome=o, learner="xgboost_prior", lack_of_fit=fits[o].lack_of_fit if o in fits else 0.0)
        for o in spec.outcomes.names
    ]
    return Engine(spec, Prior(parameters, spec), models, learned)


def _grid(here: World, positions: NDArray[np.intp], engine: Engine) -> tuple[Array, Array]:
    """Points (n, o, 20) and draws (n, o, DRAWS, 20) at each patient's own planned weeks."""
    weeks = np.array([here.cohort.regimens[i].planned_weeks for i in positions])
    points, draws = {}, {}
    for duration in np.unique(weeks):
        rows = np.flatnonzero(weeks == duration)
        regimens = [_at(here.spec, r, int(duration)) for r in here.spec.regimens.all()]
        for start in range(0, len(rows), 16):
            some = rows[start : start + 16]
            point, drawn = engine.reported(here.cohort.patients.take(positions[some]), regimens)
            for i, row in enumerate(some):
                points[row], draws[row] = point[i], drawn[i]
    order = range(len(positions))
    return np.stack([points[i] for i in order]), np.stack([draws[i] for i in order])


def _at(spec: Specification, regimen: Regimen, weeks: int) -> Regimen:
    cycle = regimen.planned_weeks // regimen.planned_cycles
    return spec.regimens.regimen(regimen.backbone, regimen.biologic, max(1, round(weeks / cycle)))


def _true(here: World, positions: NDArray[np.intp], outcome: str) -> Array:
    return np.prod([here.within[o][positions] for o in here.spec.outcomes.chain(outcome)], axis=0)


def _intervals(here: World, fits: Mapping[str, Fit], wanted: Sequence[str]) -> dict[str, dict[str, float]]:
    positions = here.test[:COVERED]
    _, drawn = _grid(here, positions, _engine(here, fits))
    found = {}
    for outcome in wanted:
        low, high = np.quantile(drawn[:, here.spec.outcomes.names.index(outcome)], (0.05, 0.95), axis=1)
        truth = _true(here, positions, outcome)
        found[outcome] = {
            "coverage": float(np.mean((low <= truth) & (truth <= high))),
            "width": float(np.mean(high - low)),
        }
    return found


def _contrast(here: World, fits: Mapping[str, Fit], train: NDArray[np.bool_], outcome: str) -> dict[str, float]:
    """FOLFOXIRI + bevacizumab minus FOLFOX, averaged over held-out patients, in points."""
    spec = here.spec
    keys = [r.key for r in spec.regimens.all()]
    triplet = max(spec.regimens.backbones, key=lambda b: len(b.drugs)).name
    doublet = next(b.name for b in spec.regimens.backbones if b.cycle_weeks == 2 and len(b.drugs) == 3)
    antibody = spec.regimens.biologics[-1].name
    a, b = keys.index((triplet, antibody)), keys.index((doublet, spec.regimens.biologics[0].name))
    positions = here.test[:COVERED]
    point, drawn = _grid(here, positions, _engine(here, fits))
    o = spec.outcomes.names.index(outcome)
    truth = _true(here, positions, outcome)
    true = float(np.mean(truth[:, a] - truth[:, b]))
    estimate = float(np.mean(point[:, o, a] - point[:, o, b]))
    low, high = np.quantile((drawn[:, o, :, a] - drawn[:, o, :, b]).mean(axis=0), (0.05, 0.95))
    y, got = here.encoded.outcomes[outcome], here.received
    arms = [train & (got == arm) & ~np.isnan(y) for arm in (a, b)]
    crude = float(y[arms[0]].mean() - y[arms[1]].mean()) if all(m.any() for m in arms) else np.nan
    wrong = (low > 0 and true < 0) or (high < 0 and true > 0)
    return {
        "contrast_bias": 100 * (estimate - true),
        "crude_bias": 100 * (crude - true),
        "true_contrast": 100 * true,
        "contrast_covered": float(low <= true <= high),
        "reliably_wrong": float(wrong),
    }


def _job(task: tuple[int, int, tuple[int, ...]]) -> list[dict[str, object]]:
    which, seed, sizes = task
    scenario = SCENARIOS[which]
    return measure(scenario.name, world(scenario, seed, max(sizes)), seed, sizes)


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Means and standard errors over seeds."""
    keys = ["scenario", "outcome", "candidate", "n"]
    grouped = rows.drop(columns="seed").groupby(keys)
    return grouped.mean().join(grouped.sem(), rsuffix="_se").reset_index()


def plot(summary: pd.DataFrame, path: Path) -> None:
    """Excess log loss by size, one panel a scenario and outcome."""
    from matplotlib.figure import Figure

    scenarios, outcomes = summary["scenario"].unique(), summary["outcome"].unique()
    figure = Figure(figsize=(3.2 * len(scenarios), 3.0 * len(outcomes)), layout="constrained")
    axes = figure.subplots(len(outcomes), len(scenarios), squeeze=False, sharex=True)
    for (i, outcome), (j, scenario) in itertools.product(enumerate(outcomes), enumerate(scenarios)):
        axis = axes[i, j]
        part = summary[(summary["scenario"] == scenario) & (summary["outcome"] == outcome)]
        for candidate in CANDIDATES:
            line = part[part["candidate"] == candidate].dropna(subset=["excess_log_loss"])
            axis.errorbar(
                line["n"] + 25, line["excess_log_loss"], line["excess_log_loss_se"], label=candidate, linewidth=1
            )
        axis.set_xscale("log")
        axis.set_ylim(0, 0.12)
        axis.set_title(f"{scenario}\n{outcome}", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0, 0].legend(fontsize=6)
    figure.supxlabel("patients (plus 25)", fontsize=9)
    figure.supylabel("log loss above the oracle, nats", fontsize=9)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--large-seeds", type=int, default=5, help="seeds at the largest size")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--scenarios", nargs="+", default=[s.name for s in SCENARIOS if s.name != "simulator"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/learning"))
    parser.add_argument("--registry", type=Path, help="a registry made by anyone, with --truth")
    parser.add_argument("--truth", type=Path, help="its truth: true probabilities under every regimen (.parquet)")
    asked = parser.parse_args()
    if (asked.registry is None) != (asked.truth is None):
        parser.error("--registry and --truth go together")
    asked.out.mkdir(parents=True, exist_ok=True)
    sizes = sorted(asked.sizes)
    tasks = [
        (i, seed, tuple(sizes if seed < asked.large_seeds else [n for n in sizes if n < 5000]))
        for seed in range(asked.seeds)
        for i, scenario in enumerate(SCENARIOS)
        if scenario.name in asked.scenarios
    ]
    rows: list[dict[str, object]] = []
    if asked.registry is not None:
        here, tasks = world_from(asked.registry, asked.truth, 1), []
        rows = measure(asked.registry.stem, here, 1, [n for n in sizes if n + TEST <= here.encoded.n])
    with ProcessPoolExecutor(asked.workers) as pool:
        for done, future in enumerate(as_completed([pool.submit(_job, t) for t in tasks]), 1):
            rows += future.result()
            print(f"{done}/{len(tasks)}", flush=True)
            pd.DataFrame(rows).to_csv(asked.out / "rows.csv", index=False)
    summary = summarise(pd.DataFrame(rows))
    summary.to_csv(asked.out / "summary.csv", index=False)
    (asked.out / "settings.json").write_text(json.dumps({"seeds": asked.seeds, "sizes": sizes}) + "\n")
    plot(summary, asked.out / "learning.png")
    with pd.option_context("display.width", 220, "display.max_rows", 500, "display.max_columns", 30):
        print(summary.round(4).to_string(index=False))


if __name__ == "__main__":
    main()

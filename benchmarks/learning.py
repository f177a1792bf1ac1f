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
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from benchmarks.bent_truth import SCENARIOS, TEST, World, world, world_from
from features import Part, Regimen, Specification
from training.bundle import OutcomeModel, Prior
from training.bundle.learned import BoosterModel
from training.bundle.scores import Engine
from training.crossfit import CANDIDATE_NEEDS
from training.learners import Fit, fit_candidate
from training.learners.update import updated_parameters
from training.recalibration import calibrate
from validation.calibration import fit_line

Array = NDArray[np.float64]
SIZES = (0, 50, 100, 200, 500, 1000, 5000)
COVERED = 60  # of them, with all regimens, behind each interval coverage
CANDIDATES = ("evidence", "recalibrated", "updated", "xgboost_prior", "logistic", "xgboost")


def measure(
    name: str, here: World, seed: int, sizes: Sequence[int], candidates: Sequence[str], every_outcome: bool
) -> list[dict[str, object]]:
    """Every figure of one population, one row a size, candidate and outcome."""
    tree = here.spec.outcomes
    primary = tree.part(Part.PRIMARY).name
    wanted = list(tree.names) if every_outcome else [primary, tree.part(Part.COMPLICATION).name]
    chain = list(dict.fromkeys(n for o in wanted for n in (*tree.ancestors(o)[::-1], o)))
    rows: list[dict[str, object]] = []
    for size in sizes:
        train = np.zeros(here.encoded.n, dtype=bool)
        train[:size] = True
        for candidate in candidates:
            fits = {o: _fit(candidate, here, o, train) for o in chain}
            figures: dict[str, dict[str, float]] = {o: _excess(here, fits, o) for o in wanted}
            if candidate == "xgboost_prior":
                about = _intervals(here, fits, train, wanted, primary)
                figures = {o: {**figures[o], **about[o]} for o in wanted}
            key = {"scenario": name, "seed": seed, "n": size, "candidate": candidate}
            rows += [{**key, "outcome": o, **figures[o]} for o in wanted]
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

    updates = {outcome: fit.updated for outcome, fit in fits.items() if fit.updated is not None}
    parameters = updated_parameters(prior, updates, keep_doubt=False)
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


def _intervals(
    here: World, fits: Mapping[str, Fit], train: NDArray[np.bool_], wanted: Sequence[str], primary: str
) -> dict[str, dict[str, float]]:
    """Coverage of the true probability and mean width by outcome, and the contrast of the primary outcome."""
    positions = here.test[:COVERED]
    point, drawn = _grid(here, positions, _engine(here, fits))
    found = {}
    for outcome in wanted:
        o = here.spec.outcomes.names.index(outcome)
        low, high = np.quantile(drawn[:, o], (0.05, 0.95), axis=1)
        truth = _true(here, positions, outcome)
        found[outcome] = {
            "coverage": float(np.mean((low <= truth) & (truth <= high))),
            "width": float(np.mean(high - low)),
        }
    o = here.spec.outcomes.names.index(primary)
    found[primary] |= _contrast(here, point[:, o], drawn[:, o], train, primary)
    return found


def _contrast(here: World, point: Array, drawn: Array, train: NDArray[np.bool_], outcome: str) -> dict[str, float]:
    """FOLFOXIRI + bevacizumab minus FOLFOX, averaged over held-out patients, in points."""
    spec = here.spec
    keys = [r.key for r in spec.regimens.all()]
    triplet = max(spec.regimens.backbones, key=lambda b: len(b.drugs)).name
    doublet = next(b.name for b in spec.regimens.backbones if b.cycle_weeks == 2 and len(b.drugs) == 3)
    antibody = spec.regimens.biologics[-1].name
    a, b = keys.index((triplet, antibody)), keys.index((doublet, spec.regimens.biologics[0].name))
    truth = _true(here, here.test[:COVERED], outcome)
    true = float(np.mean(truth[:, a] - truth[:, b]))
    estimate = float(np.mean(point[:, a] - point[:, b]))
    low, high = np.quantile((drawn[:, :, a] - drawn[:, :, b]).mean(axis=0), (0.05, 0.95))
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


def _job(task: tuple[int, int, tuple[int, ...], tuple[str, ...], bool]) -> list[dict[str, object]]:
    which, seed, sizes, candidates, every_outcome = task
    scenario = SCENARIOS[which]
    return measure(scenario.name, world(scenario, seed, max(sizes)), seed, sizes, candidates, every_outcome)


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Means and standard errors over seeds."""
    keys = ["scenario", "outcome", "candidate", "n"]
    grouped = rows.drop(columns="seed").groupby(keys)
    return grouped.mean().join(grouped.sem(), suffixes=("", "_se")).reset_index()


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


def track(summary: pd.DataFrame, out: Path, settings: Mapping[str, float]) -> None:
    """Log table, rows and plot to the MLflow store, with the figures of the prior-started candidate as metrics."""
    import mlflow

    from training.store import Store

    Store.from_environment().open()
    with mlflow.start_run(run_name="learning", tags={"level": "benchmark", "simulated": "true"}):
        mlflow.log_params(settings)
        for row in summary[summary["candidate"] == "xgboost_prior"].to_dict("records"):
            for name in ("excess_log_loss", "coverage", "contrast_bias"):
                if pd.notna(row.get(name)):
                    mlflow.log_metric(f"{row['scenario']}/{row['outcome']}/{name}", row[name], step=int(row["n"]))
        mlflow.log_artifacts(str(out))


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--large-seeds", type=int, default=5, help="seeds at the largest size")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    names = [s.name for s in SCENARIOS]
    parser.add_argument("--scenarios", nargs="+", choices=names, default=[n for n in names if n != "simulator"])
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument("--track", action="store_true", help="log the results to the MLflow store (RESECTA_STORE)")
    parser.add_argument("--every-outcome", action="store_true", help="all outcomes, not only the two headline ones")
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
        (
            i,
            seed,
            tuple(sizes if seed < asked.large_seeds else [n for n in sizes if n < 5000]),
            tuple(asked.candidates),
            asked.every_outcome,
        )
        for seed in range(asked.seeds)
        for i, scenario in enumerate(SCENARIOS)
        if scenario.name in asked.scenarios
    ]
    rows: list[dict[str, object]] = []
    if asked.registry is not None:
        here, tasks = world_from(asked.registry, asked.truth, 1), []
        some = [n for n in sizes if n + TEST <= here.encoded.n]
        rows = measure(asked.registry.stem, here, 1, some, asked.candidates, asked.every_outcome)
    with ProcessPoolExecutor(asked.workers) as pool:
        for done, future in enumerate(as_completed([pool.submit(_job, t) for t in tasks]), 1):
            rows += future.result()
            print(f"{done}/{len(tasks)}", flush=True)
            pd.DataFrame(rows).to_csv(asked.out / "rows.csv", index=False)
    summary = summarise(pd.DataFrame(rows))
    summary.to_csv(asked.out / "summary.csv", index=False)
    (asked.out / "settings.json").write_text(json.dumps({"seeds": asked.seeds, "sizes": sizes}) + "\n")
    plot(summary, asked.out / "learning.png")
    if asked.track:
        track(summary, asked.out, {"seeds": asked.seeds, "large_seeds": asked.large_seeds})
    with pd.option_context("display.width", 220, "display.max_rows", 500, "display.max_columns", 30):
        print(summary.round(4).to_string(index=False))


if __name__ == "__main__":
    main()

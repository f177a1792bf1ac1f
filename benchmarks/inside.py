"""Where the time of one answer goes, without a server: python -m benchmarks.inside

Times each step of POST /predict with all regimens in one process, in turns, on patients that differ, beside one bare
booster call for each outcome. Processor caches are warm here; within a server, where other work comes between, each
step takes up to twice as long. Read the shares.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import asyncio
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from starlette.datastructures import Headers

from benchmarks.serving import ROOT, varied
from features import Patients, Specification, load_specification
from features.facts import patient_facts
from serving.answer import Scorer
from serving.body import read_body
from serving.ledger import Ledger, Prediction
from serving.ledger.job import Packed
from serving.request import request_models
from serving.settings import Settings
from serving.source import find_bundle
from training.bundle import load_bundle

ROUNDS = 300
HEADERS = Headers({"content-type": "application/json"})


class Bare:
    """One booster call an outcome, with a row a regimen; stand-ins of 100 trees of depth 3 that learned noise."""

    def __init__(self, spec: Specification) -> None:
        rng = np.random.default_rng(6)
        matrix = rng.normal(size=(2000, len(spec.encoding.learned)))
        settings = {"max_depth": 3, "objective": "binary:logistic", "nthread": 1}
        noise = rng.integers(0, 2, len(matrix)).astype(float)
        self.booster = xgb.train(settings, xgb.DMatrix(matrix, noise), 100)
        self.rows = np.ascontiguousarray(matrix[: len(spec.regimens.all())])
        self.margin = np.zeros(len(self.rows))
        self.outcomes = len(spec.outcomes.names)

    def __call__(self) -> None:
        for _ in range(self.outcomes):
            self.booster.inplace_predict(self.rows, base_margin=self.margin, predict_type="margin")


async def steps(scorer: Scorer, spec: Specification, ledger: Ledger) -> dict[str, list[float]]:
    """Milliseconds of each step, in turns."""
    models, bare = request_models(spec), Bare(spec)
    example = json.loads((ROOT / "examples" / "patient.json").read_text())
    everything = {key: value for key, value in example.items() if key != "regimens"}
    bodies = [json.dumps(body).encode() for body in varied(everything)]
    facts, memo = [dict(f) for f in scorer.all_regimens.facts], scorer.all_regimens.memo
    spent: dict[str, list[float]] = defaultdict(list)

    def timed(step: str, started: float) -> None:
        spent[step].append(1000 * (time.perf_counter() - started))

    for turn in range(ROUNDS):
        started = time.perf_counter()
        request = read_body(HEADERS, bodies[turn % len(bodies)], models.predict, models)
        timed("read and validate the body", started)
        record: Mapping[str, Any] = {name: v for name, v in request["patient"].items() if v is not None}
        started = time.perf_counter()
        coded = Patients.from_records(spec, [record])
        scorer.bundle.prior.design(coded, scorer.all_regimens.regimens)
        timed("  encode, complete what is missing", started)
        started = time.perf_counter()
        scorer.bundle.score(coded, scorer.all_regimens.regimens)
        timed("  score with intervals (encodes too)", started)
        started = time.perf_counter()
        about = patient_facts(spec, record, coded=coded)
        spec.flags.evaluate(about, facts, request["profile"], spec.unknown_codes, memo)
        timed("  flags", started)
        started = time.perf_counter()
        written = scorer.write(request)
        timed("answer as JSON, all of the above", started)
        draft = Prediction(written.brief, written.sent, request, 1.0, digests=scorer.digests)
        started = time.perf_counter()
        Packed.of(draft)
        timed("  hash and compress for the ledger", started)
        started = time.perf_counter()
        await ledger.append([draft])
        timed("ledger, commit and fsync included", started)
        started = time.perf_counter()
        bare()
        timed(f"bare boosters ({bare.outcomes} calls)", started)
    return spent


def report(settings: Settings) -> None:
    """Measure and print."""
    spec = load_specification()
    scorer = Scorer(load_bundle(find_bundle(settings.model, settings.store).folder, spec), spec)
    with (
        tempfile.TemporaryDirectory(dir=settings.store) as folder,
        Ledger(f"sqlite:///{Path(folder) / 'ledger.db'}", "benchmark" * 4, spec=spec) as ledger,
    ):
        spent = asyncio.run(steps(scorer, spec, ledger))
    medians = {step: float(np.median(times)) for step, times in spent.items()}
    whole = sum(m for step, m in medians.items() if not step.startswith((" ", "bare")))
    print(f"\nin process, {len(scorer.all_regimens.regimens)} regimens, model of {scorer.model['learner']}, median")
    for step, median in medians.items():
        share = "" if step.startswith("bare") else f"{median / whole:10.0%}"
        print(f"{step:38}{median:9.3f} ms{share}")


if __name__ == "__main__":
    report(Settings.from_environment(os.environ))

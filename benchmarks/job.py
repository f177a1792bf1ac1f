"""What a whole training job costs beside its bare fits: python -m benchmarks.job --patients 20000

The fits are those of every candidate, fold, final model and stability refit, timed where they are called within the
job itself, so that both share one run. The rest is reading, validation, encoding, judging with intervals, contrasts
between regimens, report and registration. CPU seconds of this process, since other work may share the machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

for _name, _value in {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "1000",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}.items():
    os.environ.setdefault(_name, _value)

from features import load_specification
from training import crossfit, dossier, job, judgement, stability
from training.closed_cohort import newest_date
from training.evidence import load_prior
from training.job import Source, train_from_evidence, train_from_registry
from training.registry import build_cohort, read_registry
from training.simulator import simulate, write_registry
from training.store import Store
from validation.checkpoint import validate_registry
from validation.quarantine import admit


class Clock:
    """CPU seconds by part; a part within another counts for the inner one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def timed(self, part: str, function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            started = time.process_time()
            self._inner.append(0.0)
            try:
                return function(*arguments, **options)
            finally:
                spent = time.process_time() - started
                self.seconds[part] += spent - self._inner.pop()
                self._inner[-1] += spent

        return call


def main() -> int:
    arguments = argparse.ArgumentParser(description="A whole training job beside its bare fits.")
    arguments.add_argument("--patients", type=int, default=20_000)
    arguments.add_argument("--sites", type=int, default=12)
    arguments.add_argument("--bar", type=float, default=3.0, help="largest allowed ratio")
    chosen = arguments.parse_args()
    spec = load_specification()
    prior = load_prior(spec)
    clock = Clock()
    for module, name, part in (
        (crossfit, "fit_candidate", "fits"),
        (stability, "fit_candidate", "fits"),
        (judgement, "evaluate", "judging"),
        (judgement, "baselines", "baselines"),
        (judgement, "predict", "champion's predictions"),
        (dossier, "gate_facts", "checks of the bundle"),
        (dossier, "audit", "contrasts between regimens"),
        (dossier, "render", "report"),
        (dossier, "headline_stability", "stability, without its fits"),
        (job, "encode", "encoding"),
        (job, "register", "registration"),
    ):
        setattr(module, name, clock.timed(part, getattr(module, name)))
    with tempfile.TemporaryDirectory() as scratch:
        registry, _ = simulate(spec, patients=chosen.patients, seed=7, sites=chosen.sites)
        path = Path(scratch) / "registry.csv"
        write_registry(registry, path)
        store = Store(Path(scratch) / "store")
        train_from_evidence(spec, prior, store)
        clock.seconds.clear()
        started = time.process_time()
        read = clock.timed("reading", read_registry)(path, spec)
        report = clock.timed("validation", validate_registry)(read.frame, spec, reading=read.problems)
        checked = admit(read.frame, report)
        cohort = clock.timed("cohort", build_cohort)(checked.frame, spec)
        source = Source(read.description, read.digest, True, report, newest_date(checked.frame, spec))
        train_from_registry(cohort, source, spec, prior, store)
        total = time.process_time() - started
    fits = clock.seconds["fits"]
    clock.seconds["everything else"] = total - sum(clock.seconds.values())
    told = f"{total:.0f} CPU seconds, of which bare fits {fits:.0f}; ratio {total / fits:.2f}"
    print(f"{chosen.patients:,} patients: {told}")
    for part, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1]):
        print(f"  {part:28}{seconds:8.1f} s {100 * seconds / total:5.1f}%")
    return 0 if total / fits < chosen.bar else 1


if __name__ == "__main__":
    sys.exit(main())

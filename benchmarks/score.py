"""Scoring of large files: python -m benchmarks.score --model models:/resecta@champion

Invents patients from the model's own case mix, leaves a share of their inputs out, writes them to a CSV, and times
`resecta score` on it from start to finish: reading, judging, scoring, writing, putting together. Beside it, in the
same minutes, bare booster calls: one for each outcome. Ratios hold across machines, rows a second
do not. The full measurement is the default; --patients and --with-intervals make it smaller, and then it says so.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np
import psutil
import pyarrow.parquet as parquet
import xgboost as xgb

from features import Field, Kind, Patients, Specification, load_specification
from serving.scoring.command import CHUNK
from serving.settings import Settings
from serving.source import find_bundle
from training.bundle import Bundle, load_bundle

ROOT = Path(__file__).resolve().parent.parent
FULL, FULL_WITH_INTERVALS = 1_000_000, 100_000
DRAWN = 65_536  # different patients; more are these again in another order with other gaps
BARE = 20_000  # patients on whom the bare boosters are timed
RUN = (
    "import sys; from pathlib import Path; from serving.scoring.command import run_score\n"
    "if __name__ == '__main__':\n"
    "    data, out, model, store, intervals, workers, chunk = sys.argv[1:]\n"
    "    sys.exit(run_score(Path(data), Path(out), model=model, store=Path(store), intervals=intervals == '1',\n"
    "                       workers=int(workers) or None, chunk=int(chunk)))\n"
)


def written(field: Field, patients: Patients) -> list[Any]:
    """What a CSV says of a field."""
    unknown = ~patients.known(field.name)
    if field.kind is Kind.CODES:
        held = [(code, patients[column] == 1) for code, column in zip(field.codes, field.columns, strict=True)]
        return ["" if u else ";".join(c for c, h in held if h[i]) for i, u in enumerate(unknown)]
    column = patients[field.name]
    if field.kind is Kind.CATEGORY:
        codes = list(field.codes)
        return ["" if u else codes[int(v)] for u, v in zip(unknown, column, strict=True)]
    if field.kind is Kind.BOOLEAN:
        return ["" if u else "true" if v else "false" for u, v in zip(unknown, column, strict=True)]
    digits = 0 if field.kind is Kind.INTEGER else 1
    return ["" if u else f"{v:.{digits}f}" for u, v in zip(unknown, column, strict=True)]


def invent(bundle: Bundle, spec: Specification, n: int, missing: float, path: Path) -> None:
    """Write patients of the case mix, a share of whose inputs are left out."""
    everyone = bundle.prior.parameters.case_mix.complete(Patients(spec, 1, {}), DRAWN)
    drawn = {f.name: np.array(written(f, everyone), dtype=object) for f in spec.asked}
    rng = np.random.default_rng(4)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(drawn)
        for start in range(0, n, DRAWN):
            rows = rng.permutation(DRAWN)[: n - start]
            columns = []
            for field in spec.asked:
                column = drawn[field.name][rows]
                if not field.required:
                    column[rng.random(len(rows)) < missing] = ""
                columns.append(column)
            writer.writerows(zip(*columns, strict=True))


class Memory:
    """Watches the memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self.process, self.peak, self._over = psutil.Process(pid), 0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            try:
                family = [self.process, *self.process.children(recursive=True)]
                self.peak = max(self.peak, sum(p.memory_info().rss for p in family))
            except psutil.Error:
                continue

    def stop(self) -> int:
        self._over.set()
        self.thread.join()
        return self.peak


def timed(
    data: Path, out: Path, model: str, store: Path, intervals: bool, workers: int, chunk: int
) -> tuple[float, float, int]:
    """Seconds, seconds of processor, and most bytes in memory, of the whole command."""
    script = out.with_suffix(".py")
    script.write_text(RUN)
    arguments = [str(data), str(out), model, str(store), "1" if intervals else "0", str(workers), str(chunk)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, str(script), *arguments], env=environment)
    memory = Memory(process.pid)
    code = process.wait()
    seconds, peak = time.perf_counter() - started, memory.stop()
    if code:
        raise SystemExit(f"scoring ended with {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used, peak


def bare(bundle: Bundle, spec: Specification, n: int) -> float:
    """Seconds of processor a patient that one booster an outcome takes, its inputs ready made.

    The boosters are stand-ins of 100 trees of depth 3 that learned noise: a model may hold fewer or none, and the
    measure should not change with it. As ours, they learn the prognosis alone: one row a patient.
    """
    patients = bundle.prior.parameters.case_mix.complete(Patients(spec, 1, {}), 1 << (n - 1).bit_length())
    matrix = spec.encoding.patient_matrix(patients, spec.encoding.learned)
    noise = np.random.default_rng(6).integers(0, 2, len(matrix)).astype(float)
    settings = {"max_depth": 3, "objective": "binary:logistic", "nthread": 1}
    booster = xgb.train(settings, xgb.DMatrix(matrix, noise), 100)
    margin = np.zeros(len(matrix))
    started = time.process_time()
    for _ in spec.outcomes.names:
        booster.inplace_predict(matrix, base_margin=margin, predict_type="margin", missing=np.nan)
    return (time.process_time() - started) / len(matrix)


def measure(
    bundle: Bundle, spec: Specification, chosen: argparse.Namespace, settings: Settings, n: int, intervals: bool
) -> None:
    full = FULL_WITH_INTERVALS if intervals else FULL
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        data, out = Path(folder) / "in.csv", Path(folder) / "out.parquet"
        invent(bundle, spec, n, chosen.missing, data)
        alone = bare(bundle, spec, min(n, BARE))
        seconds, used, peak = timed(
            data, out, chosen.model or settings.model, settings.store, intervals, chosen.workers, chosen.chunk
        )
        lines, size = parquet.read_metadata(out).num_rows, out.stat().st_size
    assert lines == n * len(spec.regimens.all())
    what = "with intervals" if intervals else "without intervals"
    slice_of = "" if n >= full else f"  (a slice: the full measurement is {full:,} patients)"
    regimens, outcomes = len(spec.regimens.all()), len(spec.outcomes.names)
    print(f"\n{n:,} patients x {regimens} regimens x {outcomes} outcomes, {what}{slice_of}")
    print(f"  {seconds:10.1f} s     {n / seconds:10,.0f} patients a second, {lines / seconds:,.0f} rows of output")
    print(f"  {used:10.1f} s of processor, {1e6 * used / n:,.0f} us a patient; load average {os.getloadavg()[0]:.1f}")
    print(f"  {peak / 2**20:10.0f} MB at most, all processes together; output {size / 2**20:,.0f} MB")
    if n < full:
        print(f"  {full / n * seconds:10.0f} s for all {full:,}, extrapolated")
    print(
        f"  {used / n / alone:10.1f} times the {1e6 * alone:.1f} us of processor a patient of {outcomes} bare boosters"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description="Rows a second of `resecta score`.")
    arguments.add_argument("--patients", type=int, default=FULL, help="without intervals; 0 leaves it out")
    arguments.add_argument("--with-intervals", type=int, default=FULL_WITH_INTERVALS, help="0 leaves it out")
    arguments.add_argument("--missing", type=float, default=0.2, help="share of optional inputs left out")
    arguments.add_argument("--workers", type=int, default=0, help="0 is one for each processor")
    arguments.add_argument("--chunk", type=int, default=CHUNK)
    arguments.add_argument("--model", help="URI or folder; RESECTA_MODEL when omitted")
    arguments.add_argument("--folder", help="for some gigabytes; the system's temporary folder when omitted")
    chosen = arguments.parse_args()
    settings, spec = Settings.from_environment(os.environ), load_specification()
    bundle = load_bundle(find_bundle(chosen.model or settings.model, settings.store).folder, spec)
    print(f"model of {bundle.manifest.learner}, {chosen.missing:.0%} of optional inputs left out")
    for n, intervals in ((chosen.patients, False), (chosen.with_intervals, True)):
        if n:
            measure(bundle, spec, chosen, settings, n, intervals)
    return 0


if __name__ == "__main__":
    sys.exit(main())

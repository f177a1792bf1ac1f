"""One chunk: judged, scored, and kept as a part. Runs in the processes of the pool."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from features import Patients, Problem, Regimen, Specification, load_specification
from serving.scoring.admission import Admitted, admit
from serving.scoring.parts import Parts
from serving.scoring.plan import Plan, plan_fields
from serving.scoring.table import Chunk
from training.bundle import Bundle, Scores, load_bundle

#: As an answer of the service: a hundredth of a percentage point.
DIGITS = 4

_MALFORMED = Problem("row", "malformed_row", "The row has more or fewer columns than the header.")


@dataclass(frozen=True)
class Job:
    """What every chunk of a run has in common; it is sent to each process once.

    Attributes
    ----------
    bundle
        Folder of the model, whose checksums each process verifies anew.
    identifier
        Column that is copied beside the row number; None copies none.
    """

    bundle: Path
    out: Path
    plan: Plan
    intervals: bool
    identifier: str | None


@dataclass(frozen=True)
class Done:
    """What became of a chunk.

    Attributes
    ----------
    peak
        Most memory that the process has had, in bytes.
    """

    index: int
    rows: int
    scored: int
    problems: int
    peak: int


class Scorer:
    """Scores the chunks of one run in one process."""

    def __init__(self, job: Job, spec: Specification | None = None, bundle: Bundle | None = None) -> None:
        self.job = job
        self.spec = spec if spec is not None else load_specification()
        self.bundle = bundle if bundle is not None else load_bundle(job.bundle, self.spec)
        self.fields = plan_fields(self.spec) if job.plan.regimens is None else None

    def score(self, chunk: Chunk) -> Done:
        """Score a chunk and keep it as a part."""
        admitted = admit(chunk.data, self.spec, self.fields)
        table = self._table(chunk, admitted)
        rejected = [(chunk.numbers[r.row], r.problem) for r in admitted.rejected]
        rejected += [(number, _MALFORMED) for number in chunk.malformed]
        lines = [(number, p.field, p.code, p.message) for number, p in sorted(rejected, key=lambda r: r[0])]
        Parts(self.job.out).write(chunk.index, table, lines)
        _give_back()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        rows = chunk.data.num_rows + len(chunk.malformed)
        return Done(chunk.index, rows, len(admitted.rows), len(lines), peak)

    def _table(self, chunk: Chunk, admitted: Admitted) -> pa.Table:
        if self.job.plan.regimens is not None:
            return self._long(chunk, admitted.rows, admitted.patients, self.job.plan.regimens)
        assert admitted.regimens is not None
        of: dict[tuple[str, str, int], tuple[Regimen, list[int]]] = {}
        for i, regimen in enumerate(admitted.regimens):
            of.setdefault((*regimen.key, regimen.planned_cycles), (regimen, []))[1].append(i)
        tables = [
            self._long(chunk, admitted.rows[some], admitted.patients.take(np.array(some)), [regimen])
            for regimen, some in of.values()
        ]
        if not tables:
            return self._long(chunk, admitted.rows, admitted.patients, self.spec.regimens.all()[:1])
        return pa.concat_tables(tables).sort_by(ROW)

    def _long(self, chunk: Chunk, rows: np.ndarray, patients: Patients, regimens: Sequence[Regimen]) -> pa.Table:
        """One row for a patient and a regimen, one column for an outcome (and for each bound)."""
        scores = self.bundle.score(patients, regimens, self.job.intervals) if patients.n else None
        n, r = patients.n, len(regimens)
        numbers = np.array([chunk.numbers[i] for i in rows], dtype=np.int64)
        columns: dict[str, pa.Array] = {ROW: pa.array(np.repeat(numbers, r))}
        if self.job.identifier is not None:
            taken = chunk.data.column(self.job.identifier).combine_chunks().take(pa.array(np.repeat(rows, r)))
            columns[self.job.identifier] = taken.cast(pa.string())
        columns |= _named(regimens, n)
        for name, values in _values(self.spec, scores, n * r, self.job.intervals):
            columns[name] = pa.array(values, type=pa.float32())
        return pa.table(columns)


ROW = "row"
_REGIMEN = ("backbone", "biologic", "planned_cycles")


def _named(regimens: Sequence[Regimen], n: int) -> dict[str, pa.Array]:
    which = np.tile(np.arange(len(regimens), dtype=np.int32), n)
    found: dict[str, pa.Array] = {}
    for name in _REGIMEN[:2]:
        values = [getattr(r, name) for r in regimens]
        different = list(dict.fromkeys(values))
        codes = np.array([different.index(v) for v in values], dtype=np.int32)
        found[name] = pa.DictionaryArray.from_arrays(codes[which], pa.array(different, pa.string()))
        found[name] = found[name].cast(pa.string())
    found[_REGIMEN[2]] = pa.array(np.array([r.planned_cycles for r in regimens], dtype=np.int16)[which])
    return found


def _values(spec: Specification, scores: Scores | None, size: int, intervals: bool) -> list[tuple[str, np.ndarray]]:
    parts = ("", "_low", "_high") if intervals else ("",)
    found = []
    for i, name in enumerate(spec.outcomes.names):
        for j, part in enumerate(parts):
            empty = np.empty(size, dtype=np.float32)
            # Patient by patient, and each under every regimen: the order of the rows.
            values = empty if scores is None else np.round(scores.stacked[j, :, i].reshape(-1), DIGITS)
            found.append((f"{name}{part}", values.astype(np.float32)))
    return found


def _give_back() -> None:
    """Return freed memory to the system: kept in pieces, it would double over some dozens of chunks."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # only glibc has it
        trim(0)


_scorer: Scorer | None = None


def prepare(job: Job) -> None:
    """Load the model into this process."""
    global _scorer
    # Each process is one of several that share the processors.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _scorer = Scorer(job)


def score_chunk(chunk: Chunk) -> Done:
    """Score a chunk in a process that `prepare` made ready."""
    assert _scorer is not None
    return _scorer.score(chunk)

"""`resecta score`: a CSV or Parquet file of patients in, a Parquet file of probabilities out."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features import Specification, load_specification
from serving.source import Source, SourceRefused, find_bundle
from training.bundle import Bundle, BundleRefused, load_bundle
from training.bundle.manifest import CHECKSUMS, checksum

if TYPE_CHECKING:
    from serving.scoring.chunk import Done, Job
    from serving.scoring.table import Chunk, Table

CHUNK = 5_000
_ALIKE = 0.8  # similarity of two names from which one is taken for a slip of the other


class Usage(ValueError):
    """The command cannot run as it was given; the message says why."""


def run_score(
    data: Path,
    out: Path,
    *,
    model: str = "models:/resecta@champion",
    store: Path = Path("mlruns"),
    regimens: str = "all",
    intervals: bool = True,
    chunk: int = CHUNK,
    workers: int | None = None,
    resume: bool = False,
    identifier: str | None = None,
    ignore: Sequence[str] = (),
) -> int:
    """Score a file.

    Parameters
    ----------
    data
        CSV (UTF-8) or Parquet, columns named as in the specification.
    out
        Parquet file to write; rejected rows go to ``<name>.rejects.csv`` beside it.
    model, store
        As `serving.source.find_bundle` takes them.
    regimens
        As `serving.scoring.plan.read_plan` reads it.
    chunk
        Rows that a process holds at once.
    workers
        Processes; as many as there are processors when None.
    resume
        Go on with a run that was ended.
    identifier
        Column to copy beside the row number.
    ignore
        Columns that are knowingly left out although their names look like slips of asked ones.

    Returns
    -------
    int
        0 when every row was scored, 1 when rows were rejected, 2 when nothing was done.
    """
    try:
        from serving.scoring.parts import RunRefused
        from serving.scoring.plan import PlanRefused
        from serving.scoring.table import TableRefused
    except ImportError as error:
        print(f"Scoring files needs {error.name}, which is not installed here.", file=sys.stderr)
        return 2
    try:
        return _run(data, out, model, store, regimens, intervals, chunk, workers, resume, identifier, ignore)
    except (Usage, TableRefused, RunRefused, PlanRefused, SourceRefused, BundleRefused) as error:
        print(str(error), file=sys.stderr)
        return 2
    except BrokenProcessPool:
        print(
            "A process was ended from outside, as when memory is short. --resume goes on with what is finished; "
            "a smaller --chunk takes less memory.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("Interrupted; --resume goes on with what is finished.", file=sys.stderr)
        return 130


def _run(
    data: Path,
    out: Path,
    model: str,
    store: Path,
    regimens: str,
    intervals: bool,
    chunk: int,
    workers: int | None,
    resume: bool,
    identifier: str | None,
    ignore: Sequence[str],
) -> int:
    from serving.scoring.chunk import Job
    from serving.scoring.parts import Parts
    from serving.scoring.plan import plan_fields, read_plan
    from serving.scoring.table import open_table

    if out.suffix.lower() != ".parquet":
        raise Usage(f"--out {out} must end in .parquet.")
    if data.resolve() == out.resolve():
        raise Usage("--out names the file that is read; give another.")
    if chunk < 1:
        raise Usage("--chunk takes a whole number from 1.")
    spec = load_specification()
    plan = read_plan(regimens, spec)
    table = open_table(data)
    fields = plan_fields(spec) if plan.regimens is None else None
    read = () if fields is None else (fields.backbone.name, fields.biologic.name, fields.cycles.name)
    names, left_out = _columns(table, spec, read, identifier, ignore)
    source = find_bundle(model, store)
    bundle = load_bundle(source.folder, spec)
    facts = _facts(bundle, source, spec, table, regimens, intervals)
    identity = {**facts, "chunk": chunk, "identifier": identifier, "columns": names}
    out.parent.mkdir(parents=True, exist_ok=True)
    parts = Parts(out)
    parts.begin(identity, resume)
    if left_out:
        print(f"Columns that are not read: {', '.join(left_out)}", file=sys.stderr)
    job = Job(source.folder.resolve(), out.resolve(), plan, intervals, identifier)
    chunks = _score_all(job, table, names, chunk, workers or os.cpu_count() or 1, parts.finished())
    metadata = {f"resecta.{name}".encode(): _plain(value) for name, value in facts.items()}
    lines, problems = parts.finish(chunks, metadata)
    print(f"{lines} rows in {out}", file=sys.stderr)
    if problems:
        print(f"{problems} problems of rows that were not scored are in {parts.rejects}", file=sys.stderr)
    return 1 if problems else 0


def _columns(
    table: Table, spec: Specification, read: Sequence[str], identifier: str | None, ignore: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Columns to read, and those that are left out."""
    asked = [f.name for f in spec.asked]
    absent = [f.name for f in spec.asked if f.required and f.name not in table.columns]
    absent += [name for name in read[:2] if name not in table.columns]
    problems = [f"The column {name} is required and is not in {table.path}." for name in absent]
    if identifier is not None and identifier not in table.columns:
        problems.append(f"--identifier {identifier} is not a column of {table.path}.")
    left_out = [c for c in table.columns if c not in asked and c not in read and c != identifier]
    open_names = [name for name in asked if name not in table.columns]
    aliases = {alias: name for name in open_names for alias in (*spec.fields[name].aliases, spec.fields[name].label)}
    for column in left_out:
        if column in ignore or column in spec.fields or column in spec.outcomes.names:
            continue
        meant = aliases.get(column) or next(iter(difflib.get_close_matches(column, open_names, 1, _ALIKE)), None)
        if meant is not None:
            problems.append(f"The column {column} may mean {meant}: rename it, or give --ignore {column}.")
    if problems:
        raise Usage("\n".join(problems))
    wanted = {*asked, *read, *([identifier] if identifier is not None else [])}
    return [c for c in table.columns if c in wanted], left_out


def _facts(
    bundle: Bundle, source: Source, spec: Specification, table: Table, regimens: str, intervals: bool
) -> dict[str, Any]:
    """What the output says of itself, and on which it depends."""
    manifest = bundle.manifest
    banner = manifest.trained_on.text
    if manifest.simulated:
        banner = f"{spec.flags.notice('simulated').text} {banner}"
    return {
        "model": manifest.name,
        "version": source.version or manifest.version,
        "learner": manifest.learner,
        "bundle_digest": checksum(source.folder / CHECKSUMS),
        "spec_digest": manifest.spec_digest,
        "rests_on": manifest.trained_on.kind,
        "simulated": manifest.simulated,
        "banner": banner,
        "outcomes": {o.name: o.given for o in spec.outcomes.outcomes},
        "regimens": regimens,
        "interval": "90%" if intervals else None,
        "input": table.path.name,
        "input_digest": table.digest,
    }


def _plain(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _score_all(job: Job, table: Table, names: Sequence[str], size: int, workers: int, finished: set[int]) -> int:
    """Score what is not finished, under a bar; return how many chunks there are."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    chunks = scored = 0
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("Scoring", total=table.rows, rate="")

        def missing() -> Iterator[Chunk]:
            nonlocal chunks
            for chunk in table.chunks(names, size):
                chunks += 1
                if chunk.index in finished:
                    bar.update(task, advance=chunk.data.num_rows)
                else:
                    yield chunk

        started = bar.get_time()
        for done in _each(job, missing(), workers):
            scored += done.rows
            rate = scored / max(bar.get_time() - started, 1e-9)
            bar.update(task, advance=done.rows, rate=f"{rate:,.0f} rows/s")
    return chunks


def _each(job: Job, chunks: Iterator[Chunk], workers: int) -> Iterator[Done]:
    """Score chunks, a few at once; no more are read than are worked on, so that memory stays bounded."""
    from serving.scoring.chunk import Scorer, prepare, score_chunk

    if workers == 1:
        scorer = Scorer(job)
        for chunk in chunks:
            yield scorer.score(chunk)
        return
    # Spawned and not forked: XGBoost's and Arrow's threads do not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn"), prepare, (job,)) as pool:
        waiting: set[Future[Done]] = set()
        try:
            for chunk in chunks:
                waiting.add(pool.submit(score_chunk, chunk))
                if len(waiting) > workers:
                    over, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in over:
                        yield future.result()
            while waiting:
                over, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in over:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()

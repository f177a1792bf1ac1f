"""Training as a command: a registry is checked, candidates are fitted and judged, and the best is registered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from features import Specification
from training.closed_cohort import newest_date
from training.evidence import load_prior
from training.job import Source, train_from_evidence, train_from_registry
from training.learners import CANDIDATES
from training.lock import Locked, StoreLock
from training.progress import Progress
from training.registry import Registry, build_cohort
from training.splits import CannotSplit, Split
from training.store import Store
from validation.checkpoint import validate_registry
from validation.quarantine import MAX_BAD_SHARE, admit, admit_without_failing
from validation.registry import CheckedRegistry, RegistryRejected

if TYPE_CHECKING:
    from rich.console import Console

    from training.crossfit import Assessed

DONE, REJECTED, USAGE, BUSY = 0, 1, 2, 3


def run_train_evidence(store: Store, spec: Specification, console: Console | None = None) -> int:
    """Register the evidence prior itself.

    Returns
    -------
    int
        0 done, 3 when another job holds the store.
    """
    out = console or _console()
    try:
        with StoreLock(store.folder, "train"), Progress("Registering the evidence prior"):
            made = train_from_evidence(spec, load_prior(spec), store)
    except Locked as held:
        out.print(str(held), soft_wrap=True, markup=False)
        return BUSY
    out.print(
        f"Registered version {made.version} as {made.alias}: published evidence alone, no patient-level data.",
        soft_wrap=True,
    )
    return DONE


def run_train(
    registry: Registry,
    store: Store,
    spec: Specification,
    split: str | None = None,
    quarantine: Path | None = None,
    max_bad_share: float = MAX_BAD_SHARE,
    console: Console | None = None,
) -> int:
    """Check a registry, train every candidate on it, and register the best as challenger.

    Returns
    -------
    int
        0 trained, 1 when the registry is rejected, 2 when it cannot be split as asked, 3 when another job holds the
        store.
    """
    out = console or _console()
    try:
        checked = _checked(registry, spec, quarantine, max_bad_share, out)
    except RegistryRejected:
        hint = "Mend the registry, or set failing rows aside with --quarantine FILE."
        out.print(f"Rejected: nothing was trained. {hint}", style="bold red", soft_wrap=True)
        return REJECTED
    cohort = build_cohort(checked.frame, spec)
    source = Source(
        registry.description, registry.digest, registry.simulated, checked.report, newest_date(checked.frame, spec)
    )
    steps = len(CANDIDATES) * len(spec.outcomes.names)
    try:
        with StoreLock(store.folder, "train"), Progress("Training", steps) as tick:
            made = train_from_registry(
                cohort, source, spec, load_prior(spec), store, Split(split) if split else None, tick=tick
            )
    except CannotSplit as error:
        out.print(str(error), soft_wrap=True, markup=False)
        return USAGE
    except Locked as held:
        out.print(str(held), soft_wrap=True, markup=False)
        return BUSY
    _show(made.assessed, made.winner, out)
    out.print(f"Registered version {made.version} ({made.winner}) as {made.alias}.")
    out.print("`resecta compare` shows every figure with its interval, beside the champion and published scores.")
    if registry.simulated:
        out.print(
            "It was trained on simulated patients: only `resecta promote --allow-simulated` would serve it.",
            soft_wrap=True,
        )
    return DONE


def _checked(
    registry: Registry, spec: Specification, quarantine: Path | None, max_bad_share: float, out: Console
) -> CheckedRegistry:
    with Progress("Validating"):
        report = validate_registry(registry.frame, spec, reading=registry.problems, notes=registry.notes)
    report.render(out)
    if quarantine is None:
        return admit(registry.frame, report)
    return admit_without_failing(registry.frame, report, quarantine, max_bad_share)


def _show(assessed: Sequence[Assessed], winner: str, out: Console) -> None:
    from rich.table import Table

    table = Table(title="Held-out log loss (lower is better)", caption=f"lowest mean: {winner}")
    table.add_column("outcome")
    for one in assessed:
        table.add_column(one.learner, justify="right")
    for outcome in assessed[0].metrics:
        values = [a.metrics[outcome]["log_loss"].value for a in assessed]
        table.add_row(outcome, *("-" if v is None else f"{v:.4f}" for v in values))
    means = [a.mean("log_loss") for a in assessed]
    table.add_row("mean", *("-" if m is None else f"{m:.4f}" for m in means))
    out.print(table)


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)

"""Promotion and rollback as commands: every gate in a table, and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from training.lock import Locked
from training.promotion import Promotion, PromotionRefused, RollbackRefused, promote, rollback

if TYPE_CHECKING:
    from rich.console import Console

    from features import Specification
    from training.store import Store
    from validation.verdict import Verdict

DONE, REFUSED, BUSY = 0, 1, 3


def run_promote(
    store: Store,
    spec: Specification,
    version: str | None,
    allow_simulated: bool,
    by: str,
    reason: str,
    console: Console | None = None,
) -> int:
    """Promote a version and print every gate.

    Returns
    -------
    int
        0 promoted, 1 refused, 3 when another job holds the store.
    """
    out = console or _console()
    try:
        done = promote(store, spec, version, allow_simulated, by, reason)
    except PromotionRefused as refused:
        show(refused.verdicts, out)
        failed = [v.gate for v in refused.verdicts if not v.passed]
        out.print(f"Not promoted: {_count(failed) if failed else refused}", soft_wrap=True, markup=False)
        return REFUSED
    except Locked as held:
        out.print(f"Not promoted: {held}", soft_wrap=True, markup=False)
        return BUSY
    show(done.verdicts, out)
    out.print(_said(done), soft_wrap=True, markup=False)
    return DONE


def run_rollback(store: Store, spec: Specification, by: str, reason: str, console: Console | None = None) -> int:
    """Restore the previous champion.

    Returns
    -------
    int
        0 restored, 1 refused, 3 when another job holds the store.
    """
    out = console or _console()
    try:
        done = rollback(store, spec, by, reason)
    except RollbackRefused as refused:
        out.print(f"Not rolled back: {refused}", soft_wrap=True, markup=False)
        return REFUSED
    except Locked as held:
        out.print(f"Not rolled back: {held}", soft_wrap=True, markup=False)
        return BUSY
    text = f"Version {done.version} is champion again; version {done.replaced} is previous."
    out.print(f"{text} A running service keeps the model that it loaded; start it anew.", soft_wrap=True)
    return DONE


def show(verdicts: tuple[Verdict, ...], out: Console) -> None:
    """Print each gate with its figure, what is allowed and the verdict."""
    from rich.table import Table
    from rich.text import Text

    if not verdicts:
        return
    table = Table(title="Gates", title_justify="left")
    for name in ("gate", "figure", "allowed", "verdict"):
        table.add_column(name, overflow="fold")
    for v in verdicts:
        verdict = Text("passed", "green") if v.passed else Text("failed", "bold red")
        table.add_row(Text(v.gate), Text(v.text), Text(v.bound), verdict)
    out.print(table)


def _count(failed: list[str]) -> str:
    return f"{len(failed)} gate{'s' if len(failed) > 1 else ''} not passed: {', '.join(failed)}."


def _said(done: Promotion) -> str:
    text = f"Version {done.version} is now champion"
    text += f"; version {done.replaced} is previous." if done.replaced else "."
    failed = [v.gate for v in done.verdicts if not v.passed]
    if failed and not done.binding:
        text += f" Simulated patients are no evidence, so gates do not bind; {_count(failed)}"
    return text


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 140)

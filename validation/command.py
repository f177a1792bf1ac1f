"""The verdict as a command gives it: a report on the terminal, files where asked for, and an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from features import Problem, Specification
from validation.checkpoint import validate_registry
from validation.quarantine import MAX_BAD_SHARE, admit, admit_without_failing
from validation.registry import RegistryRejected

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

CLEAN, REJECTED, USAGE = 0, 1, 2


def run_validate(
    frame: pd.DataFrame,
    spec: Specification,
    *,
    reading: Iterable[Problem] = (),
    notes: Iterable[str] = (),
    predictors: Sequence[str] = (),
    quarantine: Path | None = None,
    max_bad_share: float = MAX_BAD_SHARE,
    docs: Path | None = None,
    json_path: Path | None = None,
    console: Console | None = None,
) -> int:
    """Validate a registry that was read, print the report and write the files asked for.

    Parameters
    ----------
    frame, reading, notes
        The registry, and the reader's problems and remarks.
    quarantine
        File for failing rows; with it the registry passes while fewer than `max_bad_share` of its rows fail.

    Returns
    -------
    int
        0 clean (or clean once failing rows were set aside), 1 rejected, 2 when it was asked wrongly.
    """
    from rich.console import Console

    # Narrower than this the report's last column is unreadable; a pipe has no width of its own.
    out = console or Console(width=None if _on_terminal() else 120)
    if not 0 < max_bad_share <= 1:
        out.print("--max-bad-share takes a share between 0 and 1, such as 0.05.")
        return USAGE
    try:
        report = validate_registry(frame, spec, docs_dir=docs, predictors=predictors, reading=reading, notes=notes)
        if json_path is not None:
            json_path.parent.mkdir(parents=True, exist_ok=True)
            json_path.write_text(report.to_json() + "\n", encoding="utf-8")
        report.render(out)
        if docs is not None:
            out.print(f"Data Docs: {docs / 'index.html'}", soft_wrap=True)
        try:
            if quarantine is None:
                admit(frame, report)
                return CLEAN
            checked = admit_without_failing(frame, report, quarantine, max_bad_share)
        except RegistryRejected as rejected:
            out.print(f"Rejected. {str(rejected).split(':')[0]}." if quarantine else "Rejected.", style="bold red")
            return REJECTED
    except OSError as error:
        out.print(f"{error.filename}: {error.strerror}. Name a place that can be written.", soft_wrap=True)
        return USAGE
    if checked.set_aside:
        out.print(f"{len(checked.set_aside)} rows set aside in {quarantine}; {len(checked.frame)} go on.")
    return CLEAN


def _on_terminal() -> bool:
    import sys

    return sys.stdout.isatty()

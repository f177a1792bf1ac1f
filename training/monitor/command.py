"""What ``resecta monitor`` does."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

from features import Specification, load_specification
from training.store import Store

if TYPE_CHECKING:
    from rich.console import Console

    from training.monitor.job import Monitored

QUIET, UNREADABLE, USAGE, ALERT = 0, 1, 2, 3


def run_monitor(
    predictions: Path,
    outcomes: Path,
    store: Store,
    *,
    as_of: dt.date | None = None,
    reference: Path | None = None,
    since: dt.date | None = None,
    out: Path | None = None,
    json_path: Path | None = None,
    spec: Specification | None = None,
    console: Console | None = None,
) -> int:
    """Judge the predictions and outcomes so far, print what was found, and log it to the store.

    Parameters
    ----------
    predictions, outcomes
        Files as in docs/monitoring.md.
    as_of, reference, since
        See `training.monitor.job.monitor`.
    out, json_path
        Where the page and the findings are also written.

    Returns
    -------
    int
        0 no alert, 3 an alert, 1 a file, the reference or the champion cannot be read, 2 asked wrongly.
    """
    from rich.console import Console

    from training.bundle import BundleRefused
    from training.monitor.job import monitor
    from training.monitor.page import render
    from training.monitor.reading import FilesUnreadable
    from training.monitor.run import as_json, log
    from validation.monitoring.profile import ProfileRefused

    spec = spec or load_specification()
    told = console or Console()
    absent = [p for p in (predictions, outcomes, reference) if p is not None and not p.is_file()]
    if absent:
        told.print("; ".join(f"{p} does not exist" for p in absent) + ".", markup=False, soft_wrap=True)
        return USAGE
    if as_of is not None and as_of > dt.datetime.now(dt.UTC).date():
        told.print("--as-of lies in the future; patients would count as closed who are not.")
        return USAGE
    try:
        found = monitor(predictions, outcomes, store, spec, as_of, reference, since)
    except (FilesUnreadable, ProfileRefused, BundleRefused) as error:
        told.print(str(error), style="red", markup=False, soft_wrap=True)
        return UNREADABLE
    page = render(found, spec)
    try:
        for path, text in ((out, page), (json_path, json.dumps(as_json(found), indent=1) + "\n")):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
    except OSError as error:
        told.print(f"{error.filename}: {error.strerror}. Name a place that can be written.", soft_wrap=True)
        return USAGE
    run = log(store, found, page)
    _show(found, told)
    told.print(f"MLflow run {run}" + (f"; page {out}" if out is not None else ""), soft_wrap=True)
    return ALERT if found.findings.alerts else QUIET


def _show(found: Monitored, console: Console) -> None:
    console.print(f"As of {found.as_of}: {found.predictions} predictions, {found.with_outcomes} with outcomes.")
    for finding in found.findings.found:
        console.print(f"{finding.severity.word:6} {finding.block}: {finding.text}", markup=False, soft_wrap=True)
    asked = "An update should be considered." if found.findings.needs_retraining else "No update is asked for."
    console.print(asked)

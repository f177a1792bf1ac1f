"""The ledger's commands: verify, cohort, export and retention, with tables on the terminal and exit codes."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from features import Specification
from serving.ledger.cohort import cohort
from serving.ledger.errors import LedgerError, LedgerUnavailable
from serving.ledger.export import export
from serving.ledger.ledger import Ledger
from serving.ledger.opening import ADDRESS, open_ledger
from serving.ledger.retention import retention
from serving.ledger.verify import verify
from serving.ledger.wanted import Wanted

if TYPE_CHECKING:
    from rich.console import Console

_NOTED = re.compile(r"(?P<seq>[0-9]{1,18}):(?P<hash>[0-9a-f]{64})")


class Code(IntEnum):
    """Exit codes."""

    DONE = 0
    BROKEN = 1  # the chain is broken, or nothing could be written
    USAGE = 2  # asked wrongly, or there is no ledger that can be read


def run_verify(
    environment: Mapping[str, str],
    store: Path,
    *,
    noted: str | None = None,
    json_path: Path | None = None,
    console: Console | None = None,
) -> int:
    """Walk the chain and say whether it is whole.

    Parameters
    ----------
    noted
        ``SEQ:HASH`` as an earlier run printed it: shows whether the end was cut off since.
    json_path
        File for the verdict.

    Returns
    -------
    int
        0 whole, 1 broken, 2 asked wrongly or not readable.
    """
    given = None
    if noted is not None:
        match = _NOTED.fullmatch(noted)
        if match is None:
            return _say(console, "--noted takes SEQ:HASH, as an earlier run printed it.", Code.USAGE)
        given = (int(match["seq"]), match["hash"])

    def work(ledger: Ledger, out: Console) -> int:
        from rich.table import Table

        verdict = verify(ledger.database, ledger.key, given)
        broken = verdict.broken
        if json_path is not None:
            json_path.write_text(json.dumps(verdict.document(), indent=2) + "\n", encoding="utf-8")
        table = Table("Entries", "Number", title="Ledger")
        for kind, count in verdict.kinds.items():
            table.add_row(kind, f"{count:,}")
        table.add_row("of these removed under retention", f"{verdict.removed:,}")
        out.print(table)
        out.print(f"Head: {verdict.head[0]}:{verdict.head[1]}", soft_wrap=True)
        if broken is None:
            out.print("The chain is whole.", style="bold green")
            return Code.DONE
        out.print(f"Broken at entry {broken.seq:,}: {broken.what}. {broken.text}", style="bold red", soft_wrap=True)
        return Code.BROKEN

    return _with(environment, store, console, work, Code.USAGE)


def run_cohort(
    environment: Mapping[str, str],
    store: Path,
    spec: Specification,
    out: Path,
    *,
    site: str | None = None,
    predictions: Path | None = None,
    outcomes: Path | None = None,
    console: Console | None = None,
) -> int:
    """Write the registry of all patients with an outcome, and the monitor's files where asked for.

    Returns
    -------
    int
        0 written, 1 nothing to write, 2 there is no ledger that can be read.
    """

    def work(ledger: Ledger, terminal: Console) -> int:
        from rich.table import Table

        try:
            files = cohort(ledger, spec, out, site=site, predictions=predictions, outcomes=outcomes)
        except LedgerError as error:
            terminal.print(str(error), soft_wrap=True)
            return Code.BROKEN
        table = Table("File", "Rows")
        for name, count in files.rows.items():
            table.add_row(name, f"{count:,}")
        terminal.print(table)
        for why, count in files.left_out.items():
            terminal.print(f"Left out: {count:,} {why}.", soft_wrap=True)
        return Code.DONE

    return _with(environment, store, console, work, Code.USAGE)


def run_export(
    environment: Mapping[str, str],
    store: Path,
    out: Path,
    *,
    asked: Mapping[str, str | None] | None = None,
    console: Console | None = None,
) -> int:
    """Write the ledger, or what is asked for of it, as JSON lines.

    Parameters
    ----------
    asked
        Filters as text, under the names that ``GET /audit`` takes (``after``, ``kind``, ``since``, ``until``,
        ``model_version``, ``caller``, ``patient``, ``prediction_id``); what is None does not matter.

    Returns
    -------
    int
        0 written, 2 asked wrongly, or it cannot be read or written.
    """
    # An address and a command are read by the same rules; the server's modules are loaded for this command alone.
    from serving.audit import FILTERS

    given = {name: text for name, text in (asked or {}).items() if text is not None}
    wanted, wrong = {}, []
    for parameter in FILTERS:
        if parameter.name in given:
            try:
                wanted[parameter.name] = parameter.read(given[parameter.name])
            except (ValueError, OverflowError):
                wrong.append(f"--{parameter.name.replace('_', '-')} takes {parameter.allowed}.")
    if "since" in wanted and "until" in wanted and wanted["since"] >= wanted["until"]:
        wrong.append("--until must be later than --since.")
    if wrong:
        return _say(console, "\n".join(wrong), Code.USAGE)

    def work(ledger: Ledger, terminal: Console) -> int:
        count, digest = export(ledger.database, out, Wanted(**wanted))
        terminal.print(f"{count:,} entries in {out.name}, readable by you alone. SHA-256 {digest}", soft_wrap=True)
        if set(wanted) - {"after"}:
            terminal.print("Not every entry is in it: each hash can be found again, the chain between them cannot.")
        return Code.DONE

    return _with(environment, store, console, work, Code.USAGE)


def run_retention(
    environment: Mapping[str, str],
    store: Path,
    *,
    before: str,
    reason: str,
    by: str,
    console: Console | None = None,
) -> int:
    """Remove the content of entries older than a day.

    Returns
    -------
    int
        0 done, 2 asked wrongly, or the ledger cannot be written.
    """
    try:
        day = dt.date.fromisoformat(before)
    except ValueError:
        return _say(console, "--before takes a date as YYYY-MM-DD: the first day that is kept.", Code.USAGE)

    def work(ledger: Ledger, terminal: Console) -> int:
        done = retention(ledger.database, ledger.key, day, reason, by)
        if not done.count:
            terminal.print(f"Nothing is older than {day}.")
        elif done.receipt is None:
            terminal.print(
                f"An earlier removal was cut short. The content of the {done.count:,} entries that it left, "
                f"up to {done.through:,}, is removed now; its checkpoint says so, signed.",
                soft_wrap=True,
            )
        else:
            terminal.print(
                f"The content of {done.count:,} entries up to {done.through:,} was removed. "
                f"Checkpoint {done.receipt.seq:,} says so, signed.",
                soft_wrap=True,
            )
        return Code.DONE

    return _with(environment, store, console, work, Code.USAGE, writes=True)


def _with(
    environment: Mapping[str, str],
    store: Path,
    console: Console | None,
    work: Callable[[Ledger, Console], int],
    failed: Code,
    writes: bool = False,
) -> int:
    out = _console(console)
    try:
        with open_ledger(environment, store, make=False, read_only=not writes) as ledger:
            return work(ledger, out)
    except LedgerUnavailable as error:
        out.print(f"{error} {ADDRESS} and RESECTA_STORE say where it is.", soft_wrap=True)
    except LedgerError as error:
        out.print(str(error), soft_wrap=True)
    except OSError as error:
        out.print(f"{error.filename}: {error.strerror}. Name a place that can be written.", soft_wrap=True)
    return failed


def _say(console: Console | None, text: str, code: Code) -> int:
    _console(console).print(text, soft_wrap=True)
    return code


def _console(console: Console | None) -> Console:
    from rich.console import Console as Terminal

    return console or Terminal()

"""The summary of a job: one page of Markdown that holds no patient's value and no password."""

from __future__ import annotations

import html
import os
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from training.retraining.record import GateFigure, Record

if TYPE_CHECKING:
    from jinja2 import Template

SHOWN = 12  # kinds of defects named before the rest is counted
COUNTED = 5  # passed gates of one kind beyond which they are only counted
LONGEST = 240  # signs of a gate's words; all of them are in decision.json
_MARKUP = re.compile(r"([\\`*\[\]|])")


def render(record: Record) -> str:
    """The record as Markdown; words from outside (names of files, sites, people) can bring in no markup."""
    failed = [g for g in record.gates if not g.passed]
    text = _template().render(r=record, shown=SHOWN, failed=failed, passed=_passed(record), short=_short)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def write(record: Record, path: Path) -> Path:
    """Write the summary, whole or not at all.

    Raises
    ------
    OSError
        When the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(render(record), "utf-8")
    part.replace(path)
    return path


def plain(text: object) -> object:
    """Text without anything that Markdown or HTML would take for its own, on one line."""
    if not isinstance(text, str):
        return text
    return _MARKUP.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rsplit(' ', 1)[0]} ..."


def _passed(record: Record) -> list[tuple[str, str]]:
    """Passed gates by kind, with the figure of each outcome; kinds with many entries are counted."""
    kinds: dict[str, list[GateFigure]] = {}
    for gate in record.gates:
        if gate.passed:
            kinds.setdefault(gate.gate.rpartition("/")[2], []).append(gate)
    found = []
    for kind, gates in kinds.items():
        figures = "; ".join(_figure(g) for g in gates) if len(gates) <= COUNTED else f"{len(gates)} passed"
        found.append((kind, figures))
    return found


def _figure(gate: GateFigure) -> str:
    value = "passed" if gate.value is None else f"{gate.value:.3g}"
    outcome = gate.gate.rpartition("/")[0]
    return f"{outcome} {value}" if outcome else value


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    # Markdown is not HTML, so that every value is made plain where it is put in, not escaped as HTML alone.
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, finalize=plain, autoescape=False
    )
    return environment.from_string((files("training.retraining") / "summary.md").read_text("utf-8"))

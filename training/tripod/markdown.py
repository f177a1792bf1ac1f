"""A reporting record as a page to read."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.tripod.tripod import TripodRecord

_BLANK = "*To be completed by the site"


def render(record: TripodRecord) -> str:
    """Write a record as Markdown: what is filled first in each item, then what the site must add."""
    from training.tripod.tripod import STATUSES

    lines = ["# TRIPOD+AI record", ""]
    if record.simulated:
        lines += ["> **Simulated patients.** Nothing below is about real patients.", ""]
    lines += [record.wording, "", "| status | sub-items |", "|---|---:|"]
    lines += [f"| {status} | {record.count(status)} |" for status in STATUSES]
    lines += ["", f"{record.percent_auto:g}% of {len(record.items)} sub-items are filled from artefacts alone.", ""]
    for section, items in groupby(record.items, key=lambda item: item.section):
        lines += [f"## {section}", ""]
        for item in items:
            lines += [f"### {item.id} {item.content}", "", f"Status: {item.status}.", ""]
            lines += [part for text in item.text for part in (_escaped(text), "")]
            if item.missing:
                lines += [f"No artefact for: {', '.join(name.replace('_', ' ') for name in item.missing)}.", ""]
            if item.site is not None:
                lines += [f"{_BLANK}: {item.site}.*", ""]
            elif item.status not in STATUSES[:2]:
                lines += [f"{_BLANK}.*", ""]
    lines += ["## Risk of bias", "", record.probast.wording, ""]
    lines += ["| domain | risk of bias | why |", "|---|---|---|"]
    lines += [f"| {d.domain} | {d.risk} | {_cell(d.why)} |" for d in record.probast.domains]
    lines += ["", f"Overall: **{record.probast.overall}**.", "", "| question | answer | why |", "|---|---|---|"]
    lines += [
        f"| {q.id} {q.question} | {q.answer} | {_cell(q.why)} |" for d in record.probast.domains for q in d.questions
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|").replace("\n", " ")

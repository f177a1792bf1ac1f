"""Whose column is whose: headers matched to fields by the column map, by name, by alias, by REDCap checkbox."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as member

from features import Kind, Problem, Specification
from training.registry.column_map import ColumnMap
from training.registry.layout import Layout

_CHECKBOX = re.compile(r"(?P<name>.+)___(?P<code>.+)")


@dataclass
class Matched:
    """Which header holds which field.

    Attributes
    ----------
    columns
        Our name -> their header.
    checkboxes
        Our multiple-choice field -> our code -> their header (REDCap's ``field___code`` columns).
    """

    columns: dict[str, str] = member(default_factory=dict)
    checkboxes: dict[str, dict[str, str]] = member(default_factory=dict)
    unmapped: list[str] = member(default_factory=list)
    problems: list[Problem] = member(default_factory=list)
    notes: list[str] = member(default_factory=list)


def match_columns(headers: Sequence[str], mapping: ColumnMap, spec: Specification, layout: Layout) -> Matched:
    """Match headers to fields and outcomes; what the column map says comes first."""
    matched = Matched()
    ours = {*spec.fields, *spec.outcomes.names, layout.regimen_column}
    aliases = {plain(alias): f.name for f in spec.fields.values() for alias in f.aliases}
    for theirs, name in mapping.columns.items():
        if theirs in headers:
            matched.columns[name] = theirs
        elif not any(header.startswith(f"{theirs}___") for header in headers):
            matched.problems.append(
                Problem(
                    name,
                    "mapped_column_absent",
                    f"The column map takes {name} from {theirs}, which the registry lacks.",
                )
            )
    taken = set(matched.columns.values())
    for header in headers:
        if header in ours and header not in taken and header not in mapping.columns.values():
            _take(matched, header, header)
    for header in headers:
        if header in matched.columns.values() or header == layout.simulated_column:
            continue
        if _checkbox(matched, header, mapping, spec, aliases):
            continue
        name = plain(header) if plain(header) in ours else aliases.get(plain(header), "")
        # What the column map says leaves no doubt, so another column of the field is only left out.
        if not name or name in mapping.columns.values():
            matched.unmapped.append(header)
        elif _take(matched, name, header):
            matched.notes.append(f"column {header} is read as {name}")
    return matched


def plain(header: str) -> str:
    """A header in lower case with every other sign an underscore."""
    return re.sub(r"[^a-z0-9]+", "_", header.lower()).strip("_")


def _take(matched: Matched, name: str, header: str) -> bool:
    held = matched.columns.get(name)
    if held is None:
        matched.columns[name] = header
        return True
    matched.unmapped.append(header)
    matched.problems.append(
        Problem(name, "duplicate_column", f"{name} is already read from {held}; the column {header} is left out.")
    )
    return False


def _checkbox(matched: Matched, header: str, mapping: ColumnMap, spec: Specification, aliases: dict[str, str]) -> bool:
    found = _CHECKBOX.fullmatch(header)
    if found is None:
        return False
    written, code = found["name"], found["code"]
    name = mapping.columns.get(written) or (written if written in spec.fields else aliases.get(plain(written), ""))
    field = spec.fields.get(name)
    if field is None or field.kind is not Kind.CODES:
        return False
    codes = {**{c.lower(): c for c in field.codes}, **{k.lower(): v for k, v in mapping.codes.get(name, {}).items()}}
    # REDCap writes the code -1 as ___ _1, and every code in lower case.
    wanted = codes.get(code.lower()) or codes.get(code.lower().replace("_", "-", 1))
    if wanted is None:
        matched.unmapped.append(header)
        matched.problems.append(
            Problem(name, "unknown_code", f"The checkbox {header} has no code of {name}; allowed is {field.allowed()}.")
        )
    else:
        matched.checkboxes.setdefault(name, {})[wanted] = header
    return True

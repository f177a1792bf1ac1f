"""Turn what expectations found unmet into defects: one a field and code, with the rows at fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from features import LateInformation, Role, Specification, Time
from features.availability import refuse_late
from validation.engine import Finding
from validation.field_suite import EMPTY, TOO_OFTEN, empty_column
from validation.report import EXAMPLES, Defect
from validation.requirement import Requirement
from validation.rows import Rows
from validation.sites import ALL, in_unit, told
from validation.suite import PREDICTORS


def column_defects(findings: Sequence[Finding], spec: Specification, predict_at: Time) -> Iterator[Defect]:
    """One defect a field and code, and one for each name offered as a predictor."""
    for group in _grouped(findings).values():
        requirement = group[0].requirement
        names = tuple(dict.fromkeys(str(c) for f in group for c in f.where))
        if requirement.field != PREDICTORS:
            yield Defect.of_column(requirement, names)
            continue
        for name in names:
            yield Defect.of_column(replace(requirement, field=name, what=_refusal(name, requirement, spec, predict_at)))


def _refusal(name: str, requirement: Requirement, spec: Specification, predict_at: Time) -> str:
    """Why a name is no predictor: with both times, if it is known too late."""
    things: dict[str, Any] = {**spec.fields, **spec.derived, **{o.name: o for o in spec.outcomes.outcomes}}
    try:
        refuse_late([things[name]] if name in things else [], predict_at)
    except LateInformation as late:
        return f"Offered as a predictor: {late}".removesuffix(". Remove it from the predictors.")
    return requirement.what


def row_defects(
    by_row: Sequence[Finding], by_site: Sequence[Finding], rows: Rows, spec: Specification
) -> Iterator[Defect]:
    """One defect a field and code, whether cells, a column or the figures of a site show it."""
    impossible: dict[str, set[int]] = {}
    for finding in by_row:
        if finding.requirement.severity == "error":
            impossible.setdefault(finding.requirement.field, set()).update(int(i) for i in finding.where)
    for group in _grouped([*by_row, *by_site]).values():
        # What is said of a whole site explains its cells.
        first = max((f.requirement for f in group), key=lambda r: r.scope != "cell")
        sites = tuple(dict.fromkeys(str(s) for f in group if f.requirement.scope == "site" for s in f.where))
        if ALL in sites:
            sites = (ALL,)
        at = {int(i) for f in group if f.requirement.scope != "site" for i in f.where}
        if first.scope == "cell" and first.severity == "warning":
            # What is impossible need not be called out of the ordinary as well.
            at -= impossible.get(first.field, set())
            if not at:
                continue
        count: int | None = None
        if first.scope == "site" and first.severity == "error":
            at |= _slipped(first.field, sites, rows, spec)
        elif first.scope == "site":
            count = sum(told(rows, site)[first.field] for site in sites)
        if first.code == TOO_OFTEN and len(at) > EMPTY * rows.n and Role.PREDICTOR in spec.fields[first.field].roles:
            first = empty_column(spec.fields[first.field])
        blamed = () if first.scope == "column" and first.severity == "error" else tuple(sorted(at))
        count = len(at) if count is None else count
        defect = Defect.of_column(first)
        yield replace(
            defect,
            count=count or None,
            share=round(count / rows.n, 4) if count and rows.n else None,
            examples=_examples(rows, sorted(at)),
            sites=sites,
            rows=blamed,
        )


def _slipped(name: str, sites: Iterable[str], rows: Rows, spec: Specification) -> set[int]:
    field = spec.fields[name]
    return {i for site in sites for slip in field.unit_slips for i in in_unit(rows, field, slip, site)}


def _examples(rows: Rows, at: Sequence[int]) -> tuple[str, ...]:
    return tuple(rows.patients[i] or f"line {i + 2}" for i in at[:EXAMPLES])


def _grouped(findings: Iterable[Finding]) -> dict[tuple[str, str], list[Finding]]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.requirement.field, finding.requirement.code), []).append(finding)
    return groups

"""Which regimens are scored: all, those that a file plans for each patient, or a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features import Field, Kind, Regimen, Role, Specification, UnknownRegimen

ALL, PLANNED = "all", "planned"


class PlanRefused(ValueError):
    """A list of regimens that cannot be read; the message says how one is written."""


@dataclass(frozen=True)
class PlanFields:
    """The columns in which a file says which regimen is planned."""

    backbone: Field
    biologic: Field
    cycles: Field


@dataclass(frozen=True)
class Plan:
    """The regimens of every patient; None when each patient's own is scored."""

    regimens: tuple[Regimen, ...] | None


def plan_fields(spec: Specification) -> PlanFields:
    """Find the fields of the plan by what they hold."""
    plan = spec.field_with(Role.PLAN)

    def holding(names: Sequence[str]) -> Field:
        return next(f for f in plan if set(f.codes) == set(names))

    catalogue = spec.regimens
    return PlanFields(
        holding([b.name for b in catalogue.backbones]),
        holding([b.name for b in catalogue.biologics]),
        next(f for f in plan if f.kind is Kind.INTEGER),
    )


def read_plan(text: str, spec: Specification) -> Plan:
    """Read ``all``, ``planned``, or a list such as ``folfox+bevacizumab,folfiri+cetuximab:6``.

    In a list, cycles follow a colon; without, those that fit the usual duration are planned.

    Raises
    ------
    PlanRefused
        Naming every entry that is not a regimen, and what is allowed.
    """
    wanted = text.strip().lower()
    if wanted == ALL:
        return Plan(spec.regimens.all())
    if wanted == PLANNED:
        return Plan(None)
    found: dict[tuple[str, str, int], Regimen] = {}
    problems: list[str] = []
    for entry in filter(None, (part.strip() for part in wanted.split(","))):
        name, _, cycles = entry.partition(":")
        backbone, _, biologic = name.partition("+")
        try:
            if cycles and not (cycles.isascii() and cycles.isdigit()):
                raise UnknownRegimen("cycles are a whole number")
            none = next(b.name for b in spec.regimens.biologics if not b.drugs)
            regimen = spec.regimens.regimen(backbone.strip(), biologic.strip() or none, int(cycles) if cycles else None)
        except UnknownRegimen as unknown:
            problems.append(f"{entry}: {unknown}")
            continue
        found[(*regimen.key, regimen.planned_cycles)] = regimen
    if problems or not found:
        told = "; ".join(problems) or "the list is empty"
        raise PlanRefused(f"--regimens takes {ALL}, {PLANNED}, or backbone+biologic[:cycles] after commas. {told}")
    return Plan(tuple(found.values()))

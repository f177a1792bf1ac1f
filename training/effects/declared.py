"""Contrasts as they are declared, checked against the specification."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import Field as Attribute
from pydantic import ValidationError

from features import Specification, SpecificationError
from features.facts import regimen_facts
from features.field import Frozen
from features.rule import Condition


class RegimenPart(IntEnum):
    """The part of a regimen in which two arms differ: its position in a regimen's key."""

    BACKBONE = 0
    BIOLOGIC = 1

    @property
    def other(self) -> RegimenPart:
        """The part that stays as received."""
        return RegimenPart(1 - self)

    @property
    def kept(self) -> str:
        """What is left as received, in words."""
        return "antibody" if self is RegimenPart.BACKBONE else "chemotherapy"


class Arm(Frozen):
    """One side of a contrast: a condition over drugs and drug classes."""

    label: str
    when: Condition


class Contrast(Frozen):
    """Two arms, see ``contrasts.yaml``.

    Attributes
    ----------
    among
        Condition over fields known before cycle 1: patients to whom the contrast applies; None for all.
    not_estimated
        What no registry can say, and why.
    """

    name: str = Attribute(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    among: Condition | None = None
    among_label: str | None = None
    first: Arm
    second: Arm
    not_estimated: str | None = None
    why: str


class Selection(Frozen):
    """The decision that is judged by net benefit over thresholds from `points[0]` to `points[1]` percentage points."""

    contrast: str
    decision: str
    points: tuple[int, int]


class Contrasts(Frozen):
    """Everything declared."""

    contrasts: tuple[Contrast, ...] = Attribute(min_length=1)
    selection: Selection | None = None


@dataclass(frozen=True)
class Resolved:
    """A contrast in terms of the components of one part of a regimen.

    Attributes
    ----------
    first, second
        Positions of backbones or biologics in the specification.
    """

    declared: Contrast
    part: RegimenPart
    first: tuple[int, ...]
    second: tuple[int, ...]


def components(spec: Specification, part: RegimenPart) -> tuple[str, ...]:
    """Names of the backbones or of the biologics."""
    parts = spec.regimens.backbones if part is RegimenPart.BACKBONE else spec.regimens.biologics
    return tuple(p.name for p in parts)


def labels(spec: Specification, part: RegimenPart) -> tuple[str, ...]:
    """What the backbones or the biologics are called."""
    parts = spec.regimens.backbones if part is RegimenPart.BACKBONE else spec.regimens.biologics
    return tuple(p.label for p in parts)


def alike(resolved: tuple[Resolved, ...], part: RegimenPart, count: int) -> tuple[tuple[int, ...], ...]:
    """Components that lie in the same arms of every contrast of a part, and so may share a propensity."""
    own = [r for r in resolved if r.part is part]
    signatures: dict[tuple[bool, ...], list[int]] = {}
    for c in range(count):
        signature = tuple(side for r in own for side in (c in r.first, c in r.second))
        signatures.setdefault(signature, []).append(c)
    return tuple(tuple(group) for group in signatures.values())


def resolve(data: Any, spec: Specification) -> tuple[tuple[Resolved, ...], Selection | None]:
    """Check contrasts given as plain data.

    Raises
    ------
    SpecificationError
        Naming every entry at fault.
    """
    try:
        declared = Contrasts.model_validate(data)
    except ValidationError as error:
        lines = [f"contrasts: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise SpecificationError("\n".join(lines)) from None
    complaints: list[str] = []
    found = []
    for contrast in declared.contrasts:
        mine = _complaints(contrast, spec)
        complaints += mine
        if not mine:
            part, first, second = _members(contrast, spec)
            if part is None:
                complaints.append(
                    f"contrast {contrast.name}: its arms must each be some backbones with any biologic, or some "
                    "biologics with any backbone, and share none"
                )
            else:
                found.append(Resolved(contrast, part, first, second))
    names = [c.name for c in declared.contrasts]
    complaints += [f"contrast {n} is declared twice" for n in sorted({n for n in names if names.count(n) > 1})]
    if declared.selection is not None:
        if declared.selection.contrast not in names:
            complaints.append(f"selection: unknown contrast {declared.selection.contrast}")
        if not 0 < declared.selection.points[0] < declared.selection.points[1] <= 100:
            complaints.append("selection: points must rise, from above 0 to at most 100")
    if complaints:
        raise SpecificationError("\n".join(complaints))
    return tuple(found), declared.selection


@lru_cache(maxsize=4)
def load_contrasts(spec: Specification) -> tuple[tuple[Resolved, ...], Selection | None]:
    """Load the contrasts that ship with the project; see `resolve`."""
    return resolve(yaml.safe_load((files("training.effects") / "contrasts.yaml").read_text("utf-8")), spec)


def _complaints(contrast: Contrast, spec: Specification) -> list[str]:
    found = []
    for arm in (contrast.first, contrast.second):
        stray = sorted(arm.when.facts() - set(spec.regimens.exposure_names))
        if stray:
            found.append(
                f"contrast {contrast.name}: {', '.join(stray)} is no drug or drug class; known are "
                f"{', '.join(spec.regimens.exposure_names)}"
            )
    if contrast.among is not None:
        baseline = {f.name for f in spec.asked}
        stray = sorted(contrast.among.facts() - baseline)
        if stray:
            found.append(f"contrast {contrast.name}: among: {', '.join(stray)} is no field asked before cycle 1")
        for fact, code in contrast.among.code_uses():
            if fact in baseline and spec.codes(fact) and code not in spec.codes(fact):
                found.append(f"contrast {contrast.name}: among: {code} is not a code of {fact}")
        if contrast.among_label is None:
            found.append(f"contrast {contrast.name}: say among whom in among_label")
    return found


def _members(contrast: Contrast, spec: Specification) -> tuple[RegimenPart | None, tuple[int, ...], tuple[int, ...]]:
    keys = {r.key: regimen_facts(r) for r in spec.regimens.all()}
    sides = [{k for k, facts in keys.items() if arm.when.evaluate(facts)} for arm in (contrast.first, contrast.second)]
    for part in RegimenPart:
        names = components(spec, part)
        picked = [{key[part] for key in side} for side in sides]
        whole = all(
            side and side == {k for k in keys if k[part] in chosen} for side, chosen in zip(sides, picked, strict=True)
        )
        if whole and not picked[0] & picked[1]:
            first, second = (tuple(i for i, n in enumerate(names) if n in chosen) for chosen in picked)
            return part, first, second
    return None, (), ()

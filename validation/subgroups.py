"""Groups of patients in which every model is judged apart, declared in data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import model_validator

from features import Patients, Regimen, Specification, SpecificationError
from features.facts import regimen_facts
from features.field import Frozen
from features.rule import Condition
from validation.answers import answers, complaints

Mask = NDArray[np.bool_]


class Level(Frozen):
    """The members of a group by condition."""

    label: str
    when: Condition


class Group(Frozen):
    """One way to divide patients: levels by condition, or the codes of a field or derived field."""

    label: str
    of: str | None = None
    levels: tuple[Level, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.levels) == (self.of is not None):
            raise ValueError("give either levels or the field whose codes are the levels")
        return self


class RegimenClasses(Frozen):
    """Classes of regimens: one of the backbone with one of the biologic."""

    label: str
    backbone: tuple[Level, ...]
    biologic: tuple[Level, ...]

    def of(self, regimen: Regimen) -> str:
        """The class that a regimen falls into, in words."""
        facts = regimen_facts(regimen)
        return " + ".join(
            level.label for part in (self.backbone, self.biologic) for level in part if level.when.evaluate(facts)
        )


class Subgroups(Frozen):
    """All groups; `unknown` is what the level of those not known is called."""

    groups: tuple[Group, ...]
    regimen: RegimenClasses
    site: str
    unknown: str

    def complaints(self, spec: Specification) -> list[str]:
        """Every entry that does not fit the specification."""
        found: list[str] = []
        for group in self.groups:
            if group.of is not None:
                known = group.of in spec.fields or group.of in spec.derived
                if not known or not spec.codes(group.of):
                    found.append(f"group {group.label}: {group.of} is not a coded field or derived field")
            for level in group.levels:
                found += complaints(f"group {group.label}: {level.label}", level.when, spec)
        drugs = set(spec.regimens.exposure_names)
        for part in (self.regimen.backbone, self.regimen.biologic):
            for level in part:
                stray = sorted(level.when.facts() - drugs)
                if stray:
                    found.append(f"regimen class {level.label}: {', '.join(stray)} is not a drug or class of drugs")
            for regimen in spec.regimens.all():
                held = [level.label for level in part if level.when.evaluate(regimen_facts(regimen))]
                if len(held) != 1:
                    found.append(f"regimen {regimen.label} falls into {len(held)} of {[lv.label for lv in part]}")
        labels = [g.label for g in self.groups] + [self.regimen.label, self.site]
        found += [f"group {label} is declared twice" for label in sorted({x for x in labels if labels.count(x) > 1})]
        return found


def parse_subgroups(data: dict[str, Any], spec: Specification) -> Subgroups:
    """Parse declared groups and check them.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    subgroups = Subgroups.model_validate(data)
    found = subgroups.complaints(spec)
    if found:
        raise SpecificationError("\n".join(found))
    return subgroups


@lru_cache(maxsize=4)
def load_subgroups(spec: Specification) -> Subgroups:
    """Load the groups that ship with the project.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    return parse_subgroups(yaml.safe_load((files("validation") / "subgroups.yaml").read_text("utf-8")), spec)


def groups(
    spec: Specification, patients: Patients, regimens: Sequence[Regimen], site: NDArray[np.str_]
) -> Mapping[str, Mapping[str, Mask]]:
    """Divide patients into the declared groups.

    Parameters
    ----------
    regimens, site
        Planned regimen and site of each patient, of length n.

    Returns
    -------
    Mapping
        Masks of shape (n,) by label of the group and of the level. The levels of a group do not overlap and hold
        every patient; a level may be empty.
    """
    declared = load_subgroups(spec)
    found: dict[str, Mapping[str, Mask]] = {}
    for group in declared.groups:
        masks = (
            {level.label: answers(level.when, patients) == 1 for level in group.levels}
            if group.of is None
            else _by_code(spec, group.of, patients)
        )
        unknown = ~np.logical_or.reduce(list(masks.values()))
        found[group.label] = {**masks, declared.unknown: unknown}
    found[declared.regimen.label] = _by_regimen(spec, declared.regimen, regimens)
    found[declared.site] = {str(name): site == name for name in np.unique(site)}
    return found


def _by_code(spec: Specification, name: str, patients: Patients) -> dict[str, Mask]:
    known = spec.fields.get(name) or spec.derived[name]
    unknown = spec.unknown_codes.get(name, ())
    column = patients[name]
    return {label: column == i for i, (code, label) in enumerate(known.codes.items()) if code not in unknown}


def _by_regimen(spec: Specification, classes: RegimenClasses, regimens: Sequence[Regimen]) -> dict[str, Mask]:
    class_of = {regimen.key: classes.of(regimen) for regimen in spec.regimens.all()}
    held = np.array([class_of[regimen.key] for regimen in regimens], dtype=str)
    return {label: held == label for label in dict.fromkeys(class_of.values())}

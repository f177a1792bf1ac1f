"""What the registry reader and the cohort need to know by name, loaded from data and checked."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import yaml
from pydantic import Field as Attribute

from features import Specification, SpecificationError
from features.field import Frozen
from features.rule import Condition


class Keys(Frozen):
    """Names of the fields that identify a row: its pseudonym, its site and day 1 of cycle 1."""

    record: str
    site: str
    start: str


class Plan(Frozen):
    """Names of the fields that hold the planned regimen."""

    backbone: str
    biologic: str
    cycles: str


class Exclusion(Frozen):
    """One reason to leave a row out of a cohort."""

    code: str
    when: Condition
    text: str


class Layout(Frozen):
    """Names and habits of registries, see ``data/registry.yaml``.

    Attributes
    ----------
    horizon_months
        Follow-up, in months, without which a root outcome and all below it are not yet known.
    least_events
        Fewest events, and fewest non-events, with which an outcome can be trained.
    """

    keys: Keys
    plan: Plan
    regimen_column: str
    simulated_column: str
    missing: tuple[str, ...]
    true_words: tuple[str, ...]
    false_words: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    horizon_months: dict[str, float]
    least_events: int = Attribute(ge=1)

    def complaints(self, spec: Specification) -> list[str]:
        """Every name that the specification does not know."""
        named = {**self.keys.model_dump(), **self.plan.model_dump()}
        found = [
            f"registry layout: {part}: unknown field {name}" for part, name in named.items() if name not in spec.fields
        ]
        found += [
            f"registry layout: horizon of unknown outcome {name}"
            for name in self.horizon_months
            if name not in spec.outcomes.names
        ]
        for rule in self.exclusions:
            stray = sorted(rule.when.facts() - spec.facts)
            if stray:
                found.append(f"registry layout: exclusion {rule.code}: unknown facts {', '.join(stray)}")
        for name in (self.regimen_column, self.simulated_column):
            if name in spec.fields or name in spec.outcomes.names:
                found.append(f"registry layout: {name} is also a field or an outcome")
        return found


@lru_cache(maxsize=4)
def load_layout(spec: Specification) -> Layout:
    """Load the layout that ships with the project.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    text = (files("training.registry") / "data" / "registry.yaml").read_text("utf-8")
    layout = Layout.model_validate(yaml.safe_load(text))
    complaints = layout.complaints(spec)
    if complaints:
        raise SpecificationError("\n".join(complaints))
    return layout

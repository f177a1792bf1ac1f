"""Names of fields that the ledger must know, and of columns of the files made from it."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import yaml

from features import Role, Specification, SpecificationError
from features.field import Frozen


class Keys(Frozen):
    """Fields that identify a row of a registry: its pseudonym, its site and day 1 of cycle 1."""

    record: str
    site: str
    start: str


class Plan(Frozen):
    """Fields that hold the regimen started."""

    backbone: str
    biologic: str
    cycles: str


class PredictionColumns(Frozen):
    """Columns of the file of predictions: which, when and by which model."""

    key: str
    when: str
    version: str


class OutcomeColumns(Frozen):
    """Columns of the file of outcomes: of which prediction."""

    key: str


class Names(Frozen):
    """See ``data/names.yaml``."""

    keys: Keys
    plan: Plan
    predictions: PredictionColumns
    outcomes: OutcomeColumns

    def complaints(self, spec: Specification) -> list[str]:
        """Every name that does not fit the specification."""
        found = [
            f"ledger's names: {part}: {name} is not a field with the role {role.value}"
            for group, role in ((self.keys, Role.KEY), (self.plan, Role.PLAN))
            for part, name in group.model_dump().items()
            if name not in spec.fields or role not in spec.fields[name].roles
        ]
        columns = {*self.predictions.model_dump().values(), self.outcomes.key}
        taken = sorted(columns & {*spec.fields, *spec.outcomes.names})
        return found + [f"ledger's names: {name} is also a field or an outcome" for name in taken]


@lru_cache(maxsize=4)
def load_names(spec: Specification) -> Names:
    """Load the names that ship with the project.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    text = (files("serving.ledger") / "data" / "names.yaml").read_text("utf-8")
    names = Names.model_validate(yaml.safe_load(text))
    complaints = names.complaints(spec)
    if complaints:
        raise SpecificationError("\n".join(complaints))
    return names

"""The reporting record: each of TRIPOD+AI's sub-items with what artefacts say of it and what a person must add."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Literal, Self

import yaml
from pydantic import model_validator

from features.field import Frozen
from training.tripod.facts import TripodFacts
from training.tripod.probast import Probast, probast
from training.tripod.statements import STATEMENTS

Fill = Literal["auto", "partly", "human"]
Status = Literal["filled", "partly", "to be completed by the site"]
STATUSES: tuple[Status, ...] = ("filled", "partly", "to be completed by the site")
_PLACEHOLDER = re.compile(r"{(\w+)}")


class Declared(Frozen):
    """One sub-item as declared, see ``tripod.yaml``."""

    id: str
    section: str
    content: str
    fill: Fill
    says: tuple[str, ...] = ()
    site: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        stray = sorted(self.needs - set(STATEMENTS))
        if stray:
            raise ValueError(f"item {self.id}: unknown statements {', '.join(stray)}")
        if self.fill != "human" and not self.says:
            raise ValueError(f"item {self.id}: nothing to say, so it must be filled by a human")
        if self.fill != "auto" and not self.site:
            raise ValueError(f"item {self.id}: say what the site must add")
        return self

    @property
    def needs(self) -> frozenset[str]:
        """Names of the statements it is made of."""
        return frozenset(name for line in self.says for name in _PLACEHOLDER.findall(line))


class Checklist(Frozen):
    """All sub-items in order, and what must be known of their wording."""

    wording: str
    items: tuple[Declared, ...]


class SubItem(Frozen):
    """One sub-item of a record.

    Attributes
    ----------
    text
        What artefacts say.
    missing
        Statements that no artefact was there for.
    site
        What the site must add.
    """

    id: str
    section: str
    content: str
    status: Status
    text: tuple[str, ...]
    missing: tuple[str, ...] = ()
    site: str | None = None


class TripodRecord(Frozen):
    """A reporting record.

    Attributes
    ----------
    percent_auto
        Share of sub-items filled from artefacts alone, in percent.
    """

    wording: str
    simulated: bool
    percent_auto: float
    items: tuple[SubItem, ...]
    probast: Probast

    def count(self, status: Status) -> int:
        """Number of sub-items with a status."""
        return sum(item.status == status for item in self.items)

    def item(self, id_: str) -> SubItem:
        """One sub-item.

        Raises
        ------
        KeyError
            When there is none of that number.
        """
        for item in self.items:
            if item.id == id_:
                return item
        raise KeyError(f"TRIPOD+AI has no item {id_}")

    def to_json(self) -> str:
        """As indented JSON."""
        return self.model_dump_json(indent=1) + "\n"

    def to_markdown(self) -> str:
        """As a page of Markdown."""
        from training.tripod.markdown import render

        return render(self)


@cache
def load_items() -> Checklist:
    """Load the checklist that ships with the project.

    Raises
    ------
    pydantic.ValidationError
        Naming every sub-item that does not fit.
    """
    return Checklist.model_validate(yaml.safe_load((files("training.tripod") / "tripod.yaml").read_text("utf-8")))


def tripod(facts: TripodFacts) -> TripodRecord:
    """Fill the record as far as the facts allow."""
    checklist = load_items()
    said = {name: statement(facts) for name, statement in STATEMENTS.items()}
    items = tuple(_filled(declared, said) for declared in checklist.items)
    return TripodRecord(
        wording=checklist.wording,
        simulated=facts.simulated,
        percent_auto=round(100 * sum(item.status == "filled" for item in items) / len(items), 1),
        items=items,
        probast=probast(facts),
    )


def _filled(declared: Declared, said: dict[str, str | None]) -> SubItem:
    lines = []
    for line in declared.says:
        parts = {name: said[name] for name in _PLACEHOLDER.findall(line)}
        if all(parts.values()):
            # Not str.format: what is said may hold braces.
            lines.append(_PLACEHOLDER.sub(lambda match: str(said[match[1]]), line))
    missing = tuple(sorted(name for name in declared.needs if not said[name]))
    status: Status = "to be completed by the site"
    if declared.fill != "human" and lines:
        # Fixed sentences alone do not fill an item whose artefacts are all missing.
        alone = declared.needs and len(missing) == len(declared.needs)
        complete = declared.fill == "auto" and not missing
        status = "filled" if complete else status if alone else "partly"
    return SubItem(
        id=declared.id,
        section=declared.section,
        content=declared.content,
        status=status,
        text=tuple(lines),
        missing=missing,
        site=declared.site,
    )

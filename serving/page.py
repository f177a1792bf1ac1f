"""The tumour board's page: the form, the choice of regimens, and the frame in which an answer is shown.

What the script needs to know of fields, outcomes and regimens is embedded as data, so that it names none. Nothing
runs or is styled inline and nothing is loaded from elsewhere, as the service's content policy demands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from features import MAX_WEEKS, Field, Part, Specification, UnknownRegimen
from features.field import Frozen
from serving.form import TEMPLATES, environment, form_groups, pretty
from serving.wording import cycles_field

STATIC = Path(__file__).parent / "static"


class PageTextError(ValueError):
    """What the page says does not fit the specification; the message names every entry at fault."""


class Shown(Frozen):
    """A regimen that is ticked when the page opens."""

    backbone: str
    biologic: str


class Basis(Frozen):
    """What is said of one kind of training data."""

    title: str
    text: str


class PageText(Frozen):
    """What the page says beside the specification (templates/page.yaml)."""

    groups: dict[str, str]
    outcome_groups: dict[str, str]
    shown: tuple[Shown, ...]
    states: dict[str, str]
    bases: dict[str, Basis]
    severities: dict[str, str]
    support: dict[str, str]
    average: str
    not_modelled: str

    def complaints(self, spec: Specification) -> list[str]:
        """Every entry that does not fit the specification."""
        found = _without(self.groups, (f.group for f in spec.asked), "groups")
        found += _without(self.outcome_groups, (o.group for o in spec.outcomes.outcomes), "outcome_groups")
        for entry in self.shown:
            try:
                spec.regimens.regimen(entry.backbone, entry.biologic)
            except UnknownRegimen as unknown:
                found.append(f"shown: {entry.backbone} with {entry.biologic}: {unknown}")
        return found


def _without(headings: Mapping[str, str], groups: Iterable[str], part: str) -> list[str]:
    return [f"{part}: no heading for {group}" for group in dict.fromkeys(groups) if group not in headings]


@cache
def page_text() -> PageText:
    """Read templates/page.yaml.

    Raises
    ------
    PageTextError
        Naming every entry that is misspelt or missing.
    """
    try:
        return PageText.model_validate(yaml.safe_load((TEMPLATES / "page.yaml").read_text("utf-8")))
    except ValidationError as error:
        told = [f"page.yaml: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise PageTextError("\n".join(told)) from None


def render_page(spec: Specification, model_card: Mapping[str, Any]) -> str:
    """Write the page. It holds no patient, so it is made once.

    Parameters
    ----------
    model_card
        As ``GET /model`` answers it.

    Raises
    ------
    PageTextError
        When templates/page.yaml does not fit the specification.
    """
    text = page_text()
    complaints = text.complaints(spec)
    if complaints:
        raise PageTextError("\n".join(f"page.yaml: {complaint}" for complaint in complaints))
    every = spec.regimens.all()
    return (
        environment()
        .get_template("page.html")
        .render(
            groups=[(text.groups[group.name], group) for group in form_groups(spec)],
            required=[f.label.lower() for f in spec.asked if f.required],
            catalogue=spec.regimens,
            regimens=sorted(every, key=lambda r: r.label.lower()),
            cycles={r.backbone: r.planned_cycles for r in every},
            most_cycles={b.name: MAX_WEEKS // b.cycle_weeks for b in spec.regimens.backbones},
            shown={(entry.backbone, entry.biologic) for entry in text.shown},
            profiles=spec.flags.profiles,
            basis=_basis(text, model_card),
            not_modelled=text.not_modelled,
            # Modules that import one another would otherwise be fetched one after the other.
            scripts=sorted(file.name for file in STATIC.glob("*.js")),
            card=model_card,
            data=page_data(spec, text),
        )
    )


def page_data(spec: Specification, text: PageText) -> dict[str, Any]:
    """Return what the script is told of the specification, as plain data."""
    return {
        "fields": [_about(field) for field in spec.asked],
        "outcomes": [
            {
                **o.model_dump(
                    mode="json",
                    include={"name", "label", "if_given", "given", "group", "part", "definition", "window"},
                ),
            }
            for o in spec.outcomes.outcomes
        ],
        "parts": {part.name.lower(): part.value for part in Part},
        "cycles": cycles_field(spec).name,
        "text": text.model_dump(
            include={"outcome_groups", "states", "bases", "severities", "support", "average", "not_modelled"}
        ),
    }


def _about(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "unit": pretty(field.unit or ""),
        "usual": field.usual,
        "allowed": pretty(field.allowed()),
        "slips": [slip.model_dump(mode="json") for slip in field.unit_slips],
    }


def _basis(text: PageText, card: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers rest on: the warning goes by the kind of data, invented patients before all."""
    kind = "simulated" if card["simulated"] else card["trained_on"]["kind"]
    basis = text.bases[kind]
    return {"kind": kind, "title": basis.title, "text": basis.text, "data": card["trained_on"]["text"]}

"""The form, made from the specification: one control a field, in the clinical order of declaration."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from features import Field, Kind, Specification

TEMPLATES = Path(__file__).parent / "templates"

Shape = Literal["number", "choice", "select", "checks"]

#: A whole number of at most this many values is offered as buttons beside each other: ECOG, ASA, grades.
MOST_BUTTONS = 5

NOT_KNOWN = "Not known"

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Option:
    """One choice; `value` is JSON, so that the page need not know what kind of value it is. Empty: not known."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Control:
    """One field as it is asked.

    Attributes
    ----------
    shape
        ``number``: typed. ``choice``: buttons of which one is chosen. ``select``: a list of which one is chosen.
        ``checks``: any number of boxes.
    options
        Choices, "not known" first; for a number its special values.
    exclusive
        Value of the box that stands alone.
    hint
        What to enter, and its limits.
    """

    field: Field
    shape: Shape
    options: tuple[Option, ...]
    exclusive: str | None
    hint: str

    @property
    def low(self) -> str:
        """Lower limit as an attribute."""
        return f"{self.field.hard[0]:g}" if self.field.hard else ""

    @property
    def high(self) -> str:
        """Upper limit as an attribute."""
        return f"{self.field.hard[1]:g}" if self.field.hard else ""

    @property
    def step(self) -> str:
        """Whole numbers only, or any."""
        return "1" if self.field.kind is Kind.INTEGER else "any"


@dataclass(frozen=True, slots=True)
class Group:
    """Controls that belong together."""

    name: str
    controls: tuple[Control, ...]


def form_groups(spec: Specification) -> tuple[Group, ...]:
    """Describe the form: every asked field once, by group, in order of declaration."""
    grouped: dict[str, list[Control]] = {}
    for field in spec.asked:
        grouped.setdefault(field.group, []).append(control(field))
    return tuple(Group(name, tuple(controls)) for name, controls in grouped.items())


def control(field: Field) -> Control:
    """Choose how a field is asked.

    Raises
    ------
    ValueError
        For a date or a text: a clinician is never asked for one.
    """
    exclusive = json.dumps(field.exclusive) if field.exclusive else None
    if field.numeric and field.hard is not None:
        values = range(int(field.hard[0]), int(field.hard[1]) + 1)
        if field.kind is Kind.INTEGER and len(values) <= MOST_BUTTONS and not field.special:
            options = tuple(Option(str(value), str(value)) for value in values)
            return Control(field, "choice", (*_not_known(field), *options), None, field.ask or "")
        special = tuple(Option(str(value), meaning.capitalize()) for value, meaning in field.special.items())
        limits = f"{field.hard[0]:g} to {field.hard[1]:g}"
        return Control(field, "number", special, None, f"{field.ask}; {limits}" if field.ask else limits)
    if field.kind is Kind.BOOLEAN:
        options = (Option("false", "No"), Option("true", "Yes"))
        return Control(field, "choice", (*_not_known(field), *options), None, field.ask or "")
    if field.kind in (Kind.CATEGORY, Kind.CODES):
        options = tuple(Option(json.dumps(code), label) for code, label in field.codes.items())
        shape: Shape = "select" if field.kind is Kind.CATEGORY else "checks"
        return Control(field, shape, (*_not_known(field), *options), exclusive, field.ask or "")
    raise ValueError(f"field {field.name}: the form has no control for a {field.kind.value}")


def _not_known(field: Field) -> tuple[Option, ...]:
    if field.required:
        return ()
    taken = NOT_KNOWN.lower() in {label.lower() for label in field.codes.values()}
    return (Option("", "Not entered" if taken else NOT_KNOWN),)


@cache
def environment() -> Environment:
    """Return the templates; everything is escaped, and a name that is not there is an error."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["pretty"] = pretty
    templates.globals["not_known"] = NOT_KNOWN
    # The order of declaration is the order in which things are shown.
    templates.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return templates


def pretty(text: str) -> str:
    """Write the exponents of units as such: kg/m2 as kg/m², 10^9/L as 10⁹/L."""
    return re.sub(r"\^(\d+)|(?<=/m)2\b", lambda found: (found[1] or "2").translate(_RAISED), text)


def render_control(control: Control) -> str:
    """Write one control as HTML."""
    module: Any = environment().get_template("control.html").module
    return str(module.control(control))


def accepts(spec: Specification, field: Field, value: Any) -> bool:
    """Whether the form lets a value pass, read from the attributes of the control as it is rendered.

    Parameters
    ----------
    value
        As JSON would carry it; None for a field that is left as it is.

    Returns
    -------
    bool
        False also for a value that the control cannot express: a text in a number, a code that is not listed.
        A field that is not asked accepts only None.
    """
    if field not in spec.asked:
        return value is None
    elements = _Elements()
    elements.feed(render_control(control(field)))
    return elements.let_pass(value)


class _Elements(HTMLParser):
    """The form elements of one control: what a browser would know of it."""

    def __init__(self) -> None:
        super().__init__()
        self.number: Mapping[str, str | None] | None = None
        self.choices: list[str] = []
        self.boxes: list[str] = []
        self.alone: list[str] = []
        self.required = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        value = found.get("value") or ""
        self.required |= "required" in found
        if tag == "option" or found.get("type") == "radio" or "data-special" in found:
            self.choices.append(value)
        elif found.get("type") == "checkbox":
            self.boxes.append(value)
            if "data-exclusive" in found:
                self.alone.append(value)
        elif tag == "input":
            self.number = found

    def let_pass(self, value: Any) -> bool:
        if value is None:
            return not self.required
        if isinstance(value, list):
            chosen = [json.dumps(part) for part in value]
            together = len(chosen) == 1 or not set(chosen) & set(self.alone)
            return bool(chosen) and together and len(set(chosen)) == len(chosen) and set(chosen) <= set(self.boxes)
        if any(choice and _same(json.loads(choice), value) for choice in self.choices):
            return True
        return self.number is not None and _typed(self.number, value)


def _same(choice: Any, value: Any) -> bool:
    return isinstance(choice, bool) == isinstance(value, bool) and bool(choice == value)


def _typed(attributes: Mapping[str, str | None], value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    low, high = float(attributes.get("min") or "-inf"), float(attributes.get("max") or "inf")
    if not low <= value <= high:
        return False
    step = attributes.get("step") or "1"
    return step == "any" or (value - low) % float(step) == 0

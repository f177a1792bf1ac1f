"""The expectations about one field: how its cells are written, what they may say, how many may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from features import Field, Kind, Role, Time
from validation.cell import ACCEPTED
from validation.pattern import codes_apart, exclusive_alone, known_codes
from validation.requirement import Requirement, told_with
from validation.rows import DUE, RECORDED, SEPARATOR, UNIT, WRITTEN, due_with_surgery

#: A column is missing far more often than expected when it exceeds the most expected by this many points of percent.
FAR_ABOVE = 15.0
#: A predictor of which more than this share is missing is an export that failed, not a gap.
EMPTY = 0.95
#: Length of a key, see `Field.problem`.
LONGEST_TEXT = 64
TOO_OFTEN = "missing_too_often"
_KINDS = {
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.CATEGORY: "a code",
    Kind.CODES: "a list of codes",
    Kind.DATE: "a date as YYYY-MM-DD",
    Kind.TEXT: "a text",
}
_MAP = "If they mean something else, say so in the column map"


def about_cells(field: Field) -> Iterator[Any]:
    """What each cell of a field must meet."""
    from great_expectations import expectations as gxe

    name, allowed = field.name, field.allowed()
    ways = f"{name}{WRITTEN}"

    def told(code: str, what: str, do: str, **more: Any) -> dict[str, Any]:
        return told_with(Requirement(name, code, f"{field.label} {what}", more.pop("allowed", allowed), do, **more))

    if field.required:
        do = "Give it, or leave the patient out"
        yield gxe.ExpectColumnValuesToNotBeNull(column=ways, **told("missing_required", "is missing", do))
    do = f"Correct the cells. {_MAP}: codes, dates, decimal sign, words for missing"
    wrong_type = told("wrong_type", f"is not {_KINDS[field.kind]}", do)
    yield gxe.ExpectColumnValuesToBeInSet(column=ways, value_set=[str(w) for w in ACCEPTED[field.kind]], **wrong_type)
    if field.numeric and field.hard and field.usual:
        yield from _about_number(field, told)
    elif field.kind is Kind.CATEGORY:
        code = "unknown_regimen" if Role.PLAN in field.roles else "unknown_code"
        do = f"Correct the cells. {_MAP} (codes: {name})"
        if Role.PLAN in field.roles:
            do += ", and leave out patients under a regimen that is not listed"
        unknown = told(code, "has a code that is not known", do)
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(field.codes), **unknown)
    elif field.kind is Kind.CODES:
        unknown = told("unknown_code", "has a code that is not known", f"Correct the cells. {_MAP} (codes: {name})")
        malformed = told("malformed", "is empty, repeats a code or combines codes that exclude each other", do)
        separator = SEPARATOR
        yield gxe.ExpectColumnValuesToMatchRegex(column=name, regex=known_codes(field, separator), **unknown)
        yield gxe.ExpectColumnValuesToMatchRegex(column=name, regex=codes_apart(separator), **malformed)
        if field.exclusive is not None:
            alone = exclusive_alone(field.exclusive, separator)
            yield gxe.ExpectColumnValuesToMatchRegex(column=name, regex=alone, **malformed)
    elif field.kind is Kind.DATE:
        yield gxe.ExpectColumnValuesToMatchStrftimeFormat(column=name, strftime_format="%Y-%m-%d", **wrong_type)
    elif field.kind is Kind.TEXT:
        malformed = told("malformed", "does not fit", "Correct the cells")
        yield gxe.ExpectColumnValueLengthsToBeBetween(column=name, min_value=1, max_value=LONGEST_TEXT, **malformed)
        yield gxe.ExpectColumnValuesToMatchRegex(column=name, regex=r"(?s)\A\S(?:.*\S)?\Z", **malformed)


def _about_number(field: Field, told: Any) -> Iterator[Any]:
    from great_expectations import expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    name, (low, high), (least, most) = field.name, field.hard or (0, 0), field.usual or (0, 0)
    do = "Check the source; correct the cells, or empty them"
    # A special value lies outside the limits and is not measured by them.
    apart: dict[str, Any] = {}
    if field.special:
        apart = {"row_condition": Column(name).is_not_in([float(value) for value in field.special])}
    below = told("below_hard_limit", "is below what is possible", do)
    above = told("above_hard_limit", "is above what is possible", do)
    yield gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, **apart, **below)
    yield gxe.ExpectColumnValuesToBeBetween(column=name, max_value=high, **apart, **above)
    if (least, most) != (low, high):
        usual = f"usually {least:g} to {most:g} {field.unit or ''}".rstrip()
        sure = "Check the source; if it is right, nothing need be done"
        unusual = told("unusual_value", "is out of the ordinary", sure, severity="warning", allowed=usual)
        yield gxe.ExpectColumnValuesToBeBetween(column=name, min_value=least, max_value=most, **apart, **unusual)
    if field.unit_slips:
        units = " or ".join(slip.unit for slip in field.unit_slips)
        slip = told_with(slip_suspected(field, units, "cell"))
        yield gxe.ExpectColumnValuesToBeNull(column=f"{name}{UNIT}", **slip)


def about_missing(field: Field) -> Iterator[Any]:
    """How much of a column may be missing."""
    from great_expectations import expectations as gxe

    event = field.kind is Kind.DATE and field.known_at is Time.OUTCOME and not any(field.expected_missing)
    if field.required or event:
        return  # a required cell is judged by itself; the date of what never happened is not missing
    expected, most = field.expected_missing[1], field.expected_missing[1] + FAR_ABOVE
    if most >= 100:
        return
    about = "of those operated on " if due_with_surgery(field) else ""
    often = Requirement(
        field.name,
        TOO_OFTEN,
        f"{field.label} is missing far more often than expected",
        f"about {field.expected_missing[0]:g} to {expected:g} percent {about}are missing; {most:g} is far above",
        "Check that the column is exported and mapped. If it is truly not recorded, nothing need be done: what it "
        "would have told is assumed, and intervals are wider",
        severity="warning",
        scope="column",
    )
    if due_with_surgery(field):
        yield gxe.ExpectColumnValuesToBeInSet(
            column=f"{field.name}{DUE}",
            value_set=[RECORDED],
            mostly=1 - most / 100,
            **told_with(often),
        )
        return
    ways = f"{field.name}{WRITTEN}"
    yield gxe.ExpectColumnValuesToNotBeNull(column=ways, mostly=1 - most / 100, **told_with(often))


def empty_column(field: Field) -> Requirement:
    """What is said of a predictor's column of which more than `EMPTY` is missing, instead of that it is too often."""
    return Requirement(
        field.name,
        "empty_column",
        f"{field.label} is empty in almost every row",
        f"at most {EMPTY:.0%} missing in a column that is there",
        "Export it, map the column that holds it, or remove the column",
        scope="column",
    )


def slip_suspected(field: Field, unit: str, scope: Literal["cell", "site"]) -> Requirement:
    """What is said of a value, or of most values of a site, that look as if written in another unit."""
    factor = next((f"{s.multiply_by:g}" for s in field.unit_slips if s.unit == unit), "the factor between the units")
    what = f"{field.label} looks as if written in {unit}"
    return Requirement(
        field.name,
        "unit_slip_suspected",
        f"{what} throughout" if scope == "site" else what,
        field.allowed(),
        f"If it is in {unit}, say so in the column map (units: {field.name}: {unit}), or multiply by {factor}",
        scope=scope,
    )

"""What one part of a request may be: a field's type and limits, as pydantic core judges them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from features import Field, Kind


class Body(BaseModel):
    """Base of every part of a request: strict types, no unknown fields, no value in an error's text."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


def attribute(field: Field, more: str = "", optional: bool = False) -> Any:
    """Type and description of one field, as `create_model` takes them.

    Parameters
    ----------
    more
        Further words of the description.
    optional
        Whether it may be left out although the specification requires it.

    Raises
    ------
    ValueError
        When the field is a date or a text, for which a request has no place.
    """
    unit = f" {field.unit}" if field.unit else ""
    told = [f"{field.ask}." if field.ask else "", f"Allowed is {field.allowed()}."]
    if field.usual is not None and field.usual != field.hard:
        told.append(f"Usually {field.usual[0]:g} to {field.usual[1]:g}{unit}.")
    facts: dict[str, Any] = {"unit": field.unit} if field.unit else {}
    if field.codes:
        facts["labels"] = dict(field.codes)
    described: dict[str, Any] = {
        "title": field.label,
        "description": " ".join(part for part in (*told, more, f"{field.why}.") if part),
        "json_schema_extra": facts,
    }
    value = _value(field)
    if field.required and not optional:
        return value, pydantic.Field(**described)
    return value | None, pydantic.Field(default=None, **described)


def one_of(codes: Any) -> Any:
    """One of several codes."""
    return Literal[tuple(codes)]


def _value(field: Field) -> Any:
    if field.kind is Kind.BOOLEAN:
        return bool
    if field.kind is Kind.CATEGORY:
        return one_of(field.codes)
    if field.kind is Kind.CODES:
        several: Any = list[one_of(field.codes)]  # type: ignore[misc]
        listed = pydantic.Field(min_length=1, json_schema_extra={"uniqueItems": True})
        return Annotated[several, listed, AfterValidator(_refuse_incoherent(field))]
    if not field.numeric or field.hard is None:
        raise ValueError(f"field {field.name}: a clinician cannot be asked for a {field.kind.value}")
    low, high = field.hard
    limited = pydantic.Field(ge=low, le=high)
    if field.kind is Kind.NUMBER:
        return Annotated[float, limited]
    limits = {"type": "integer", "minimum": int(low), "maximum": int(high)}
    if not field.special:
        return Annotated[float, limited, AfterValidator(_whole), WithJsonSchema(limits)]
    special = [{"const": value, "title": meaning} for value, meaning in field.special.items()]
    either = WithJsonSchema({"anyOf": [limits, *special]})
    return Annotated[float, AfterValidator(_whole_or_special(field)), either]


def _whole(value: float) -> int:
    # JSON has one kind of number: 54.0 is the whole number 54.
    if value.is_integer():
        return int(value)
    raise PydanticCustomError("not_whole", "Must be a whole number.")


def _whole_or_special(field: Field) -> Callable[[float], int]:
    low, high = field.hard or (0.0, 0.0)
    special = frozenset(field.special)

    def judge(value: float) -> int:
        if low <= value <= high or value in special:
            return _whole(value)
        raise PydanticCustomError("outside", "Must lie inside the limits.")

    return judge


def _refuse_incoherent(field: Field) -> Callable[[list[str]], list[str]]:
    def judge(codes: list[str]) -> list[str]:
        if len(set(codes)) != len(codes) or (field.exclusive in codes and len(codes) > 1):
            raise PydanticCustomError("incoherent", "Must be a list of different codes.")
        return codes

    return judge

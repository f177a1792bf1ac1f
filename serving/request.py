"""What may be asked: the request models, made from the specification.

Limits and codes are pydantic core constraints, so that a request is judged in microseconds. What is said of a
value that fails comes from `Field.problem`, the reference with which validation and the form agree too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from features import DEFAULT_WEEKS, MAX_WEEKS, Field, Kind, Specification, UnknownRegimen
from serving.wording import (
    DUPLICATE_REGIMEN,
    LONGEST_KEY,
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_TEXTS,
    PAIR,
    TOO_MANY_ANSWERS,
    TOO_MANY_WEEKS,
    Location,
    Told,
    cycles_field,
    sentence,
    word,
)

#: Patients in one batch, and regimens in one request: three durations of each of the 20.
MOST_PATIENTS = 1000
MOST_REGIMENS = 60

#: Patients times regimens of one batch: 1,000 patients under all 20 regimens, which are 90 MB to send.
MOST_ANSWERS = 20_000


#: A word without spaces, so that no free text is kept.
_KEY = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=LONGEST_KEY, pattern=r"^[A-Za-z0-9_.:@-]+$")]
_NAME = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=LONGEST_NAME)]
_TEXT = Annotated[str, pydantic.StringConstraints(max_length=LONGEST_TEXT)]
_VALUE = bool | int | float | _TEXT | Annotated[list[_TEXT], pydantic.Field(max_length=MOST_TEXTS)] | None


class Body(BaseModel):
    """Base of every part of a request: strict types, no unknown fields, no value in an error's text."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class RequestModels:
    """The models of a request, and the words of its refusals.

    Attributes
    ----------
    predict
        ``{"patient": {...}, "regimens": [...] | null, "profile": "eu", "estimate": {...} | null}``.
    batch
        The same with ``"patients": [...]``, 1 to 1,000 of them.
    compare
        ``{"patient": {...}, "regimens": [first, second], "profile": name}``.
    explain
        ``{"patient": {...}, "regimen": {...}, "outcome": name | null}``.
    outcome
        ``{"prediction_id": ..., "values": {...}, "idempotency_key": ... | null}``.
    estimate
        ``{"prediction_id": ..., "regimen": {...}, "outcome": name, "probability": p}``.
    """

    spec: Specification
    predict: type[BaseModel]
    batch: type[BaseModel]
    compare: type[BaseModel]
    explain: type[BaseModel]
    outcome: type[BaseModel]
    estimate: type[BaseModel]

    def message_for(self, loc: Location, error: Mapping[str, Any]) -> Told:
        """Dotted path, code and message of one entry of `ValidationError.errors`, given with its input."""
        return word(self.spec, loc, error)


def request_models(spec: Specification) -> RequestModels:
    """Make the request models of a specification.

    Returns
    -------
    RequestModels
        A patient has the asked fields only: one known later, an identifying and an unknown one are refused.

    Raises
    ------
    ValueError
        When the specification asks for a date or a text, for which a request has no place.
    """
    patient: Any = create_model(
        "Patient",
        __base__=Body,
        __doc__="One patient before cycle 1. Leave out, or give as null, what is not known.",
        **{field.name: _attribute(field) for field in spec.asked},
    )
    patients: Any = list[patient]
    shared: dict[str, Any] = {"regimens": _regimens(spec), "profile": _profile(spec)}
    judged: dict[str, Any] = {
        "regimen": (_regimen(spec), pydantic.Field(title="Regimen")),
        "outcome": (_one_of(spec.outcomes.names), pydantic.Field(title="Outcome")),
        "probability": (Annotated[float, pydantic.Field(ge=0, le=1)], pydantic.Field(title="Probability")),
    }
    own: Any = create_model(
        "OwnEstimate", __base__=Body, __doc__="What a board judged by itself, before it saw the model's.", **judged
    )
    predict = create_model(
        "PredictRequest",
        __base__=Body,
        __doc__="One patient and the regimens to compare.",
        patient=(patient, pydantic.Field(title="Patient")),
        reference=(
            _KEY | None,
            pydantic.Field(
                default=None,
                title="Patient reference",
                description="A pseudonym of the hospital's, to find the patient's predictions again. Only a keyed "
                "hash of it is kept.",
            ),
        ),
        estimate=(
            own | None,
            pydantic.Field(
                default=None,
                title="The board's own estimate",
                description="Made before the answer is seen. It enters the ledger before the answer, and with it.",
            ),
        ),
        **shared,
    )
    batch = create_model(
        "PredictBatchRequest",
        __base__=_bounded(len(spec.regimens.all())),
        __doc__=f"Many patients under the same regimens: at most {MOST_ANSWERS:,} patients times regimens.",
        patients=(patients, pydantic.Field(title="Patients", min_length=1, max_length=MOST_PATIENTS)),
        **shared,
    )
    compare = create_model(
        "CompareRequest",
        __base__=Body,
        __doc__="One patient under two regimens.",
        patient=(patient, pydantic.Field(title="Patient")),
        regimens=_pair(spec),
        profile=shared["profile"],
    )
    explain = create_model(
        "ExplainRequest",
        __base__=Body,
        __doc__="One patient under one regimen, and the outcome to explain.",
        patient=(patient, pydantic.Field(title="Patient")),
        regimen=(_regimen(spec), pydantic.Field(title="Regimen")),
        outcome=(
            _one_of(spec.outcomes.names) | None,
            pydantic.Field(default=None, title="Outcome", description="The primary outcome when left out."),
        ),
    )
    prediction_id = (UUID, pydantic.Field(title="Prediction", description="Its `prediction_id`.", strict=False))
    outcome = create_model(
        "OutcomeRequest",
        __base__=Body,
        __doc__=(
            "Everything known by now of what became of a patient; it stands in place of an earlier report, which is "
            "kept. GET /specification and the data dictionary list the fields."
        ),
        prediction_id=prediction_id,
        values=(dict[_NAME, _VALUE], pydantic.Field(title="Values", min_length=1, max_length=len(spec.fields))),
        idempotency_key=(
            _KEY | None,
            pydantic.Field(default=None, title="Idempotency key", description="The same report sent twice is one."),
        ),
    )
    estimate = create_model(
        "EstimateRequest",
        __base__=Body,
        __doc__=(
            "What a board judged by itself, sent after the prediction was answered. Sent with POST /predict it is "
            "shown by the ledger to have come first."
        ),
        prediction_id=prediction_id,
        **judged,
    )
    return RequestModels(spec, predict, batch, compare, explain, outcome, estimate)


def _bounded(all_regimens: int) -> type[Body]:
    """Make the base of a batch, which bounds patients and regimens together."""

    class Bounded(Body):
        def model_post_init(self, _: Any) -> None:
            parts = self.__dict__
            patients, regimens = len(parts["patients"]), parts["regimens"]
            options = all_regimens if regimens is None else len(regimens)
            if patients * options > MOST_ANSWERS:
                told = (
                    f"{patients} patients under {options} regimens are {patients * options} answers, and one batch has "
                    f"at most {MOST_ANSWERS}. Send at most {MOST_ANSWERS // options} patients at once, or name at most "
                    f"{MOST_ANSWERS // patients} regimens."
                )
                raise PydanticCustomError(TOO_MANY_ANSWERS, "{told}", {"told": told})

    return Bounded


def _attribute(field: Field, more: str = "", optional: bool = False) -> Any:
    """Type and description of one field, as `create_model` takes them."""
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


def _value(field: Field) -> Any:
    if field.kind is Kind.BOOLEAN:
        return bool
    if field.kind is Kind.CATEGORY:
        return _one_of(field.codes)
    if field.kind is Kind.CODES:
        several: Any = list[_one_of(field.codes)]  # type: ignore[misc]
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


def _one_of(codes: Any) -> Any:
    return Literal[tuple(codes)]


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


def _profile(spec: Specification) -> Any:
    first, told = spec.flags.profiles[0], "Whose severities the flags follow."
    return _one_of(spec.flags.profiles), pydantic.Field(default=first, title="Profile", description=told)


def _regimens(spec: Specification) -> Any:
    chosen: Any = list[_regimen(spec)]  # type: ignore[misc]
    limited = pydantic.Field(min_length=1, max_length=MOST_REGIMENS)
    chosen = Annotated[chosen, limited, AfterValidator(_refuse_repeats(spec))]
    told = (
        "In the order in which they are answered. Left out: every backbone with every biologic, planned for "
        f"{DEFAULT_WEEKS} weeks."
    )
    return chosen | None, pydantic.Field(default=None, title="Regimens", description=told)


def _pair(spec: Specification) -> Any:
    chosen: Any = list[_regimen(spec)]  # type: ignore[misc]
    chosen = Annotated[chosen, pydantic.Field(min_length=PAIR, max_length=PAIR), AfterValidator(_refuse_repeats(spec))]
    return chosen, pydantic.Field(title="Regimens", description="Two; the answer is the first minus the second.")


def _regimen(spec: Specification) -> type[BaseModel]:
    catalogue, cycles = spec.regimens, cycles_field(spec)
    most = {b.name: MAX_WEEKS // b.cycle_weeks for b in catalogue.backbones}

    class Planned(Body):
        def model_post_init(self, _: Any) -> None:
            parts = self.__dict__
            planned = parts[cycles.name]
            if planned is None or planned <= most[parts["backbone"]]:
                return
            try:
                catalogue.regimen(parts["backbone"], parts["biologic"], planned)
            except UnknownRegimen as unknown:
                raise PydanticCustomError(TOO_MANY_WEEKS, "{told}", {"told": sentence(unknown)}) from None

    def part(title: str, parts: Any) -> Any:
        labels: Any = {"labels": {p.name: p.label for p in parts}}
        return _one_of(p.name for p in parts), pydantic.Field(title=title, json_schema_extra=labels)

    default = f"Left out: the cycles that fit {DEFAULT_WEEKS} weeks. At most {MAX_WEEKS} weeks."
    definitions: dict[str, Any] = {
        "backbone": part("Backbone", catalogue.backbones),
        "biologic": part("Biologic", catalogue.biologics),
        cycles.name: _attribute(cycles, more=default, optional=True),
    }
    return create_model("Regimen", __base__=Planned, __doc__="A planned regimen.", **definitions)


def _refuse_repeats(spec: Specification) -> Callable[[list[Any]], list[Any]]:
    cycles = cycles_field(spec).name
    usual = {b.name: DEFAULT_WEEKS // b.cycle_weeks for b in spec.regimens.backbones}

    def key(regimen: Any) -> tuple[str, str, int]:
        planned = getattr(regimen, cycles)
        backbone = regimen.backbone
        return backbone, regimen.biologic, usual[backbone] if planned is None else planned

    def judge(regimens: list[Any]) -> list[Any]:
        keys = [key(regimen) for regimen in regimens]
        if len(set(keys)) != len(keys):
            twice = ", ".join(str(i) for i, k in enumerate(keys) if k in keys[:i])
            told = f"Entries {twice} (from 0) repeat an earlier regimen; name each once, or change its cycles."
            raise PydanticCustomError(DUPLICATE_REGIMEN, "{told}", {"told": told})
        return regimens

    return judge

"""What may be asked: the request models, made from the specification.

Limits and codes are pydantic core constraints, so that a request is judged in microseconds. What is said of a
value that fails comes from `Field.problem`, the reference with which validation and the form agree too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import pydantic
from pydantic import BaseModel, create_model
from pydantic_core import PydanticCustomError

from features import Specification
from serving.planned import pair, regimen, regimens
from serving.value import Body, attribute, one_of
from serving.wording import (
    LONGEST_KEY,
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_TEXTS,
    TOO_MANY_ANSWERS,
    Location,
    Told,
    word,
)

#: Patients in one batch.
MOST_PATIENTS = 1000

#: Patients times regimens of one batch: 1,000 patients under all 20 regimens, which are 90 MB to send.
MOST_ANSWERS = 20_000


#: A word without spaces, so that no free text is kept.
_KEY = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=LONGEST_KEY, pattern=r"^[A-Za-z0-9_.:@-]+$")]
_NAME = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=LONGEST_NAME)]
_TEXT = Annotated[str, pydantic.StringConstraints(max_length=LONGEST_TEXT)]
_VALUE = bool | int | float | _TEXT | Annotated[list[_TEXT], pydantic.Field(max_length=MOST_TEXTS)] | None


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
        **{field.name: attribute(field) for field in spec.asked},
    )
    patients: Any = list[patient]
    shared: dict[str, Any] = {"regimens": regimens(spec), "profile": _profile(spec)}
    judged: dict[str, Any] = {
        "regimen": (regimen(spec), pydantic.Field(title="Regimen")),
        "outcome": (one_of(spec.outcomes.names), pydantic.Field(title="Outcome")),
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
        regimens=pair(spec),
        profile=shared["profile"],
    )
    explain = create_model(
        "ExplainRequest",
        __base__=Body,
        __doc__="One patient under one regimen, and the outcome to explain.",
        patient=(patient, pydantic.Field(title="Patient")),
        regimen=(regimen(spec), pydantic.Field(title="Regimen")),
        outcome=(
            one_of(spec.outcomes.names) | None,
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


def _profile(spec: Specification) -> Any:
    first, told = spec.flags.profiles[0], "Whose severities the flags follow."
    return one_of(spec.flags.profiles), pydantic.Field(default=first, title="Profile", description=told)

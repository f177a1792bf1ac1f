"""What is answered: models of the answers, made from the specification for the OpenAPI document.

Answers are not checked against them one by one, which would cost more than to make them; a test checks a real
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as Attribute

from features import Specification
from features.flag import Severity, Status
from serving.comparison import Words
from serving.wording import PAIR
from training.bundle import STATES, TrainedOn
from training.bundle.manifest import Learner
from training.bundle.support import Level

Probability = Annotated[float, Attribute(ge=0, le=1)]


class Part(BaseModel):
    """Base of every part of an answer."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Estimate(Part):
    """A probability with its 90% interval, among those whom `given` names, or among all."""

    probability: Probability
    low: Probability
    high: Probability
    given: str | None = Attribute(default=None, description="The event that is presupposed; absent: none.")


class Range(Part):
    """A 90% interval."""

    low: Probability
    high: Probability


class Difference(Part):
    """A difference of probabilities with its 90% interval, and what may be said of it."""

    difference: float
    low: float
    high: float
    words: Words


class Driver(Part):
    """What one input, or several that act together, are associated with; all add up to the whole difference."""

    label: str
    value: str
    points: float = Attribute(description="Difference of probability from a patient of whom nothing is known.")


class Unknown(Part):
    """Between which values the probability would mostly lie if an input were known.

    For a number from its 10th to its 90th centile, else over every answer.
    """

    field: str
    label: str
    low: Probability
    high: Probability


class Identity(Part):
    """Which model answers."""

    name: str
    version: str
    spec_digest: str


class Refused(Part):
    """A later model that was named and is not served."""

    version: str | None = Attribute(description="As far as the registry or the bundle tells.")
    code: str = Attribute(description="What is wrong, machine-readable.")
    reason: str


class Readiness(Part):
    """Predictions are answered, by this model."""

    status: Literal["ready"]
    model: Identity
    refused: Refused | None = Attribute(
        default=None, description="Absent unless a later model was named and refused; the one above goes on answering."
    )


class OutcomeReceipt(Part):
    """What the ledger holds of a report; a revision above 1 corrected an earlier one, which is kept."""

    prediction_id: str
    outcome_id: str
    revision: int
    recorded_at: str
    seq: int
    hash: str
    existing: bool = Attribute(description="Whether this report stood already.")


class EstimateReceipt(Part):
    """A board's own estimate is in the ledger."""

    prediction_id: str
    recorded: bool


class ChainBreak(Part):
    """Where the ledger's chain first breaks, and how."""

    seq: int
    what: str = Attribute(description="Machine-readable.")
    text: str


class Chain(Part):
    """Whether the ledger's chain is whole, as far as it was walked."""

    whole: bool = Attribute(description="No break was found.")
    complete: bool = Attribute(description="The walk reached the end, or a break; else go on with `after` = `head`.")
    entries: int = Attribute(ge=0, description="Sound, counted from the first of all.")
    kinds: dict[str, int] = Attribute(description="Of those walked now.")
    removed: int = Attribute(ge=0, description="Of those walked now, whose content was removed under retention.")
    head: str = Attribute(description="SEQ:HASH of the last entry that is sound. Note it elsewhere.")
    broken: ChainBreak | None


class Model(Part):
    """Which model answered, and what it rests on."""

    name: str
    version: str
    learner: Learner
    spec_digest: str
    flags_version: int
    flags_digest: str
    trained_on: TrainedOn
    simulated: bool = Attribute(description="Whether invented patients shaped the numbers.")


class Warning(Part):
    """A remark about the whole answer, or about one field of the patient."""

    code: str
    severity: Severity
    field: str | None
    text: str


class Assumption(Part):
    """What was assumed of a field that is not known."""

    field: str
    label: str
    assumed: str


class Support(Part):
    """How many real patients of the training registry had this regimen."""

    level: Level
    effective_patients: int
    text: str


class RaisedFlag(Part):
    """A safety flag that applies, or that could not be checked."""

    code: str
    severity: Severity
    status: Status
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class ResponseModels:
    """Models of the answers of POST /predict, /predict_batch, /compare and /explain."""

    predict: type[BaseModel]
    batch: type[BaseModel]
    compare: type[BaseModel]
    explain: type[BaseModel]


def response_models(spec: Specification) -> ResponseModels:
    """Make the models of the answers: every outcome and state of the specification by name."""
    outcomes: dict[str, Any] = {
        outcome.name: (Estimate, Attribute(title=outcome.label)) for outcome in spec.outcomes.outcomes
    }
    states: dict[str, Any] = {state: (Probability, ...) for state in STATES}
    ranges: dict[str, Any] = {state: (Range, ...) for state in STATES}
    planned: dict[str, Any] = {
        "backbone": (str, ...),
        "biologic": (str, ...),
        "planned_cycles": (int, ...),
        "planned_weeks": (int, ...),
        "label": (str, ...),
    }
    remarks: dict[str, Any] = {"support": (Support, ...), "flags": (list[RaisedFlag], ...)}
    regimen = create_model(
        "RegimenAnswer",
        __base__=Part,
        __doc__="One regimen, in the order asked.",
        **planned,
        outcomes=(create_model("Outcomes", __base__=Part, **outcomes), ...),
        states=(create_model("States", __base__=Part, __doc__="They exclude each other and sum to 1.", **states), ...),
        state_ranges=(
            create_model("StateRanges", __base__=Part, __doc__="90% intervals of the states.", **ranges),
            ...,
        ),
        **remarks,
    )
    predict = create_model(
        "PredictAnswer",
        __base__=Part,
        __doc__="The answer to one patient.",
        prediction_id=(UUID, ...),
        model=(Model, ...),
        warnings=(list[Warning], ...),
        assumed=(list[Assumption], ...),
        regimens=(list[regimen], ...),
    )
    batch = create_model(
        "PredictBatchAnswer",
        __base__=Part,
        __doc__="The answers to many patients, in the order asked.",
        predictions=(list[predict], ...),
    )
    compared = [o.name for o in spec.outcomes.outcomes if o.given is None] + list(STATES)
    differences: dict[str, Any] = {name: (Difference, ...) for name in compared}
    compared_regimen: Any = create_model(
        "ComparedRegimen",
        __base__=Part,
        __doc__="What to know of a regimen before its difference from the other is read.",
        **planned,
        **remarks,
    )
    compare = create_model(
        "CompareAnswer",
        __base__=Part,
        __doc__="The first regimen minus the second, for what is not conditional on resection.",
        prediction_id=(UUID, Attribute(description="Of this comparison; GET /predictions/{id} gives it again.")),
        model=(Model, ...),
        warnings=(list[Warning], ...),
        assumed=(list[Assumption], ...),
        first=(str, ...),
        second=(str, ...),
        regimens=(
            list[compared_regimen],
            Attribute(description="The first and the second.", min_length=PAIR, max_length=PAIR),
        ),
        differences=(create_model("Differences", __base__=Part, **differences), ...),
    )
    explain = create_model(
        "ExplainAnswer",
        __base__=Part,
        __doc__="Why one estimate is what it is: associations, not causes.",
        prediction_id=(UUID, Attribute(description="Of this explanation; GET /predictions/{id} gives it again.")),
        model=(Model, ...),
        outcome=(str, ...),
        label=(str, ...),
        given=(str | None, ...),
        regimen=(str, ...),
        typical=(Probability, Attribute(description="Of a patient of whom nothing is known.")),
        probability=(Probability, ...),
        drivers=(list[Driver], Attribute(description="Largest first; they sum to probability minus typical.")),
        unknown=(list[Unknown], Attribute(description="Inputs not known, widest first.")),
        words=(str, ...),
    )
    return ResponseModels(predict, batch, compare, explain)

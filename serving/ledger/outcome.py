"""What became of a patient for whom a prediction was made, judged by the specification."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from features import Field, Kind, Problem, Role, Specification, Time, UnknownRegimen
from features.facts import patient_facts, regimen_facts
from serving.ledger import entry
from serving.ledger.caller import Caller
from serving.ledger.entry import Content, Index
from serving.ledger.limits import load_limits
from serving.ledger.names import load_names

#: Texts that may be kept: the name of a site, not a sentence.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

#: Ids of outcomes are made from what they answer, so that the same report sent twice is one entry.
_SPACE = uuid.UUID("3f0d5a4e-6a53-5c0b-9d0a-0b8d9b1b7a55")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One report, as a draft. The latest report of a prediction stands; those before it are kept.

    Attributes
    ----------
    values
        Everything known of the patient's course now, by field or outcome; without what is not known.
    """

    id: str
    prediction_id: str
    values: Mapping[str, Any]
    caller: Caller = field(default_factory=Caller)

    kind = entry.Kind.OUTCOME
    repeatable = True
    size = 4096

    def content(self) -> Content:
        """The values, and who reported them."""
        record = {
            "prediction_id": self.prediction_id,
            "values": dict(self.values),
            "caller": {"name": self.caller.name, "role": self.caller.role},
        }
        return Content(record, Index(prediction_id=self.prediction_id, caller=self.caller.name))


def outcome_id(prediction_id: str, key: str) -> str:
    """The id of a report: the same for the same prediction and the same key."""
    return str(uuid.uuid5(_SPACE, f"{prediction_id}\n{key}"))


class OutcomeRules:
    """What may be reported.

    Parameters
    ----------
    spec
        The specification. Reported are day 1 of cycle 1, the regimen started, the site, every field that records
        the later course, and every outcome by its own name as true or false.
    """

    def __init__(self, spec: Specification) -> None:
        self.spec, self.names = spec, load_names(spec)

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """Fields that may be reported, in order."""
        names, plan = self.names, self.spec.field_with(Role.PLAN)
        wanted = {names.keys.site, names.keys.start, *(f.name for f in plan)}
        wanted |= {f.name for f in self.spec.field_with(Role.RECORD)}
        return {f.name: f for f in self.spec.registry_fields if f.name in wanted}

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Without which a report is of no use: when the patient started, and what."""
        return (self.names.keys.start, self.names.plan.backbone, self.names.plan.biologic)

    def problems(
        self, values: Mapping[str, Any], entered: Mapping[str, Any], predicted: dt.date, today: dt.date | None = None
    ) -> list[Problem]:
        """Judge a report.

        Parameters
        ----------
        values
            As JSON gives them; None is not known.
        entered
            What was entered for the prediction, by field.
        predicted
            The day on which it was made.

        Returns
        -------
        list of Problem
            Every problem; none repeats a value.
        """
        known = {name: value for name, value in values.items() if value is not None}
        found = [p for name, value in known.items() if (p := self._alone(name, value, today)) is not None]
        found += [self._missing(name) for name in self.required if name not in known]
        start = self.names.keys.start
        if start in known and start not in {problem.field for problem in found}:
            far = load_limits().start.problem(self.spec.fields[start], _day(known[start]), predicted)
            found += [] if far is None else [far]
        if not found:
            found += self._together(known, entered)
        return found

    def _alone(self, name: str, value: Any, today: dt.date | None) -> Problem | None:
        spec = self.spec
        if name in spec.outcomes.names:
            label = spec.outcomes[name].label
            wrong = Problem(name, "wrong_type", f"{label} is not true or false; leave it out if it is not known.")
            return None if isinstance(value, bool) else wrong
        field = self.fields.get(name)
        if field is None:
            asked = name in spec.fields and spec.fields[name].asked
            if asked:
                message = "Belongs to the prediction, which cannot be changed; leave it out."
                return Problem(name, "not_an_outcome", message)
            return Problem(name[:80], "unknown_field", "Is neither an outcome nor a field of the later course.")
        problem = field.problem(value)
        if problem is not None:
            return problem
        if field.kind is Kind.DATE and _day(value) > (today or dt.datetime.now(dt.UTC).date()) + dt.timedelta(days=1):
            return Problem(name, "in_the_future", f"{field.label} lies in the future; report it once it is past.")
        if field.kind is Kind.TEXT and not _WORD.fullmatch(value):
            message = f"{field.label} is one word of up to 64 letters, digits and _.- (no free text is kept)."
            return Problem(name, "malformed", message)
        return None

    def _missing(self, name: str) -> Problem:
        field = self.spec.fields[name]
        return Problem(name, "missing_required", f"{field.label} is required; allowed is {field.allowed()}.")

    def _together(self, known: Mapping[str, Any], entered: Mapping[str, Any]) -> list[Problem]:
        spec, plan = self.spec, self.names.plan
        try:
            regimen = spec.regimens.regimen(known[plan.backbone], known[plan.biologic], known.get(plan.cycles))
        except UnknownRegimen as unknown:
            return [Problem(plan.cycles, "unknown_regimen", f"{unknown}.")]
        about = _fitting(spec, {**entered, **known})
        facts = {**patient_facts(spec, about, Time.OUTCOME), **regimen_facts(regimen)}
        found = [
            Problem(", ".join(rule.fields), rule.code, f"{rule.text}. {rule.do}.")
            for rule in spec.consistency
            if rule.when.evaluate(facts, spec.unknown_codes)
        ]
        told, contradicts = happened(spec, {**entered, **known}), bool(found)
        for outcome in spec.outcomes.outcomes:
            if told[outcome.name] and outcome.within is not None and told[outcome.within] is False and not contradicts:
                parent = spec.outcomes[outcome.within]
                message = f"Cannot have happened without: {parent.label} ({parent.name}). Correct one of them."
                found.append(Problem(outcome.name, "outcome_without_parent", message))
        return found


def happened(spec: Specification, about: Mapping[str, Any]) -> dict[str, bool | None]:
    """Every outcome that a patient's record tells: by its own name first, else by the fields it is read from.

    Parameters
    ----------
    about
        Values by field or outcome, of the prediction and of the report together.
    """
    facts = patient_facts(spec, _fitting(spec, about), Time.OUTCOME)
    told: dict[str, bool | None] = {}
    for outcome in spec.outcomes.outcomes:
        read = None if outcome.recorded is None else outcome.recorded.evaluate(facts, spec.unknown_codes)
        told[outcome.name] = about.get(outcome.name, read)
    for outcome in reversed(spec.outcomes.outcomes):
        # A death within 90 days is Clavien-Dindo V: below the event both are given, the wider event counts, as it does
        # where a registry is read.
        parent, given = outcome.within, outcome.given
        if parent is not None and given is not None and parent != given and told[outcome.name] and told[given]:
            told[parent] = True
    return told


def _fitting(spec: Specification, about: Mapping[str, Any]) -> dict[str, Any]:
    """Values of fields; without those that an older specification allowed and this one does not."""
    return {n: v for n, v in about.items() if n in spec.fields and spec.fields[n].problem(v) is None}


def _day(value: Any) -> dt.date:
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)

"""Why one estimate is what it is, in words: what each input adds, and what it would help to know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from features import Field, Part, Patients, Specification
from features.derived import Derived
from features.facts import patient_facts
from serving.numbers import DIGITS
from training.bundle import Bundle
from training.bundle.drivers import explain

_UNKNOWN = "not known"
_ASSOCIATIONS = (
    "Associations in the data and studies behind the model, not causes: changing an input need not change the chance. "
    "Shown are differences from a patient of whom nothing is known, under the same regimen."
)


class Explainer:
    """Explains the estimates of one bundle.

    Parameters
    ----------
    bundle
        The model.
    spec
        The specification it was trained against.
    """

    def __init__(self, bundle: Bundle, spec: Specification) -> None:
        self.bundle, self.spec = bundle, spec
        self._mixes = {mix.field: mix for mix in bundle.prior.parameters.case_mix.fields}

    def explain(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Say which inputs move one estimate, and what it would help to know.

        Parameters
        ----------
        request
            A validated request as plain data: ``patient``, ``regimen``, optional ``outcome``.
        """
        record = {name: value for name, value in request["patient"].items() if value is not None}
        planned = request["regimen"]
        regimen = self.spec.regimens.regimen(planned["backbone"], planned["biologic"], planned.get("planned_cycles"))
        outcome = self.spec.outcomes[request.get("outcome") or self.spec.outcomes.part(Part.PRIMARY).name]
        about = patient_facts(self.spec, record)
        found = explain(self.bundle, Patients.from_records(self.spec, [record]), regimen, outcome.name)
        return {
            "outcome": outcome.name,
            "label": outcome.label,
            "given": outcome.given,
            "regimen": regimen.label,
            "typical": round(found.typical, DIGITS),
            "probability": round(found.probability, DIGITS),
            "drivers": [
                {
                    "label": " and ".join(self._label(name) for name in driver.fields),
                    "value": self._values(driver.fields, about),
                    "points": round(driver.points, DIGITS),
                }
                for driver in found.drivers
            ],
            "unknown": [
                {
                    "field": known.field,
                    "label": self._label(known.field),
                    "low": round(known.low, DIGITS),
                    "high": round(known.high, DIGITS),
                }
                for known in found.open
            ],
            "words": _ASSOCIATIONS,
        }

    def _label(self, name: str) -> str:
        return self._declared(name).label

    def _declared(self, name: str) -> Field | Derived:
        return self.spec.fields.get(name) or self.spec.derived[name]

    def _known(self, name: str, about: Mapping[str, Any]) -> bool:
        return about.get(name) is not None and about[name] not in self.spec.unknown_codes.get(name, ())

    def _values(self, names: Sequence[str], about: Mapping[str, Any]) -> str:
        told = [self._told(name, about) for name in names]
        # Trees weigh what is missing differently beside different other inputs.
        return f"{_UNKNOWN}, weighed by the other inputs" if set(told) == {_UNKNOWN} else "; ".join(told)

    def _told(self, name: str, about: Mapping[str, Any]) -> str:
        """The value of one input; where it is not known, what its part of the estimate comes from."""
        if self._known(name, about):
            return self._written(name, about[name])
        derived = self.spec.derived.get(name)
        inputs = derived.inputs if derived is not None else (name,)
        entered = [each for each in inputs if each != name and self._known(each, about)]
        if entered:
            # What only stands in for others, as a recorded index for weight and height, is not asked for.
            missing = [each for each in inputs if not self._known(each, about) and not self._spare(each, name)]
            told = [f"{self._label(each)} {self._written(each, about[each])}" for each in entered]
            return "; ".join([*told, *(f"{_within(self._label(each))} not known" for each in missing)])
        likelier = dict.fromkeys(source for each in inputs if (source := self._source(each, about)) is not None)
        if not likelier:
            return _UNKNOWN
        return f"not known, chances inferred from {' and '.join(_within(self._label(each)) for each in likelier)}"

    def _spare(self, name: str, derived: str) -> bool:
        mix = self._mixes.get(name)
        return mix is not None and mix.unless_known == derived

    def _source(self, name: str, about: Mapping[str, Any]) -> str | None:
        """The nearest known field that says how likely the values of one that is not known are."""
        while (mix := self._mixes.get(name)) is not None and mix.given is not None:
            name = mix.given
            if self._known(name, about):
                return name
        return None

    def _written(self, name: str, value: Any) -> str:
        declared = self._declared(name)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list):
            return ", ".join(str(declared.codes.get(v, v)) for v in value)
        if isinstance(value, str):
            return str(declared.codes.get(value, value))
        number = _entered(value) if name in self.spec.fields else _computed(value)
        return f"{number} {declared.unit}" if declared.unit else number


def _within(label: str) -> str:
    """A label within a sentence; one that starts with an abbreviation stays as it is."""
    return label[0].lower() + label[1:] if label[1:2].islower() else label


def _entered(value: float) -> str:
    """As it was entered: no exponent, no digit less, and no separator that a reader could take for a point."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _computed(value: float) -> str:
    """Four digits, and those before the point in any case."""
    decimals = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

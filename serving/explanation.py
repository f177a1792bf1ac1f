"""Why one estimate is what it is, in words: what each input adds, and what it would help to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features import Part, Patients, Specification
from features.facts import patient_facts
from serving.numbers import DIGITS
from training.bundle import Bundle
from training.bundle.drivers import explain

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
                    "value": ", ".join(self._told(name, about.get(name)) for name in driver.fields),
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
        field = self.spec.fields.get(name)
        return field.label if field is not None else self.spec.derived[name].label

    def _told(self, name: str, value: Any) -> str:
        if value is None or value in self.spec.unknown_codes.get(name, ()):
            return "not known"
        declared = self.spec.fields.get(name) or self.spec.derived[name]
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list):
            return ", ".join(str(declared.codes.get(v, v)) for v in value)
        if isinstance(value, str):
            return str(declared.codes.get(value, value))
        unit = getattr(declared, "unit", None)
        return f"{value:.4g}" + (f" {unit}" if unit else "")

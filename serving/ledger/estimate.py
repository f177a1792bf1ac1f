"""The board's own estimate, kept before it saw the model's."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from features import Problem, Specification, UnknownRegimen
from serving.ledger.caller import Caller
from serving.ledger.entry import Content, Index, Kind


@dataclass(frozen=True, slots=True)
class Estimate:
    """Probabilities as a board judged them, as a draft.

    Attributes
    ----------
    prediction_id
        Of the prediction that it was made for. Append both in one call, the estimate first: the chain then shows
        that it came before.
    regimens
        ``[{"backbone", "biologic", "planned_cycles" or None, "outcomes": {name: probability}}]``; judge it with
        `estimate_problems` first.
    """

    prediction_id: str
    regimens: Sequence[Mapping[str, Any]]
    caller: Caller = field(default_factory=Caller)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    kind = Kind.ESTIMATE
    repeatable = False
    size = 4096

    def content(self) -> Content:
        """The probabilities, and who entered them."""
        record = {
            "prediction_id": self.prediction_id,
            "regimens": [dict(regimen) for regimen in self.regimens],
            "caller": {"name": self.caller.name, "role": self.caller.role},
        }
        return Content(record, Index(prediction_id=self.prediction_id, caller=self.caller.name))


def estimate_problems(regimens: Sequence[Mapping[str, Any]], spec: Specification) -> list[Problem]:
    """Judge a board's probabilities; returns every problem."""
    found = []
    for i, regimen in enumerate(regimens):
        stray = sorted(set(regimen) - {"backbone", "biologic", "planned_cycles", "outcomes"})
        found += [Problem(f"{i}.{name[:80]}", "unknown_field", "Is not part of an estimate.") for name in stray]
        try:
            spec.regimens.regimen(
                regimen.get("backbone", ""), regimen.get("biologic", ""), regimen.get("planned_cycles")
            )
        except (UnknownRegimen, TypeError) as unknown:
            found.append(Problem(f"{i}", "unknown_regimen", f"{unknown}."))
        for name, chance in dict(regimen.get("outcomes") or {}).items():
            if name not in spec.outcomes.names:
                known = ", ".join(spec.outcomes.names)
                found.append(Problem(f"{i}.outcomes.{name[:80]}", "unknown_field", f"Is no outcome; known: {known}."))
            elif isinstance(chance, bool) or not isinstance(chance, int | float) or not _share(chance):
                found.append(Problem(f"{i}.outcomes.{name}", "wrong_type", "Is not a probability from 0 to 1."))
        if not regimen.get("outcomes"):
            found.append(Problem(f"{i}.outcomes", "missing_required", "Give a probability for at least one outcome."))
    return found


def _share(chance: float) -> bool:
    return math.isfinite(chance) and 0 <= chance <= 1

"""What a challenger would have answered, as an entry: recorded, never shown."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.ledger.entry import Content, Index, Kind

_MODEL = ("name", "version", "learner", "spec_digest", "simulated")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenger's numbers for a patient whom the champion answered, as a draft.

    Attributes
    ----------
    prediction_id
        Of the answer that was sent; its entry holds the inputs.
    answer
        The challenger's whole answer. Its numbers are kept, its texts are not.
    digests
        As `Prediction.digests`, of the challenger.
    """

    prediction_id: str
    answer: Mapping[str, Any]
    seconds: float
    digests: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    kind = Kind.SHADOW
    repeatable = False
    size = 32_768

    def content(self) -> Content:
        """The challenger's model and its numbers by regimen."""
        model = self.answer["model"]
        told = ("backbone", "biologic", "planned_cycles", "outcomes", "states")
        version = model.get("version")
        record = {
            "prediction_id": self.prediction_id,
            "model": {name: model[name] for name in _MODEL if name in model},
            "digests": dict(self.digests),
            "regimens": [{name: r[name] for name in told if name in r} for r in self.answer["regimens"]],
            "latency_ms": round(1000 * self.seconds, 3),
        }
        index = Index(prediction_id=self.prediction_id, model_version=None if version is None else str(version)[:64])
        return Content(record, index)

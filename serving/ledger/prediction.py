"""An answer as it is kept: what was asked, what was answered, by which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.ledger.caller import Caller
from serving.ledger.entry import Content, Index, Kind

#: Of the answer's model, what is kept beside the answer to be searched for: no text for readers.
_MODEL = ("name", "version", "learner", "spec_digest", "flags_version", "flags_digest", "simulated")


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answered patient, as a draft.

    Attributes
    ----------
    answer
        The answer as a document: its id, model, assumptions and flags are read from it.
    sent
        The same as the bytes that the client gets.
    request
        What was asked, checked: ``patient``, ``regimens`` or None for all (``regimen`` where one is explained),
        ``profile``.
    latency_ms
        From the request to the answer, without the ledger.
    patient
        `Ledger.pseudonym` of the patient reference, when the client gave one.
    digests
        Further digests, by name: SHA-256 of the bundle's seal, and the version of the code that made the model.
    kind
        Whether it is a prediction, or compares two regimens, or explains one estimate.
    """

    answer: Mapping[str, Any]
    sent: bytes
    request: Mapping[str, Any]
    latency_ms: float
    caller: Caller = field(default_factory=Caller)
    patient: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = Kind.PREDICTION

    repeatable = False

    @property
    def id(self) -> str:
        """The prediction's id."""
        return str(self.answer["prediction_id"])

    @property
    def size(self) -> int:
        """Bytes of the answer, and some."""
        return len(self.sent) + 4096

    def content(self) -> Content:
        """The record, and the answer as it was sent."""
        model = self.answer["model"]
        about = {name: model[name] for name in _MODEL if name in model}
        data = model.get("trained_on", {}).get("data_digest")
        asked = self.request.get("regimens")
        if self.kind is Kind.EXPLANATION:
            asked = [self.request["regimen"]]
        entered = {name: value for name, value in self.request["patient"].items() if value is not None}
        # The scorer repeats a list of flags as the same object: by identity, a few are left of many.
        lists = [r.get("flags", ()) for r in self.answer.get("regimens", ())]
        flags = [flag for found in {id(each): each for each in lists}.values() for flag in found]
        latency, version = round(self.latency_ms, 3), about.get("version")
        record = {
            "prediction_id": self.id,
            "model": about,
            "digests": {**self.digests, **({"data": data} if data else {})},
            "inputs": {"entered": entered, "assumed": [each["field"] for each in self.answer.get("assumed", ())]},
            "regimens": None if asked is None else [dict(regimen) for regimen in asked],
            "profile": self.request.get("profile"),
            "flags": sorted({(f["code"], f["status"]) for f in flags}),
            "latency_ms": latency,
            "caller": {"name": self.caller.name, "role": self.caller.role},
            "patient": self.patient,
        }
        if self.kind is Kind.EXPLANATION:
            record["outcome"] = self.answer["outcome"]
        index = Index(
            model_version=None if version is None else str(version)[:64],
            patient=self.patient,
            caller=self.caller.name,
            latency_ms=latency,
        )
        return Content(record, index, self.sent)

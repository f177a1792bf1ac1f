"""From a checked request to the answer: numbers, flags, support, and what was assumed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from features import Patients, Regimen, Specification
from features.facts import patient_facts, regimen_facts
from features.flag import Flag, Memo
from features.memory import Memory
from serving.comparison import differences
from serving.explanation import Explainer
from serving.numbers import stacked
from serving.remarks import Remarks
from training.bundle import Bundle
from training.bundle.scored import STATES

_LISTS = 4096  # of flags, kept as JSON: about 3 kB each
_SLOT = "\ufffc"  # stands in a template where a number, or a text of its own, goes


class Written(NamedTuple):
    """One patient's answer.

    Attributes
    ----------
    sent
        The answer as JSON.
    brief
        Of the same answer what others than the client read: its id, model and assumptions, and by regimen the drugs
        and flags.
    """

    sent: bytes
    brief: Mapping[str, Any]


@dataclass(frozen=True)
class Planned:
    """Regimens asked for, with what does not depend on the patient.

    Attributes
    ----------
    pieces
        The end of an answer as JSON. Every second piece is to be filled: by regimen support, numbers and flags.
    """

    regimens: tuple[Regimen, ...]
    pieces: list[bytes]
    facts: tuple[dict[str, Any], ...]
    memo: Memo


class Scorer:
    """Answers requests with one bundle.

    Parameters
    ----------
    bundle
        The model.
    spec
        The specification it was trained against.
    version
        Version under which the model is registered; the bundle's own when None.
    """

    def __init__(self, bundle: Bundle, spec: Specification, version: str | None = None) -> None:
        self.bundle, self.spec = bundle, spec
        manifest = bundle.manifest
        self.model = {
            "name": manifest.name,
            "version": version or manifest.version,
            "learner": manifest.learner,
            "spec_digest": manifest.spec_digest,
            "flags_version": spec.flags.version,
            "flags_digest": spec.flags_digest,
            "trained_on": manifest.trained_on.model_dump(),
            "simulated": manifest.simulated,
        }
        self.model_card: dict[str, Any] = {
            **self.model,
            "created": manifest.created,
            "code_version": manifest.code_version,
            "bundle_digest": bundle.digest,
            "outcomes": [m.model_dump() for m in manifest.outcomes],
            "calibration": bundle.calibration.model_dump(mode="json", exclude={"data_digest"}, exclude_none=True),
        }
        # What the ledger keeps beside each answer: made once, so that an answer does not pay for it.
        self.digests = {"code": manifest.code_version, **({"bundle": bundle.digest} if bundle.digest else {})}
        self.specification_document = specification_document(spec)
        self._all = tuple((*r.key, None) for r in spec.regimens.all())
        self._given = tuple((o.name, {"given": o.given} if o.given else {}) for o in spec.outcomes.outcomes)
        # By identity: the catalogue keeps its flags for as long as it lives, and a hash of their texts costs more.
        self._flags: Memory[tuple[int, ...], tuple[bytes, list[dict[str, str]]]] = Memory(_LISTS)
        self._written_model = to_json(self.model)
        self._remarks = Remarks(bundle, spec)
        self._explainer = Explainer(bundle, spec)
        # Tumour boards ask for the same few regimens again and again.
        self._planned = lru_cache(maxsize=32)(self._plan)

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one patient.

        Parameters
        ----------
        request
            A validated request as plain data: ``patient``, optional ``regimens``, ``profile``.
        """
        answer: dict[str, Any] = json.loads(self.write(request).sent)
        return answer

    @property
    def all_regimens(self) -> Planned:
        """The whole catalogue at its default durations: what is answered when no regimen is named."""
        return self._planned(self._all)

    def write(self, request: Mapping[str, Any]) -> Written:
        """Answer one patient, as JSON; see `answer`."""
        return self._write([request["patient"]], request.get("regimens"), request["profile"])[0]

    def write_batch(self, request: Mapping[str, Any]) -> list[Written]:
        """Answer several patients (``patients``), in order, as JSON."""
        return self._write(request["patients"], request.get("regimens"), request["profile"])

    def compare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Compare two regimens for one patient: the first minus the second, and what to know of each before.

        Only what is not conditional on resection is compared (DOMAIN 5.5).
        """
        record = {name: value for name, value in request["patient"].items() if value is not None}
        planned = self._asked(request["regimens"])
        first, second = planned.regimens
        coded = Patients.from_records(self.spec, [record])
        about = patient_facts(self.spec, record, coded=coded)
        raised = self._flagged(about, planned, request["profile"])
        stratum = next(iter(self._remarks.strata(coded)))
        assumed = [words for words, _ in self._remarks.assumptions(about)]
        return {
            "prediction_id": str(uuid.uuid4()),
            "model": self.model,
            "warnings": self._remarks.warnings(record, bool(assumed)),
            "assumed": assumed,
            "first": first.label,
            "second": second.label,
            "regimens": [
                {
                    **_described(regimen),
                    "support": self._remarks.support(stratum, regimen.key),
                    "flags": self._raised(flags)[1],
                }
                for regimen, flags in zip(planned.regimens, raised, strict=True)
            ],
            "differences": differences(self.bundle.compare(coded, first, second)),
        }

    def explain(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Say which inputs move one estimate, and what it would help to know."""
        return {"prediction_id": str(uuid.uuid4()), "model": self.model, **self._explainer.explain(request)}

    def _write(
        self, patients: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]] | None, profile: str
    ) -> list[Written]:
        records = [{name: value for name, value in p.items() if value is not None} for p in patients]
        planned = self._asked(asked) if asked else self.all_regimens
        coded = Patients.from_records(self.spec, records)
        numbers = stacked(self.bundle.score(coded, planned.regimens))
        strata = self._remarks.strata(coded)
        alone = coded if len(records) == 1 else None
        return [
            self._one(record, planned, numbers[i], stratum, patient_facts(self.spec, record, coded=alone), profile)
            for i, (record, stratum) in enumerate(zip(records, strata, strict=True))
        ]

    def _one(
        self,
        record: Mapping[str, Any],
        planned: Planned,
        numbers: NDArray[np.float64],
        stratum: tuple[int, ...],
        about: Mapping[str, Any],
        profile: str,
    ) -> Written:
        flags = self._flagged(about, planned, profile)
        assumed = self._remarks.assumptions(about)
        id = str(uuid.uuid4())
        # A document of a thousand numbers in nested objects takes longer to make and to serialise than to score.
        told = to_json(numbers.ravel().tolist())[1:-1].split(b",")
        each = numbers.shape[1]
        head = b'{"prediction_id":"%b","model":%b,"warnings":%b,"assumed":[%b],"regimens":['
        warnings = to_json(self._remarks.warnings(record, bool(assumed)))
        assumptions = b",".join(written for _, written in assumed)
        values: list[bytes] = []
        regimens = []
        for j, regimen in enumerate(planned.regimens):
            written, raised = self._raised(flags[j])
            values.append(self._remarks.written_support(stratum, regimen.key))
            values += told[j * each : (j + 1) * each]
            values.append(written)
            regimens.append({"backbone": regimen.backbone, "biologic": regimen.biologic, "flags": raised})
        pieces = planned.pieces.copy()
        pieces[0] = head % (id.encode(), self._written_model, warnings, assumptions) + pieces[0]
        pieces[1::2] = values
        sent = b"".join(pieces)
        words = [each for each, _ in assumed]
        return Written(sent, {"prediction_id": id, "model": self.model, "assumed": words, "regimens": regimens})

    def _asked(self, regimens: Sequence[Mapping[str, Any]]) -> Planned:
        return self._planned(tuple((r["backbone"], r["biologic"], r.get("planned_cycles")) for r in regimens))

    def _plan(self, keys: tuple[tuple[str, str, int | None], ...]) -> Planned:
        regimens = tuple(self.spec.regimens.regimen(*key) for key in keys)
        template = b",".join(to_json(self._outline(r)) for r in regimens) + b"]}"
        fixed = template.split(to_json(_SLOT))
        pieces = [b""] * (2 * len(fixed) - 1)
        pieces[::2] = fixed
        return Planned(regimens, pieces, tuple(regimen_facts(r) for r in regimens), Memo())

    def _outline(self, regimen: Regimen) -> dict[str, Any]:
        """What is answered of one regimen, with slots in the order of `stacked`."""
        bounds = {"low": _SLOT, "high": _SLOT}
        return {
            **_described(regimen),
            "support": _SLOT,
            "outcomes": {name: {"probability": _SLOT, **bounds, **given} for name, given in self._given},
            "states": dict.fromkeys(STATES, _SLOT),
            "state_ranges": dict.fromkeys(STATES, bounds),
            "flags": _SLOT,
        }

    def _flagged(self, about: Mapping[str, Any], planned: Planned, profile: str) -> list[list[Flag]]:
        return self.spec.flags.evaluate(about, planned.facts, profile, self.spec.unknown_codes, planned.memo)

    def _raised(self, flags: Sequence[Flag]) -> tuple[bytes, list[dict[str, str]]]:
        """Flags as JSON and as a document; the same few lists come again and again."""
        key = tuple(map(id, flags))
        found = self._flags.get(key)
        if found is None:
            document = [asdict(flag) for flag in flags]
            found = self._flags.keep(key, (to_json(document), document))
        return found


def _described(regimen: Regimen) -> dict[str, Any]:
    return {
        "backbone": regimen.backbone,
        "biologic": regimen.biologic,
        "planned_cycles": regimen.planned_cycles,
        "planned_weeks": regimen.planned_weeks,
        "label": regimen.label,
    }


def specification_document(spec: Specification) -> dict[str, Any]:
    """The specification as a client may read it: what can be asked, what is answered."""
    return {
        "digest": spec.digest,
        "flags_version": spec.flags.version,
        "flags_digest": spec.flags_digest,
        "fields": [f.model_dump(mode="json") for f in spec.asked],
        "outcomes": [o.model_dump(mode="json", exclude={"recorded"}) for o in spec.outcomes.outcomes],
        "regimens": spec.regimens.model_dump(mode="json"),
        "profiles": list(spec.flags.profiles),
        "flags": [r.model_dump(mode="json", by_alias=True, exclude_none=True) for r in spec.flags.rules],
    }

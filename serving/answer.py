"""From a checked request to the answer: numbers, flags, support, and what was assumed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from features import Field, Part, Patients, Regimen, Specification
from features.facts import patient_facts, regimen_facts
from features.flag import Flag, Memo, Occasion
from training.bundle import Bundle
from training.bundle.case_mix import FieldMix
from training.bundle.drivers import explain
from training.bundle.scores import STATES, Scores
from training.bundle.support import level

_LISTS = 4096  # of flags, kept as JSON: about 3 kB each
_DIGITS = 4  # a hundredth of a percentage point: finer than any evidence, coarse enough to read
_SUPPORT = {
    "none": "Fewer than 5 comparable real patients had this regimen, or none; it rests on published evidence alone.",
    "limited": "Fewer than 20 comparable real patients of the training registry had this regimen.",
    "good": "Comparable real patients of the training registry had this regimen.",
}
_ASSOCIATIONS = (
    "Associations in the data and studies behind the model, not causes: changing an input need not change the chance. "
    "Shown are differences from a patient of whom nothing is known, under the same regimen."
)
_SLOT = "\ufffc"  # stands in a template where a number, or a text of its own, goes
_SIMULATED = "No real patients stand behind this number; simulated patients do not count as support."


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
        self._flags: dict[tuple[int, ...], tuple[bytes, list[dict[str, str]]]] = {}
        self._written_model = to_json(self.model)
        self._support = lru_cache(maxsize=4096)(self._written_support)
        mixes = [m for m in bundle.prior.parameters.case_mix.fields if spec.fields[m.field].asked]
        words = [{"field": m.field, **_in_words(spec.fields[m.field], m)} for m in mixes]
        self._assumed = [(m, each, to_json(each)) for m, each in zip(mixes, words, strict=True)]
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
        """Compare two regimens for one patient: the first minus the second.

        Only what is not conditional on resection is compared (DOMAIN 5.5).
        """
        record = {name: value for name, value in request["patient"].items() if value is not None}
        keys = tuple((r["backbone"], r["biologic"], r.get("planned_cycles")) for r in request["regimens"])
        first, second = self._planned(keys).regimens
        compared = self.bundle.compare(Patients.from_records(self.spec, [record]), first, second)
        return {
            "prediction_id": str(uuid.uuid4()),
            "model": self.model,
            "first": first.label,
            "second": second.label,
            "assumed": [words for words, _ in self._assumptions(patient_facts(self.spec, record))],
            "differences": {
                name: _difference(float(value[0]), float(compared.low[name][0]), float(compared.high[name][0]))
                for name, value in compared.difference.items()
            },
        }

    def explain(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Say which inputs move one estimate, and what it would help to know."""
        record = {name: value for name, value in request["patient"].items() if value is not None}
        planned = request["regimen"]
        regimen = self.spec.regimens.regimen(planned["backbone"], planned["biologic"], planned.get("planned_cycles"))
        outcome = self.spec.outcomes[request.get("outcome") or self.spec.outcomes.part(Part.PRIMARY).name]
        about = patient_facts(self.spec, record)
        found = explain(self.bundle, Patients.from_records(self.spec, [record]), regimen, outcome.name)
        return {
            "prediction_id": str(uuid.uuid4()),
            "model": self.model,
            "outcome": outcome.name,
            "label": outcome.label,
            "given": outcome.given,
            "regimen": regimen.label,
            "typical": round(found.typical, _DIGITS),
            "probability": round(found.probability, _DIGITS),
            "drivers": [
                {
                    "label": " and ".join(self._label(name) for name in driver.fields),
                    "value": ", ".join(self._told(name, about.get(name)) for name in driver.fields),
                    "points": round(driver.points, _DIGITS),
                }
                for driver in found.drivers
            ],
            "unknown": [
                {
                    "field": known.field,
                    "label": self._label(known.field),
                    "low": round(known.low, _DIGITS),
                    "high": round(known.high, _DIGITS),
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

    def _write(
        self, patients: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]] | None, profile: str
    ) -> list[Written]:
        records = [{name: value for name, value in p.items() if value is not None} for p in patients]
        keys = tuple((r["backbone"], r["biologic"], r.get("planned_cycles")) for r in asked) if asked else self._all
        planned = self._planned(keys)
        coded = Patients.from_records(self.spec, records)
        numbers = _numbers(self.bundle.score(coded, planned.regimens))
        # Where no real patient stands behind the model, none is comparable.
        strata = map(tuple, self.spec.encoding.strata(coded).tolist()) if self.bundle.support.counts else repeat(())
        alone = coded if len(records) == 1 else None
        return [
            self._one(record, planned, numbers[i], stratum, patient_facts(self.spec, record, coded=alone), profile)
            for i, (record, stratum) in enumerate(zip(records, strata, strict=False))
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
        flags = self.spec.flags.evaluate(about, planned.facts, profile, self.spec.unknown_codes, planned.memo)
        assumed = self._assumptions(about)
        id = str(uuid.uuid4())
        # A document of a thousand numbers in nested objects takes longer to make and to serialise than to score.
        told = to_json(numbers.ravel().tolist())[1:-1].split(b",")
        each = numbers.shape[1]
        head = b'{"prediction_id":"%b","model":%b,"warnings":%b,"assumed":[%b],"regimens":['
        warnings = to_json(self._warnings(record, bool(assumed)))
        assumptions = b",".join(written for _, written in assumed)
        values: list[bytes] = []
        regimens = []
        for j, regimen in enumerate(planned.regimens):
            written, raised = self._raised(flags[j])
            values.append(self._support(stratum, regimen.key))
            values += told[j * each : (j + 1) * each]
            values.append(written)
            regimens.append({"backbone": regimen.backbone, "biologic": regimen.biologic, "flags": raised})
        pieces = planned.pieces.copy()
        pieces[0] = head % (id.encode(), self._written_model, warnings, assumptions) + pieces[0]
        pieces[1::2] = values
        sent = b"".join(pieces)
        words = [each for each, _ in assumed]
        return Written(sent, {"prediction_id": id, "model": self.model, "assumed": words, "regimens": regimens})

    def _plan(self, keys: tuple[tuple[str, str, int | None], ...]) -> Planned:
        regimens = tuple(self.spec.regimens.regimen(*key) for key in keys)
        template = b",".join(to_json(self._outline(r)) for r in regimens) + b"]}"
        fixed = template.split(to_json(_SLOT))
        pieces = [b""] * (2 * len(fixed) - 1)
        pieces[::2] = fixed
        return Planned(regimens, pieces, tuple(regimen_facts(r) for r in regimens), Memo())

    def _outline(self, regimen: Regimen) -> dict[str, Any]:
        """What is answered of one regimen, with slots in the order of `_numbers`."""
        bounds = {"low": _SLOT, "high": _SLOT}
        return {
            "backbone": regimen.backbone,
            "biologic": regimen.biologic,
            "planned_cycles": regimen.planned_cycles,
            "planned_weeks": regimen.planned_weeks,
            "label": regimen.label,
            "support": _SLOT,
            "outcomes": {name: {"probability": _SLOT, **bounds, **given} for name, given in self._given},
            "states": dict.fromkeys(STATES, _SLOT),
            "state_ranges": dict.fromkeys(STATES, bounds),
            "flags": _SLOT,
        }

    def _raised(self, flags: Sequence[Flag]) -> tuple[bytes, list[dict[str, str]]]:
        """Flags as JSON and as a document; the same few lists come again and again."""
        key = tuple(map(id, flags))
        found = self._flags.get(key)
        if found is None:
            if len(self._flags) >= _LISTS:
                self._flags.clear()
            document = [asdict(flag) for flag in flags]
            found = self._flags[key] = to_json(document), document
        return found

    def _written_support(self, stratum: tuple[int, ...], regimen: tuple[str, str]) -> bytes:
        comparable = self.bundle.support.comparable(np.array(stratum), regimen)
        text = _SIMULATED if self.bundle.manifest.simulated else _SUPPORT[level(comparable)]
        return to_json({"level": level(comparable), "effective_patients": comparable, "text": text})

    def _assumptions(self, about: Mapping[str, Any]) -> list[tuple[dict[str, str], bytes]]:
        """What is assumed, each as a document and as JSON."""

        def known(name: str) -> bool:
            return about.get(name) is not None and about[name] not in self.spec.unknown_codes.get(name, ())

        return [
            (words, written)
            for mix, words, written in self._assumed
            if not (known(mix.field) or (mix.unless_known is not None and known(mix.unless_known)))
        ]

    def _warnings(self, record: Mapping[str, Any], assumed: bool) -> list[dict[str, Any]]:
        warnings: list[dict[str, Any]] = []

        def raise_notice(on: Occasion, field: str | None = None, text: str | None = None) -> None:
            notice = self.spec.flags.notice(on)
            warnings.append(
                {"code": notice.code, "severity": notice.severity, "field": field, "text": text or notice.text}
            )

        if self.bundle.manifest.simulated:
            raise_notice("simulated")
        if not self.bundle.support.counts:
            raise_notice("low_support")
        for name, value in record.items():
            question = self.spec.fields[name].unusual(value)
            if question is not None:
                raise_notice("unusual", name, question.message)
        if assumed:
            raise_notice("assumed")
        return warnings


def _numbers(scores: Scores) -> NDArray[np.float64]:
    """All numbers of the answers, shape (n, r, 3 o + 9).

    By regimen: each outcome's probability, low and high; the states; each state's low and high.
    """
    _, n, _, r = scores.stacked.shape
    outcomes = np.round(scores.stacked, _DIGITS).transpose(1, 3, 2, 0).reshape(n, r, -1)
    # The states are left unrounded, so that they sum to 1 as far as floating point goes; their ranges are rounded
    # outwards, so that no state lies outside its own.
    states = np.stack(list(scores.states.values()), axis=-1)
    low, high = 10**_DIGITS * scores.state_bounds
    ranges = np.stack([np.floor(low), np.ceil(high)], axis=-1) / 10**_DIGITS
    numbers = np.concatenate([outcomes, states, ranges.transpose(0, 2, 1, 3).reshape(n, r, -1)], axis=2)
    if not np.isfinite(numbers).all():
        raise ValueError("a number of the answer is not finite")
    return numbers


def _in_words(field: Field, mix: FieldMix) -> dict[str, str]:
    return {"label": field.label, "assumed": mix.describe(field)}


def _difference(difference: float, low: float, high: float) -> dict[str, Any]:
    words = "reliably higher" if low > 0 else "reliably lower" if high < 0 else "no reliable difference"
    rounded = {"difference": difference, "low": low, "high": high}
    return {**{name: round(value, _DIGITS) for name, value in rounded.items()}, "words": words}


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

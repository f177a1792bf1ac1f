"""From a checked request to the answer: numbers, flags, support, and what was assumed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from features import Patients, Regimen, Specification, Time
from features.facts import patient_facts, regimen_facts
from features.flag import Occasion
from training.bundle import Bundle, Scores

_DIGITS = 4  # a hundredth of a percentage point: finer than any evidence, coarse enough to read
_TRAINED = {
    "none": "No comparable real patients stand behind this number; it rests on published evidence alone.",
    "limited": "Few real patients of the training registry had this regimen.",
    "good": "Real patients of the training registry had this regimen.",
}
_SIMULATED = "No real patients stand behind this number; simulated patients do not count as support."


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
            "outcomes": [m.model_dump() for m in manifest.outcomes],
        }
        self.specification_document = specification_document(spec)
        self._all = spec.regimens.all()
        self._given = {o.name: {"given": o.given} if o.given else {} for o in spec.outcomes.outcomes}
        self._assumed = {mix.field: mix for mix in bundle.prior.parameters.case_mix.fields}
        # Serving asks for the same few regimens again and again.
        self._regimen = lru_cache(maxsize=4096)(spec.regimens.regimen)
        self._regimen_facts = lru_cache(maxsize=4096)(lambda b, a, c: regimen_facts(self._regimen(b, a, c)))

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one patient.

        Parameters
        ----------
        request
            A validated request as plain data: ``patient``, optional ``regimens``, ``profile``.
        """
        patients = [_known(request["patient"])]
        return self._answers(patients, request.get("regimens"), request["profile"])[0]

    def answer_batch(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer several patients, in order."""
        patients = [_known(p) for p in request["patients"]]
        return {"predictions": self._answers(patients, request.get("regimens"), request["profile"])}

    def _answers(
        self, records: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]] | None, profile: str
    ) -> list[dict[str, Any]]:
        regimens = (
            list(self._all)
            if not asked
            else [self._regimen(r["backbone"], r["biologic"], r.get("planned_cycles")) for r in asked]
        )
        patients = Patients.from_records(self.spec, records)
        scores = self.bundle.score(patients, regimens)
        rounded = _rounded(scores)
        return [
            {
                "prediction_id": str(uuid.uuid4()),
                "model": self.model,
                "warnings": self._warnings(record, assumed),
                "assumed": assumed,
                "regimens": self._regimens(i, record, regimens, rounded, profile),
            }
            for i, record in enumerate(records)
            for assumed in [self._assumptions(record, patients.take(np.array([i])))]
        ]

    def _regimens(
        self,
        row: int,
        record: Mapping[str, Any],
        regimens: Sequence[Regimen],
        rounded: Mapping[str, Any],
        profile: str,
    ) -> list[dict[str, Any]]:
        about_patient = patient_facts(self.spec, record, Time.BASELINE)
        answers = []
        for j, regimen in enumerate(regimens):
            facts = {
                **about_patient,
                **self._regimen_facts(regimen.backbone, regimen.biologic, regimen.planned_cycles),
            }
            flags = self.spec.flags.evaluate(facts, profile, self.spec.unknown_codes)
            answers.append(
                {
                    "backbone": regimen.backbone,
                    "biologic": regimen.biologic,
                    "planned_cycles": regimen.planned_cycles,
                    "planned_weeks": regimen.planned_weeks,
                    "label": regimen.label,
                    "outcomes": {
                        name: {
                            "probability": rounded["probability"][name][row][j],
                            "low": rounded["low"][name][row][j],
                            "high": rounded["high"][name][row][j],
                            **given,
                        }
                        for name, given in self._given.items()
                    },
                    "states": {name: column[row][j] for name, column in rounded["states"].items()},
                    "support": self._support(regimen),
                    "flags": [
                        {
                            "code": f.code,
                            "severity": f.severity,
                            "status": f.status,
                            "text": f.text,
                            "source": f.source,
                        }
                        for f in flags
                    ],
                }
            )
        return answers

    def _support(self, regimen: Regimen) -> dict[str, Any]:
        level = self.bundle.support.level(regimen)
        text = _SIMULATED if self.bundle.manifest.simulated else _TRAINED[level]
        return {"level": level, "effective_patients": self.bundle.support.patients(regimen), "text": text}

    def _assumptions(self, record: Mapping[str, Any], patient: Patients) -> list[dict[str, str]]:
        assumed = []
        for name, mix in self._assumed.items():
            field = self.spec.fields[name]
            if patient.known(name)[0] or (mix.unless_known and patient.known(mix.unless_known)[0]):
                continue
            if field.asked:
                assumed.append({"field": name, "label": field.label, "assumed": mix.describe(field)})
        return assumed

    def _warnings(self, record: Mapping[str, Any], assumed: Sequence[object]) -> list[dict[str, Any]]:
        warnings: list[dict[str, Any]] = []

        def raise_notice(on: Occasion, field: str | None = None, text: str | None = None) -> None:
            notice = self.spec.flags.notice(on)
            warnings.append(
                {
                    "code": notice.code,
                    "severity": notice.severity,
                    "field": field,
                    "text": text or notice.text,
                }
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


def _known(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def _rounded(scores: Scores) -> dict[str, Any]:
    parts = {"probability": scores.probability, "low": scores.low, "high": scores.high}
    rounded: dict[str, Any] = {
        part: {name: np.round(values, _DIGITS).tolist() for name, values in by_name.items()}
        for part, by_name in parts.items()
    }
    # The states are left unrounded, so that they sum to 1 exactly as far as floating point goes.
    rounded["states"] = {name: values.tolist() for name, values in scores.states.items()}
    return rounded


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

"""What stands beside the numbers of an answer: its warnings, what was assumed, and the support of each regimen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
from pydantic_core import to_json

from features import Field, Patients, Specification
from features.flag import Occasion
from training.bundle import Bundle
from training.bundle.case_mix import FieldMix
from training.bundle.support import level

_SUPPORT = {
    "none": (
        "Fewer than 5 comparable patients of the training registry had this regimen, or none; "
        "the number is carried over from other patients and published evidence."
    ),
    "limited": "Fewer than 20 comparable patients of the training registry had this regimen.",
    "good": "20 or more comparable patients of the training registry had this regimen.",
}
_PUBLISHED = "No individual patients' data stand behind this number; it rests on published evidence alone."
_SIMULATED = "No real patients of a registry stand behind this number; simulated patients do not count as support."


class Remarks:
    """Makes the remarks of one bundle.

    Parameters
    ----------
    bundle
        The model.
    spec
        The specification it was trained against.
    """

    def __init__(self, bundle: Bundle, spec: Specification) -> None:
        self.bundle, self.spec = bundle, spec
        mixes = [m for m in bundle.prior.parameters.case_mix.fields if spec.fields[m.field].asked]
        words = [{"field": m.field, **_in_words(spec.fields[m.field], m)} for m in mixes]
        self._assumed = [(m, each, to_json(each)) for m, each in zip(mixes, words, strict=True)]
        #: `support` as JSON, remembered.
        self.written_support = lru_cache(maxsize=4096)(lambda stratum, key: to_json(self.support(stratum, key)))

    def strata(self, patients: Patients) -> Iterable[tuple[int, ...]]:
        """By patient the stratum that `support` takes: empty where no real patient stands behind the model."""
        if not self.bundle.support.counts:
            return repeat((), patients.n)
        return map(tuple, self.spec.encoding.strata(patients).tolist())

    def support(self, stratum: tuple[int, ...], regimen: tuple[str, str]) -> dict[str, Any]:
        """How many real patients like this one had a regimen.

        Parameters
        ----------
        stratum
            Of the patient.
        regimen
            Its key.
        """
        comparable = self.bundle.support.comparable(np.array(stratum), regimen)
        reached, manifest = level(comparable), self.bundle.manifest
        text = _SUPPORT[reached]
        if manifest.simulated:
            text = _SIMULATED
        elif not comparable and manifest.trained_on.kind == "evidence":
            text = _PUBLISHED
        return {"level": reached, "effective_patients": comparable, "text": text}

    def assumptions(self, about: Mapping[str, Any]) -> list[tuple[dict[str, str], bytes]]:
        """What is assumed of a patient, each as a document and as JSON."""

        def known(name: str) -> bool:
            return about.get(name) is not None and about[name] not in self.spec.unknown_codes.get(name, ())

        return [
            (words, written)
            for mix, words, written in self._assumed
            if not (known(mix.field) or (mix.unless_known is not None and known(mix.unless_known)))
        ]

    def warnings(self, record: Mapping[str, Any], assumed: bool) -> list[dict[str, Any]]:
        """Warn of what concerns the whole answer; `assumed` says whether anything was."""
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


def _in_words(field: Field, mix: FieldMix) -> dict[str, str]:
    return {"label": field.label, "assumed": mix.describe(field)}

"""Effects: every coefficient of the prior as an odds ratio that a clinician can read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features import INTERCEPT, Specification
from features.encoding import PatientFactor, RegimenFactor
from features.field import Frozen
from training.bundle.coefficients import PriorParameters

BASIS = {"published": "published", "unverified": "published, transcription unverified", "judgement": "judgement"}
NORMAL_90 = 1.644854
_STEPS = {"log2": "doubled", "log10": "ten times", "log": "times 2.7"}


class EffectRow(Frozen):
    """One effect.

    Attributes
    ----------
    within
        Label of the event that the effect is conditional on; None for everyone started.
    text
        The comparison in words.
    odds_ratio, low, high
        With its 90% interval, other factors and the regimen equal.
    basis
        ``published``, ``unverified`` (transcription not re-read at the source) or ``judgement``.
    """

    outcome: str
    label: str
    within: str | None
    term: str
    text: str
    odds_ratio: float
    low: float
    high: float
    studies: tuple[str, ...]
    basis: str
    note: str

    @property
    def basis_in_words(self) -> str:
        """What the effect mainly rests on."""
        return BASIS.get(self.basis, self.basis)


def effect_rows(parameters: PriorParameters, spec: Specification) -> list[EffectRow]:
    """List every effect, outcomes and terms in the order of the specification."""
    parts = {p.outcome: p for p in parameters.outcomes}
    order = list(spec.encoding.terms)
    rows: list[EffectRow] = []
    for outcome in spec.outcomes.outcomes:
        within = None if outcome.within is None else spec.outcomes[outcome.within].label
        for c in sorted(parts[outcome.name].coefficients, key=lambda c: order.index(c.term)):
            if c.term == INTERCEPT:
                continue
            middle, low, high = (round(float(np.exp(c.mean + z * c.sd)), 3) for z in (0.0, -NORMAL_90, NORMAL_90))
            rows.append(
                EffectRow(
                    outcome=outcome.name,
                    label=outcome.label,
                    within=within,
                    term=c.term,
                    text=describe(spec, c.term),
                    odds_ratio=middle,
                    low=low,
                    high=high,
                    studies=c.studies,
                    basis=c.basis,
                    note=c.note,
                )
            )
    return rows


def describe(spec: Specification, term: str) -> str:
    """Say in words what a term compares."""
    patient, regimen = spec.encoding.terms[term]
    factors = {f.name: f for f in spec.encoding.patient_factors}
    drugs = {f.name: f for f in spec.encoding.regimen_factors}
    if patient is None and regimen is None:
        return "Level"
    if regimen is None:
        assert patient is not None
        return _patient(spec, factors, patient)
    if patient is None:
        return _regimen(spec, drugs[regimen])
    return f"{_regimen(spec, drugs[regimen])}, in addition if {_patient(spec, factors, patient)}"


def _patient(spec: Specification, factors: dict[str, PatientFactor], name: str) -> str:
    factor = factors[name]
    if factor.product is not None:
        return " and ".join(_patient(spec, factors, part) for part in factor.product)
    assert factor.of is not None
    declared = spec.fields.get(factor.of) or spec.derived[factor.of]
    label, codes = declared.label, declared.codes
    unit = f" {declared.unit}" if declared.unit else ""
    if factor.equals == (True,):
        return label
    for verb, wanted in (
        ("", factor.equals),
        ("other than ", factor.not_equals),
        ("", factor.has_any),
        ("other than ", (factor.not_only,) if factor.not_only else None),
    ):
        if wanted is not None:
            return f"{label}: {verb}{_either([codes.get(str(code), str(code)) for code in wanted])}"
    for words, limit in (("{} or more", factor.at_least), ("over {}", factor.above), ("under {}", factor.below)):
        if limit is not None:
            return f"{label} {words.format(f'{limit:g}{unit}')}"
    if factor.transform is not None:
        return f"{label}, {_STEPS[factor.transform]}"
    beyond = "" if factor.floor is None else f" beyond {factor.center:g}"
    return f"{label}, per {factor.per:g}{unit}{beyond}"


def _regimen(spec: Specification, factor: RegimenFactor) -> str:
    given = " with ".join(_drug(spec, exposure) for exposure in factor.exposures)
    if len(factor.exposures) > 1:
        given += " (beyond the effect of each)"
    if not factor.weeks:
        return given
    return "Planned weeks, doubled" + (f", with {given}" if given else "")


def _drug(spec: Specification, exposure: str) -> str:
    return _either([d.label for d in spec.regimens.drugs if exposure in (d.name, *d.classes)])


def _either(parts: Sequence[str]) -> str:
    return " or ".join(parts)

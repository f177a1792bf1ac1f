"""How a registry moved the evidence's regimen effects, and on how many patients."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.crossfit import Assessed
from training.encoded import Encoded
from training.learners.update import prior_moments

_CLEAR = 0.5  # a move by half of its own prior standard deviation is worth a sentence


def moved_contrasts(assessed: Assessed, encoded: Encoded) -> list[dict[str, Any]]:
    """Describe every regimen effect before and after the registry.

    Returns
    -------
    list of dict
        One entry an outcome and term: odds ratio with 90% interval from the evidence and after the registry, the
        patients behind it, and whether it moved.
    """
    parts = {part.outcome: part for part in encoded.evidence.parameters.outcomes}
    terms = encoded.evidence.terms
    described = []
    for outcome, fit in assessed.fits.items():
        if fit.updated is None:
            continue
        mean, covariance = prior_moments(parts[outcome], terms)
        rows = encoded.eligible(outcome)
        for j, term in enumerate(terms):
            doubt = float(np.sqrt(covariance[j, j]))
            if encoded.spec.encoding.terms[term][1] is None or doubt == 0:
                continue
            exposed = encoded.effects[rows, j] != 0
            shift = (float(fit.updated.mean[j]) - float(mean[j])) / doubt
            described.append(
                {
                    "outcome": outcome,
                    "term": term,
                    "evidence": _odds_ratio(mean[j], doubt),
                    "with_registry": _odds_ratio(fit.updated.mean[j], float(np.sqrt(fit.updated.covariance[j, j]))),
                    "patients_with": int(exposed.sum()),
                    "patients_without": int((~exposed).sum()),
                    "shift_in_evidence_sd": round(shift, 3),
                    "text": _sentence(shift, int(min(exposed.sum(), (~exposed).sum()))),
                }
            )
    return described


def _odds_ratio(mean: float, sd: float) -> dict[str, float]:
    bounds = {"odds_ratio": 0.0, "low": -1.645, "high": 1.645}
    return {name: round(float(np.exp(mean + z * sd)), 3) for name, z in bounds.items()}


def _sentence(shift: float, smaller: int) -> str:
    if abs(shift) < _CLEAR:
        return f"Left where the evidence has it: the registry agrees, or only {smaller} patients in the smaller group."
    direction = "up" if shift > 0 else "down"
    return f"Moved {direction}: {smaller} patients in the smaller group outweigh some evidence."

"""A few predictions that a model must get right in form before any patient is answered with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from features import Patients, Specification
from training.bundle import Bundle, BundleRefused

#: Patients of the case mix that the bundle itself carries; the first of them is asked about with nothing known.
PANEL = 8

_ROUNDING = 1e-6


def smoke(bundle: Bundle, spec: Specification) -> None:
    """Ask a bundle about a small fixed panel under every regimen.

    The panel is drawn from the bundle's own case mix and is always the same. That the estimates are good is for
    promotion to judge; this says that they are numbers that can be shown.

    Raises
    ------
    BundleRefused
        With code ``smoke`` and how many answers are not sound: not finite, not strictly between 0 and 1, outside
        their interval, likelier than the event that contains them, or with states that do not sum to 1.
    """
    regimens = spec.regimens.all()
    nobody = Patients(spec, 1, {})
    panel = bundle.prior.parameters.case_mix.complete(nobody, PANEL)
    faults, asked = 0, 0
    for patients in (nobody, panel):
        scores = bundle.score(patients, regimens)
        point, low, high = scores.stacked
        sound = np.isfinite(scores.stacked).all(axis=0) & (point > 0) & (point < 1)
        sound &= (low >= 0) & (low <= point) & (point <= high) & (high <= 1)
        for outcome in spec.outcomes.outcomes:
            if outcome.within is not None and outcome.within != outcome.given:
                part, whole = (scores.names.index(name) for name in (outcome.name, outcome.within))
                sound[:, part] &= point[:, part] <= point[:, whole] + _ROUNDING
        states: Any = np.stack(list(scores.states.values()))
        coherent = (np.abs(states.sum(axis=0) - 1) <= _ROUNDING) & (states >= -_ROUNDING).all(axis=0)
        faults += int((~sound).sum() + (~coherent).sum())
        asked += sound.size + coherent.size
    if faults:
        raise BundleRefused("smoke", f"{faults} of {asked} trial predictions of the model are not sound")

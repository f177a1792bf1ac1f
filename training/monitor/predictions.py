"""What a model predicts for patients, each under the regimen started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features import Patients, Regimen
from training.bundle import Scores

Array = NDArray[np.float64]


class Scorer(Protocol):
    """A bundle, or its engine."""

    def score(self, patients: Patients, regimens: Sequence[Regimen], intervals: bool = True) -> Scores:
        """Score every patient under every regimen."""
        ...


def predicted(model: Scorer, patients: Patients, regimens: Sequence[Regimen]) -> dict[str, Array]:
    """P(outcome | given) by outcome, shape (n,), of each patient under the regimen of the same position."""
    alike: dict[tuple[str, str, int], list[int]] = {}
    for position, regimen in enumerate(regimens):
        alike.setdefault((*regimen.key, regimen.planned_cycles), []).append(position)
    found = {name: np.full(patients.n, np.nan) for name in patients.spec.outcomes.names}
    for positions in alike.values():
        rows = np.array(positions)
        scores = model.score(patients.take(rows), [regimens[positions[0]]], intervals=False)
        for name, chance in scores.probability.items():
            found[name][rows] = chance[:, 0]
    return found

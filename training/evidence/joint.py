"""Joint observations: numbers of one posterior, told to the fit of patients with the doubt that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evidence.observation import Observation

Array = NDArray[np.float64]
# Judgement: log odds by which averages over patients need not follow a sum of effects of arms. An effect on surgery of
# 0.8 is one of about 0.65 on R0 when the same shares of the resected are R0, because the outcomes are a chain.
MISFIT = 0.1


@dataclass(frozen=True)
class Joint:
    """Observations with a common covariance.

    Attributes
    ----------
    observations
        Each with its own value; their standard deviations are not read.
    covariance, before
        Posterior and prior covariance (m, m), log odds.
    pull
        How far each count of the arms pulls each observation, times the count's sampling error, shape (m, n).
    sources
        Study and basis of each count.
    """

    observations: tuple[Observation, ...]
    covariance: Array
    before: Array
    pull: Array
    sources: tuple[tuple[str, str], ...]

    @property
    def whitening(self) -> Array:
        """Matrix (m, m) that turns errors into independent ones of unit variance."""
        noisy = self.covariance + MISFIT**2 * np.eye(len(self.covariance))
        return np.asarray(np.linalg.inv(np.linalg.cholesky(noisy)))

    def only(self, outcomes: Mapping[str, str], more: float = 0.0) -> Joint:
        """The part that speaks to some outcomes, renamed, with independent variance added to each observation."""
        place = [i for i, o in enumerate(self.observations) if o.outcome in outcomes]
        kept = tuple(
            Observation(o.name, outcomes[o.outcome], o.exposed, o.control, o.value, o.sd, o.basis, o.studies)
            for o in (self.observations[i] for i in place)
        )
        extra = more**2 * np.eye(len(place))
        cut = np.ix_(place, place)
        return Joint(kept, self.covariance[cut] + extra, self.before[cut] + extra, self.pull[place], self.sources)

    def shares(self, direction: Array) -> dict[tuple[str, str], float]:
        """Where a sum of the observations comes from: shares by (basis, study) that add to 1.

        What the counts left of the variance is owed to beliefs; the rest is divided by how far each count pulls.
        """
        left = float(direction @ self.covariance @ direction) / max(float(direction @ self.before @ direction), 1e-12)
        left = min(max(left, 0.0), 1.0)
        pull = (direction @ self.pull) ** 2
        total = float(pull.sum()) or 1.0
        found = {("judgement", ""): left}
        for (study, basis), part in zip(self.sources, pull, strict=True):
            found[basis, study] = found.get((basis, study), 0.0) + (1 - left) * float(part) / total
        return found

"""What the registry lacks: cells that were never filled in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features import Specification
from features.field import Frozen
from training.simulator.shape import Column
from training.simulator.untested import at_rate


class Suspected(Frozen):
    """A finding that is reported more often when it is there: the odds of a report are multiplied."""

    field: str
    outcome: str
    odds_ratio: float


class Missingness(Frozen):
    """How cells go blank.

    Attributes
    ----------
    site_sd, per_year
        Differences between sites and years in the log-odds of a blank.
    percent
        Ranges that stand in for a field's expected missingness.
    together
        Fields that go blank as one.
    """

    site_sd: float
    per_year: float
    percent: dict[str, tuple[float, float]] = {}
    together: tuple[tuple[str, ...], ...] = ()
    suspected: Suspected

    def complaints(self, spec: Specification) -> list[str]:
        """Every name that the specification does not know."""
        named = [*self.percent, *(name for group in self.together for name in group), self.suspected.field]
        found = [f"missingness: unknown field {name}" for name in named if name not in spec.fields]
        if self.suspected.outcome not in spec.outcomes.names:
            found.append(f"missingness: unknown outcome {self.suspected.outcome}")
        return found

    def blanks(
        self,
        spec: Specification,
        filled: Mapping[str, NDArray[np.bool_]],
        site: NDArray[np.intp],
        sites: int,
        years: Column,
        found: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> dict[str, NDArray[np.bool_]]:
        """Which filled cells are blanked, by field.

        Parameters
        ----------
        filled
            Where each field has a value.
        found
            Where the suspected finding is there.
        """
        leader = {name: group[0] for group in self.together for name in group}
        # Every field uses its own numbers, drawn in the specification's order whatever the registry holds.
        uniform: dict[str, Column] = {}
        habit: dict[str, Column] = {}
        blank: dict[str, NDArray[np.bool_]] = {}
        for field in spec.registry_fields:
            u, h, place = rng.random(len(site)), rng.standard_normal(sites), rng.random()
            key = leader.get(field.name, field.name)
            uniform.setdefault(key, u)
            habit.setdefault(key, h)
            low, high = self.percent.get(field.name, field.expected_missing)
            if field.required or high <= 0 or field.name not in filled:
                continue
            rate = (low + (0.1 + 0.65 * place) * (high - low)) / 100.0
            shift = self.site_sd * habit[key][site] + self.per_year * years
            if field.name == self.suspected.field:
                shift = shift - np.log(self.suspected.odds_ratio) * found
            rows = filled[field.name]
            chance = np.zeros(len(site))
            chance[rows] = at_rate(rate, shift[rows])
            blank[field.name] = uniform[key] < chance
        return blank

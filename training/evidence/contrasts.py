"""Contrasts: published comparisons, each pooled to one log odds ratio between two averaged groups."""

from __future__ import annotations

import math
from typing import Any

import yaml

from features import DEFAULT_WEEKS, Patients, Specification
from features.field import Frozen
from training.evidence.effect_size import Source, pool
from training.evidence.observation import Observation
from training.evidence.population import Populations, Side, regimen_called
from training.evidence.tables import Table, data_folder

CARRIED_OVER = 0.2  # judgement: sd added when a comparison on one outcome is carried over to a neighbouring one


class Group(Frozen):
    """One side of a contrast: regimens in equal shares, their planned weeks, and fields set for everyone."""

    regimens: tuple[str, ...] = ()
    weeks: float = DEFAULT_WEEKS
    patients: dict[str, Any] = {}


class Contrast(Frozen):
    """One comparison (see contrasts.yaml)."""

    name: str
    outcome: str
    also: tuple[str, ...] = ()
    population: str = "everyone"
    exposed: Group
    control: Group
    sources: tuple[Source, ...]

    @property
    def title(self) -> str:
        """Name and outcome, for messages."""
        return f"contrast {self.name} on {self.outcome}"


class Contrasts(Frozen):
    """All contrasts, and the regimens meant where a contrast names none."""

    usual: tuple[str, ...]
    contrasts: tuple[Contrast, ...]

    def observations(
        self,
        spec: Specification,
        tables: dict[str, Table],
        patients: Patients,
        populations: Populations,
        terms: tuple[str, ...],
    ) -> list[Observation]:
        """Resolve every contrast to a log odds ratio.

        Raises
        ------
        ValueError
            Naming every contrast that cannot be resolved, and why.
        """
        found: list[Observation] = []
        faults: list[str] = []
        for contrast in self.contrasts:
            stray = [o for o in (contrast.outcome, *contrast.also) if o not in spec.outcomes.names]
            if stray or contrast.population not in populations.by_name:
                faults.append(f"{contrast.title}: unknown {', '.join(stray) or contrast.population}")
                continue
            try:
                pooled = pool([s.effect_size(tables) for s in contrast.sources])
                group = populations.cut(patients, contrast.population)
                sides = [
                    Side.encode(
                        group,
                        [regimen_called(spec, text, part.weeks) for text in part.regimens or self.usual],
                        terms,
                        part.patients,
                    )
                    for part in (contrast.exposed, contrast.control)
                ]
            except (LookupError, ValueError) as error:
                faults.append(f"{contrast.title}: {error}")
                continue
            found += [
                Observation(
                    name=contrast.name,
                    outcome=outcome,
                    exposed=sides[0],
                    control=sides[1],
                    value=pooled.value,
                    sd=math.hypot(pooled.sd, 0.0 if outcome == contrast.outcome else CARRIED_OVER),
                    basis=pooled.basis,
                    studies=pooled.studies,
                )
                for outcome in (contrast.outcome, *contrast.also)
            ]
        if faults:
            raise ValueError("\n".join(faults))
        return found


def load_contrasts() -> Contrasts:
    """Read the declared contrasts."""
    return Contrasts.model_validate(yaml.safe_load((data_folder() / "contrasts.yaml").read_text("utf-8")))

"""O:E of the watched outcomes within the declared subgroups: shown, never an alert."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from training.closed_cohort import closed
from training.monitor.material import Material
from validation.monitoring.sequential import LIMITS, limits
from validation.monitoring.thresholds import Thresholds
from validation.subgroups import groups


@dataclass(frozen=True)
class SubgroupPoint:
    """One level of a group; `outside` its 99.8% limits of events."""

    outcome: str
    group: str
    level: str
    patients: int
    observed: int
    expected: float
    within: tuple[int, int]

    @property
    def outside(self) -> bool:
        """Whether the events lie outside their 99.8% limits."""
        return not self.within[0] <= self.observed <= self.within[1]


def subgroup_points(
    material: Material, outcomes: tuple[str, ...], thresholds: Thresholds, since: dt.date | None
) -> tuple[SubgroupPoint, ...]:
    """O:E of every subgroup with enough closed patients (50, DOMAIN 6.1), of the version that answers."""
    cohort = material.cohort
    if cohort is None:
        return ()
    spec = material.spec
    divided = groups(spec, cohort.patients, cohort.regimens, cohort.site)
    over = closed(cohort, material.as_of, spec)
    mine = material.predictions.version[material.position] == material.served
    if since is not None:
        mine &= cohort.index_date >= np.datetime64(since, "D")
    found = []
    for name in outcomes:
        happened = cohort.outcomes[name]
        chance = material.predictions.chance[name][material.position]
        judged = over[name] & mine & ~np.isnan(happened)
        for group, levels in divided.items():
            for level, mask in levels.items():
                rows = judged & mask
                if int(rows.sum()) >= thresholds.inputs.least:
                    found.append(
                        SubgroupPoint(
                            outcome=name,
                            group=group,
                            level=level,
                            patients=int(rows.sum()),
                            observed=int(happened[rows].sum()),
                            expected=float(chance[rows].sum()),
                            within=limits(chance[rows], LIMITS[1]),
                        )
                    )
    return tuple(found)

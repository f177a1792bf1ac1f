"""Support: how many comparable real patients in the training registry had a regimen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features import Patients, Regimen, Specification
from features.field import Frozen

Level = Literal["none", "limited", "good"]
SHOWN = 5  # DOMAIN 3.2: cells below 5 are suppressed, so that no patient can be singled out
GOOD = 20  # DOMAIN 2.4: fewer than 20 similar patients is low support


class RegimenCount(Frozen):
    """Real patients of one stratum (see `Encoding.strata`) who started a regimen."""

    backbone: str
    biologic: str
    stratum: tuple[int, ...]
    patients: int


class Support(Frozen):
    """Counts by regimen and stratum. Empty when the model rests on evidence alone or on invented patients."""

    counts: tuple[RegimenCount, ...] = ()

    @classmethod
    def of(cls, spec: Specification, patients: Patients, regimens: Sequence[Regimen]) -> Support:
        """Count real patients under the regimens they received."""
        strata = map(tuple, spec.encoding.strata(patients).tolist())
        found = Counter((*r.key, s) for r, s in zip(regimens, strata, strict=True))
        return cls(
            counts=tuple(
                RegimenCount(backbone=b, biologic=a, stratum=s, patients=n) for (b, a, s), n in sorted(found.items())
            )
        )

    def comparable(self, stratum: NDArray[np.int64], regimen: tuple[str, str]) -> int:
        """Patients on a regimen (`Regimen.key`) who agree on all that is known of the patient; 0 when under 5."""
        found = self._by_regimen.get(regimen)
        if found is None:
            return 0
        strata, patients = found
        known = stratum >= 0
        agreeing = int(patients[(strata[:, known] == stratum[known]).all(axis=1)].sum())
        return agreeing if agreeing >= SHOWN else 0

    @cached_property
    def _by_regimen(self) -> dict[tuple[str, str], tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Strata and their patients, shapes (k, thresholds) and (k,), by regimen."""
        keys = {(c.backbone, c.biologic) for c in self.counts}
        own = {key: [c for c in self.counts if (c.backbone, c.biologic) == key] for key in keys}
        return {
            key: (np.array([c.stratum for c in some]), np.array([c.patients for c in some]))
            for key, some in own.items()
        }


def level(patients: int) -> Level:
    """``none`` below 5 comparable patients, ``limited`` below 20, else ``good``."""
    return "none" if patients < SHOWN else "limited" if patients < GOOD else "good"

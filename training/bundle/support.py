"""Support: how many real patients in the training registry had a regimen."""

from __future__ import annotations

from typing import Literal

from features import Regimen
from features.field import Frozen

Level = Literal["none", "limited", "good"]
LIMITED = 20  # DOMAIN 2.4: fewer than 20 effective similar patients is low support
GOOD = 100


class RegimenCount(Frozen):
    """Real patients who started a regimen."""

    backbone: str
    biologic: str
    patients: int


class Support(Frozen):
    """Counts by regimen. Empty when the model rests on evidence alone or on invented patients."""

    counts: tuple[RegimenCount, ...] = ()

    def patients(self, regimen: Regimen) -> int:
        """Real patients who started this backbone with this biologic."""
        return sum(c.patients for c in self.counts if (c.backbone, c.biologic) == regimen.key)

    def level(self, regimen: Regimen) -> Level:
        """``none`` below 20 patients, ``limited`` below 100, else ``good``."""
        patients = self.patients(regimen)
        return "none" if patients < LIMITED else "limited" if patients < GOOD else "good"

"""Arm effects: what the meta-regression found, committed as data with the digest of its inputs."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator

from features.field import Frozen
from training.evidence.meta_regression import MetaRegression
from training.evidence.tables import data_folder

COMMITTED = "arm_effects.json"


class ArmEffects(Frozen):
    """Posterior of the meta-regression of arms.

    Attributes
    ----------
    evidence_digest
        SHA-256 over the input files.
    counts
        Rates that the fit rests on.
    hyper
        Slope of surgery on response, and standard deviations between studies and arms (log odds).
    names
        Levels, then what each covariate and effect adds to response, then to surgery: there a regimen's part is on top
        of the slope times its part in response.
    mean, covariance
        Of the parameters in that order, log odds.
    """

    evidence_digest: str
    counts: int
    hyper: dict[str, float]
    names: tuple[str, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]

    @model_validator(mode="after")
    def _square(self) -> Self:
        size = len(self.names)
        if len(self.mean) != size or np.array(self.covariance).shape != (size, size):
            raise ValueError(f"{size} names need as many means and a covariance of that size")
        return self

    @classmethod
    def of(cls, fit: MetaRegression, digest: str) -> Self:
        """Put a fit down: levels, then parts in response, then parts in surgery; deviations are left out."""
        design = fit.design
        names = [f"level of {k}" for k in design.kinds]
        names += [f"{c.name}: {part}" for part in ("response", "surgery") for c in design.columns]
        mean, covariance = fit.parameters()
        n = len(names)
        return cls(
            evidence_digest=digest,
            counts=len(fit.counts),
            hyper={name: round(value, 5) for name, value in fit.named.items()},
            names=tuple(names),
            mean=tuple(np.round(mean[:n], 5).tolist()),
            covariance=tuple(map(tuple, np.round(covariance[:n, :n], 6).tolist())),
        )


def load_arm_effects() -> ArmEffects:
    """Read the committed posterior."""
    return ArmEffects.model_validate_json((data_folder() / COMMITTED).read_bytes())

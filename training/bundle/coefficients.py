"""What the evidence says, as data: effects on each outcome with their covariance, and the case mix."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator

from features.field import Frozen
from training.bundle.case_mix import CaseMix


class Coefficient(Frozen):
    """One effect: its size on the log-odds scale and where it comes from.

    Attributes
    ----------
    mean, sd
        Log odds ratio per unit of the term (for the intercept, the log-odds of the reference patient).
    studies
        Identifiers of the published rows it rests on; empty when it is elicited judgement.
    basis
        ``published``, ``unverified`` (rests mainly on rows not re-read at the source) or ``judgement``.
    """

    term: str
    mean: float
    sd: float
    studies: tuple[str, ...] = ()
    basis: str
    note: str = ""


class OutcomePrior(Frozen):
    """Coefficients of one outcome given its parent in the tree, with their covariance."""

    outcome: str
    coefficients: tuple[Coefficient, ...]
    covariance: tuple[tuple[float, ...], ...]

    @model_validator(mode="after")
    def _square(self) -> Self:
        size = len(self.coefficients)
        matrix = np.array(self.covariance, dtype=float)
        if matrix.shape != (size, size):
            raise ValueError(f"prior of {self.outcome}: the covariance must be {size} by {size}")
        if size and (not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix).min() < -1e-9):
            raise ValueError(f"prior of {self.outcome}: the covariance is not symmetric and non-negative")
        return self


class PriorParameters(Frozen):
    """Everything the evidence says, as data."""

    format: int = 1
    evidence_digest: str
    outcomes: tuple[OutcomePrior, ...]
    case_mix: CaseMix

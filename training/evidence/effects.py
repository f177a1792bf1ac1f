"""The effect table of the committed prior, or of another one in its format."""

from __future__ import annotations

from features import Specification
from training.bundle import PriorParameters
from training.bundle.effect import EffectRow, describe, effect_rows
from training.evidence.committed import load_parameters

__all__ = ["EffectRow", "describe", "effect_table"]


def effect_table(spec: Specification, parameters: PriorParameters | None = None) -> list[EffectRow]:
    """List every effect, outcomes and terms in the order of the specification.

    Parameters
    ----------
    parameters
        Those of a bundle; None reads the committed ones.
    """
    return effect_rows(parameters or load_parameters(), spec)

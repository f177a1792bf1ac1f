"""What published studies say of every outcome under every regimen, as a prior with its sources."""

from training.evidence.committed import load_parameters, load_prior
from training.evidence.effects import EffectRow, effect_table

__all__ = ["EffectRow", "effect_table", "load_parameters", "load_prior"]

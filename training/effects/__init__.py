"""Contrasts between regimens in a registry, adjusted for what decided the choice, beside models and evidence."""

from training.effects.audit import audit
from training.effects.result import ContrastFigures, OutcomeContrast, RegimenEffects, SelectionCurve

__all__ = ["ContrastFigures", "OutcomeContrast", "RegimenEffects", "SelectionCurve", "audit"]

"""What an audit of regimen effects finds."""

from __future__ import annotations

from features.field import Frozen
from validation.aipw import Estimate
from validation.e_value import EValue
from validation.evaluation import DecisionCurve
from validation.overlap import Overlap


class OutcomeContrast(Frozen):
    """One contrast on one outcome: differences in the chance of it, first arm minus second, with 95% intervals.

    Attributes
    ----------
    events_first, events_second, recorded_first, recorded_second
        Events, and patients whose outcome is recorded, in each arm as received.
    lost
        Share of patients whose outcome is not known because they were not followed so far.
    crude
        Without any adjustment.
    aipw
        Among patients with overlap; `first_mean` and `second_mean` are the chances under either arm.
    overlap_weighted
        Among patients in either arm, weighted by how open the choice was: the stable summary.
    g_computation
        The served model's, over a sample of the patients of `aipw`; None value when no model was given.
    evidence
        That of published evidence, the same patients; mostly randomised trials.
    e_value
        For headline outcomes.
    beside_evidence
        How the registry and the evidence compare, in words.
    """

    outcome: str
    label: str
    headline: bool
    events_first: int
    events_second: int
    recorded_first: int
    recorded_second: int
    lost: float
    crude: Estimate
    aipw: Estimate
    first_mean: Estimate
    second_mean: Estimate
    overlap_weighted: Estimate
    g_computation: Estimate
    evidence: Estimate
    e_value: EValue | None
    beside_evidence: str


class ContrastFigures(Frozen):
    """One contrast on every outcome.

    Attributes
    ----------
    among
        To whom it applies, in words.
    estimand, overlap_estimand
        What `aipw` and `overlap_weighted` estimate, in words.
    grouped
        Components too rare for a propensity of their own, in words.
    not_estimated
        What no registry can say of this contrast, and why.
    """

    name: str
    label: str
    first: str
    second: str
    among: str
    estimand: str
    overlap_estimand: str
    overlap: Overlap
    grouped: tuple[str, ...]
    not_estimated: str | None
    outcomes: tuple[OutcomeContrast, ...]


class SelectionCurve(DecisionCurve):
    """Net benefit of choosing the first arm of a contrast for those whose predicted gain exceeds a threshold.

    Attributes
    ----------
    treat_share
        Share of patients who would be chosen at each threshold.
    patients
        Patients with overlap that it was estimated from.
    """

    contrast: str
    outcome: str
    treat_share: tuple[float, ...]
    patients: int


class RegimenEffects(Frozen):
    """Every contrast between regimens that a registry can speak of.

    Attributes
    ----------
    estimand
        The trial that the contrasts emulate, in words.
    selection
        None when its contrast cannot be estimated.
    warnings
        What a reader must know before believing the figures.
    """

    patients: int
    estimand: str
    contrasts: tuple[ContrastFigures, ...]
    selection: SelectionCurve | None
    warnings: tuple[str, ...] = ()

    def contrast(self, name: str) -> ContrastFigures:
        """One contrast.

        Raises
        ------
        KeyError
            Naming the contrasts there are.
        """
        for contrast in self.contrasts:
            if contrast.name == name:
                return contrast
        raise KeyError(f"{name} was not contrasted; {', '.join(c.name for c in self.contrasts)} were")

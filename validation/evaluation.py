"""What is found when models are judged on patients they never saw; every report, gate and comparison reads this."""

from __future__ import annotations

from typing import Literal

from features.field import Frozen

Kind = Literal["candidate", "champion", "baseline"]


class Figure(Frozen):
    """A figure with the bounds of its 95% interval, or None with the reason; None never passes a gate."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


class CalibrationCurve(Frozen):
    """Smoothed observed frequency over predicted probability, with a pointwise 95% band; all of one length."""

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class DecisionCurve(Frozen):
    """Net benefit over the sensible thresholds of one decision, in events per patient; all of one length.

    Attributes
    ----------
    decision
        What is decided at these thresholds, in words.
    treat_all
        Net benefit of acting on everyone; acting on no one has none.
    harm
        What acting accepts at the lowest, the middle and the highest threshold, in words.
    """

    decision: str
    thresholds: tuple[float, ...]
    net_benefit: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    treat_all: tuple[float, ...]
    harm: tuple[str, ...] = ()


class Cell(Frozen):
    """One subgroup under one model.

    Attributes
    ----------
    patients, events
        None where so few could be recognised, or be worked out from the other levels of the group.
    suppressed
        Why there are no figures (too few patients to show, or to judge); None when there are.
    """

    group: str
    level: str
    patients: int | None
    events: int | None
    metrics: dict[str, Figure]
    suppressed: str | None = None


class Judged(Frozen):
    """One model on one outcome."""

    outcome: str
    patients: int
    events: int
    metrics: dict[str, Figure]
    calibration: CalibrationCurve | None = None
    decision: DecisionCurve | None = None
    cells: tuple[Cell, ...] = ()


class ModelFigures(Frozen):
    """One model on every outcome it answers.

    Attributes
    ----------
    name
        A learner's name, ``champion``, or the name of a baseline.
    """

    name: str
    kind: Kind
    outcomes: dict[str, Judged]


class Difference(Frozen):
    """A metric of one model minus that of another on the same patients, with a paired interval.

    Attributes
    ----------
    group, level
        The subgroup in which they are compared; None among all.
    """

    model: str
    against: str
    outcome: str
    metric: str
    figure: Figure
    group: str | None = None
    level: str | None = None


class Evaluation(Frozen):
    """Every model on the same held-out patients.

    Attributes
    ----------
    rows
        Which patients these were and how they were held out, in words.
    warnings
        What a reader must know before believing the figures.
    """

    rows: str
    patients: int
    models: tuple[ModelFigures, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...] = ()

    def model(self, name: str) -> ModelFigures:
        """One model's figures.

        Raises
        ------
        KeyError
            Naming the models there are.
        """
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(f"{name} was not judged; {', '.join(m.name for m in self.models)} were")

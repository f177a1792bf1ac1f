"""A panel: several models' predictions of the same patients, none of whom a model saw, and its evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features import Specification
from validation.decision import Decision, load_decisions
from validation.discrimination import LEAKAGE_AUROC
from validation.evaluation import Cell, Difference, Evaluation, Judged, Kind, ModelFigures
from validation.flexible_calibration import MIN_CURVE_EVENTS, SUMMARIES
from validation.measured import COMPARED, Measured, measure
from validation.resampling import Resamples, paired
from validation.subgroup_figures import judge_cells

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

REGIMEN = "Regimen"  # the group under which calibration within regimen is reported


class PanelError(ValueError):
    """The parts of a panel do not belong together; the message names each one."""


@dataclass(frozen=True)
class Panel:
    """Held-out predictions of n patients.

    Attributes
    ----------
    outcomes
        1, 0 or NaN by outcome, each of shape (n,).
    rows
        Patients on whom P(outcome | given) is judged by outcome, each of shape (n,): the given event happened and the
        outcome is recorded.
    predictions
        P(outcome | given) by model and outcome, each of shape (n,); NaN where a model has no answer. A model may lack
        an outcome.
    kinds
        What each model is.
    groups
        Who belongs to each level of each subgroup, each of shape (n,); who is in no level is not known.
    regimens
        Who received each regimen or class of regimens, each of shape (n,).
    cluster
        Site of each patient, shape (n,).
    how
        How patients were held out, in words.
    """

    outcomes: Mapping[str, Array]
    rows: Mapping[str, Mask]
    predictions: Mapping[str, Mapping[str, Array]]
    kinds: Mapping[str, Kind]
    cluster: NDArray[np.generic]
    how: str
    groups: Mapping[str, Mapping[str, Mask]] = field(default_factory=dict)
    regimens: Mapping[str, Mask] = field(default_factory=dict)

    @property
    def patients(self) -> int:
        """Number of patients, n."""
        return len(self.cluster)

    def check(self, spec: Specification, against: Sequence[str]) -> None:
        """Hold the parts to each other and to the specification.

        Raises
        ------
        PanelError
            Naming everything that does not fit.
        """
        wrong = [
            f"{what}: has shape {np.shape(part)}; one entry for each of {self.patients} patients is needed"
            for what, part in self._parts()
            if np.shape(part) != (self.patients,)
        ]
        known = set(spec.outcomes.names)
        wrong += [f"outcome {name}: not in the specification" for name in sorted(set(self.outcomes) - known)]
        wrong += [f"outcome {name}: rows say nothing of it" for name in sorted(set(self.outcomes) - set(self.rows))]
        for model, answers in self.predictions.items():
            if model not in self.kinds:
                wrong.append(f"model {model}: kinds do not say what it is")
            for name, p in answers.items():
                if name not in self.outcomes:
                    wrong.append(f"model {model}: predicts {name}, which the panel has no outcomes of")
                finite = p[np.isfinite(p)]
                if finite.size and (finite.min() < 0 or finite.max() > 1):
                    wrong.append(f"model {model}, {name}: predictions must be probabilities from 0 to 1")
        wrong += [f"compared against {name}: no such model" for name in against if name not in self.predictions]
        if wrong:
            raise PanelError("; ".join(wrong))

    def _parts(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        for name, y in self.outcomes.items():
            yield f"outcome {name}", y
        for name, mask in self.rows.items():
            yield f"rows of {name}", mask
        for model, answers in self.predictions.items():
            for name, p in answers.items():
                yield f"model {model}, {name}", p
        for group, levels in {**self.groups, REGIMEN: self.regimens}.items():
            for level, mask in levels.items():
                yield f"{group} {level}", mask


def evaluate(
    panel: Panel,
    spec: Specification,
    against: Sequence[str] = (),
    replicates: int = 200,
    seed: int = 0,
    tick: Callable[[str], None] = lambda outcome: None,
) -> Evaluation:
    """Judge every model of a panel on every outcome, with intervals, subgroups and paired differences.

    Whole sites are resampled where the patients judged come from ten or more, patients otherwise.

    Parameters
    ----------
    against
        Models that every other model is compared against, on the patients that both answer.
    replicates
        Bootstrap resamples.
    tick
        Called with the outcome's name after each outcome, for progress.

    Raises
    ------
    PanelError
        Naming every part of the panel that does not fit the others.
    """
    panel.check(spec, against)
    decisions = load_decisions(spec)
    resamples = Resamples.draw(panel.cluster, replicates, seed)
    judged: dict[str, dict[str, Judged]] = {model: {} for model in panel.predictions}
    differences: list[Difference] = []
    warnings: list[str] = []
    for outcome in spec.outcomes.names:
        if outcome not in panel.outcomes:
            continue
        found = _Outcome.of(panel, outcome, resamples, decisions.on(outcome))
        pairs = [(m, a) for a in against for m in found.predictions if m != a and a in found.predictions]
        cells, within = found.cells(panel, pairs)
        for model in found.predictions:
            judged[model][outcome] = found.judge(model, cells[model])
        differences += [d for pair in pairs for d in found.compare(*pair)]
        differences += within
        warnings += found.warnings(spec)
        tick(outcome)
    return Evaluation(
        rows=f"{panel.how}; {resamples.words}",
        patients=panel.patients,
        models=tuple(ModelFigures(name=m, kind=panel.kinds[m], outcomes=judged[m]) for m in panel.predictions),
        differences=tuple(differences),
        warnings=tuple(warnings),
    )


@dataclass(frozen=True)
class _Outcome:
    """One outcome's patients, and every model on those of them that it answers."""

    name: str
    rows: NDArray[np.intp]
    y: Array
    predictions: Mapping[str, Array]
    measured: Mapping[str, Measured]
    resamples: Resamples
    decision: Decision | None

    @classmethod
    def of(cls, panel: Panel, name: str, resamples: Resamples, decision: Decision | None) -> _Outcome:
        y = panel.outcomes[name]
        rows = np.flatnonzero(panel.rows[name] & np.isfinite(y))
        predictions = {m: answers[name][rows] for m, answers in panel.predictions.items() if name in answers}
        weights = resamples.weights(rows)
        measured = {}
        for model, p in predictions.items():
            kept = np.isfinite(p)
            drawn = weights if kept.all() else resamples.weights(rows[kept])
            measured[model] = measure(y[rows][kept], p[kept], drawn, decision)
        return cls(name, rows, y[rows], predictions, measured, resamples, decision)

    def cells(
        self, panel: Panel, pairs: Sequence[tuple[str, str]]
    ) -> tuple[dict[str, tuple[Cell, ...]], tuple[Difference, ...]]:
        groups = {**panel.groups, **({REGIMEN: panel.regimens} if panel.regimens else {})}
        return judge_cells(self.y, self.rows, self.predictions, groups, self.resamples, pairs, self.name)

    def judge(self, model: str, cells: tuple[Cell, ...]) -> Judged:
        kept, found = np.isfinite(self.predictions[model]), self.measured[model]
        return Judged(
            outcome=self.name,
            patients=int(kept.sum()),
            events=int(self.y[kept].sum()),
            metrics=found.figures(),
            calibration=found.calibration,
            decision=found.decision,
            cells=cells,
        )

    def compare(self, model: str, against: str) -> Iterator[Difference]:
        mine, theirs = self._on_the_same(model, against)
        for metric in COMPARED:
            if metric in mine.points and metric in theirs.points:
                replicates = (mine.replicates.get(metric), theirs.replicates.get(metric))
                figure = paired(mine.points[metric], theirs.points[metric], replicates, smoothed=metric in SUMMARIES)
                yield Difference(model=model, against=against, outcome=self.name, metric=metric, figure=figure)

    def _on_the_same(self, model: str, against: str) -> tuple[Measured, Measured]:
        mine, theirs = np.isfinite(self.predictions[model]), np.isfinite(self.predictions[against])
        if (mine == theirs).all():
            return self.measured[model], self.measured[against]
        both = mine & theirs
        weights = self.resamples.weights(self.rows[both])
        one, other = (
            measure(self.y[both], self.predictions[m][both], weights, self.decision) for m in (model, against)
        )
        return one, other

    def warnings(self, spec: Specification) -> Iterator[str]:
        label = spec.outcomes[self.name].label
        for model, p in self.predictions.items():
            area = self.measured[model].points["auroc"].value
            if area is not None and area > LEAKAGE_AUROC:
                yield (
                    f"{label}: {model} has an AUROC of {area:.2f}. Above {LEAKAGE_AUROC} look for leakage: a field "
                    "known only later, or filled in by those who knew the outcome"
                )
            missing = int((~np.isfinite(p)).sum())
            if missing:
                yield (
                    f"{label}: {model} answers {len(p) - missing} of {len(p)} patients, the others lack its inputs; "
                    "its figures are on those it answers, differences on those that both answer"
                )
        events = int(self.y.sum())
        if min(events, len(self.y) - events) < MIN_CURVE_EVENTS:
            yield (
                f"{label}: {events} events among {len(self.y)} patients; a calibration curve needs "
                f"{MIN_CURVE_EVENTS} with the event and without"
            )

"""Performance in sentences, for a reporting record."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from training.tripod.facts import TripodFacts
from validation.evaluation import Cell, Figure, ModelFigures

_SHOWN = {
    "auroc": "AUROC",
    "scaled_brier": "scaled Brier",
    "calibration_intercept": "calibration intercept",
    "calibration_slope": "calibration slope",
    "observed_to_expected": "O:E",
}
_IN_GROUPS = {"observed_to_expected": "O:E", "auroc": "AUROC"}


def measures(f: TripodFacts) -> str | None:
    """Which figures were computed, and which pictures."""
    model = _model(f)
    if model is None:
        return None
    names = dict.fromkeys(name for judged in model.outcomes.values() for name in judged.metrics)
    curves = [
        what
        for what, there in (
            ("flexible calibration curves", any(j.calibration is not None for j in model.outcomes.values())),
            ("decision curves", any(j.decision is not None for j in model.outcomes.values())),
        )
        if there
    ]
    beside = [m.name for m in (f.evaluation.models if f.evaluation is not None else ()) if m.name != model.name]
    against = f" Judged beside {', '.join(beside)} on the same patients." if beside else ""
    return f"{', '.join([*names, *curves])}, with 95% intervals.{against}"


def discrimination(f: TripodFacts, headline: bool = False) -> str | None:
    """Held-out figures of every outcome with their intervals; of the headline outcomes only AUROC and O:E."""
    model = _model(f)
    if model is None:
        return None
    shown = _IN_GROUPS if headline else _SHOWN
    outcomes = {n: j for n, j in model.outcomes.items() if not headline or n in f.headline}
    each = [
        f"{f.label(name)} ({judged.events:,} of {judged.patients:,}): {_figures(judged.metrics, shown)}"
        for name, judged in outcomes.items()
    ]
    return f"Held out, {'; '.join(each)}." if each else None


def by_group(f: TripodFacts) -> str | None:
    """Headline outcomes in each subgroup but the sites."""
    return _cells(f, lambda cell: cell.group != f.site_group)


def by_site(f: TripodFacts) -> str | None:
    """Headline outcomes in each site."""
    return _cells(f, lambda cell: cell.group == f.site_group)


def development_and_evaluation(f: TripodFacts) -> str | None:
    """How the patients on whom the model is judged differ from those who taught it."""
    if f.evaluation is None:
        return None
    return f"Judged on {f.evaluation.patients:,} patients: {f.evaluation.rows.rstrip('.')}."


def _model(f: TripodFacts) -> ModelFigures | None:
    if f.evaluation is None or f.learner is None:
        return None
    return next((m for m in f.evaluation.models if m.name == f.learner and m.kind == "candidate"), None)


def _cells(f: TripodFacts, wanted: Callable[[Cell], bool]) -> str | None:
    model = _model(f)
    if model is None:
        return None
    each = [
        f"{f.label(name)} in {cell.group.lower()} {cell.level}: {cell.suppressed or _figures(cell.metrics, _IN_GROUPS)}"
        for name in f.headline
        if name in model.outcomes
        for cell in model.outcomes[name].cells
        if wanted(cell)
    ]
    return f"{'; '.join(each)}." if each else None


def _figures(metrics: Mapping[str, Figure], shown: Mapping[str, str]) -> str:
    return ", ".join(f"{label} {_figure(metrics[name])}" for name, label in shown.items() if name in metrics)


def _figure(figure: Figure) -> str:
    if figure.value is None:
        return f"not computed ({figure.reason})"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"

"""Judging: candidates, champion and baselines on the same patients, none of whom the candidates saw."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import Specification
from training.baselines import Baselines, baselines
from training.champion import Champion, predict, seen
from training.closed_cohort import newest, taught_until
from training.crossfit import Assessed
from training.encoded import Encoded
from training.registry.cohort import Cohort
from training.store import CHAMPION
from validation.evaluation import Evaluation, Kind
from validation.panel import REGIMEN, Panel, evaluate
from validation.subgroups import groups

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_HELD_OUT = {
    "site": "whole hospitals held out",
    "time": "whole calendar periods held out",
    "random": "patients held out at random",
}


@dataclass(frozen=True)
class Judgement:
    """How every model did.

    Attributes
    ----------
    evaluation
        On every closed patient: what reports and comparisons show.
    deciding
        On the newest closed patients, whom the champion has not learned from where there are enough: what gates read.
    champion
        Which model was the champion.
    newest
        Patients of `deciding` for the primary outcome, shape (n,).
    notes
        Sentences on the baselines and on whom the champion has seen.
    """

    evaluation: Evaluation
    deciding: Evaluation
    champion: Champion
    newest: Mask
    notes: tuple[str, ...]


def judge(
    assessed: Sequence[Assessed],
    encoded: Encoded,
    cohort: Cohort,
    fold: NDArray[np.int64],
    split: str,
    champion: Champion,
    as_of: dt.date,
    tick: Callable[[str], None] = lambda outcome: None,
) -> Judgement:
    """Judge candidates beside the champion and the baselines.

    Parameters
    ----------
    fold, split
        How the candidates' predictions were held out.
    as_of
        See `training.closed_cohort.newest_date`.
    """
    beside = baselines(encoded, cohort, fold)
    predictions: dict[str, Mapping[str, Array]] = {a.learner: a.held_out for a in assessed}
    kinds: dict[str, Kind] = dict.fromkeys(predictions, "candidate")
    predictions[CHAMPION], kinds[CHAMPION] = predict(champion.bundle, cohort).probability, "champion"
    for name in beside.predicted:
        predictions[name], kinds[name] = beside.predicted[name], "baseline"
    how = f"{encoded.n:,} patients, {_HELD_OUT[split]}"
    rows = {name: encoded.reported(name) for name in encoded.spec.outcomes.names}
    evaluation = evaluate(_panel(cohort, rows, predictions, kinds, how), cohort.spec, (CHAMPION,), tick=tick)
    answering = {name: p for name, p in predictions.items() if kinds[name] != "baseline"}
    deciding, rows_now = judge_newest(answering, kinds, cohort, rows, champion, as_of, _HELD_OUT[split])
    return Judgement(evaluation, deciding, champion, rows_now, _notes(beside, champion, cohort))


def judge_newest(
    predictions: Mapping[str, Mapping[str, Array]],
    kinds: Mapping[str, Kind],
    cohort: Cohort,
    rows: Mapping[str, Mask],
    champion: Champion,
    as_of: dt.date,
    how: str,
) -> tuple[Evaluation, Mask]:
    """Judge models on the newest closed patients of each outcome.

    Returns
    -------
    Evaluation, (n,) array
        And which patients these are for the first outcome that is headline.
    """
    spec = cohort.spec
    latest = newest(cohort, taught_until(champion.bundle.manifest, spec), as_of, spec)
    primary = next(o.name for o in spec.outcomes.outcomes if o.headline)
    kept = {name: rows[name] & latest[name].rows for name in rows}
    panel = _panel(cohort, kept, predictions, kinds, f"Newest closed patients, {how}: {latest[primary].text}")
    return evaluate(panel, spec, (CHAMPION,)), latest[primary].rows


def reported_rows(cohort: Cohort, spec: Specification) -> dict[str, Mask]:
    """Patients on whom P(outcome | given) is judged, by outcome, each of shape (n,)."""
    found = {}
    for outcome in spec.outcomes.outcomes:
        known = ~np.isnan(cohort.outcomes[outcome.name])
        found[outcome.name] = known if outcome.given is None else known & (cohort.outcomes[outcome.given] == 1)
    return found


def _panel(
    cohort: Cohort,
    rows: Mapping[str, Mask],
    predictions: Mapping[str, Mapping[str, Array]],
    kinds: Mapping[str, Kind],
    how: str,
) -> Panel:
    declared = dict(groups(cohort.spec, cohort.patients, cohort.regimens, cohort.site))
    regimens = declared.pop(REGIMEN, {})
    return Panel(
        outcomes=cohort.outcomes,
        rows=rows,
        predictions=predictions,
        kinds={name: kinds[name] for name in predictions},
        cluster=cohort.site,
        how=how,
        groups=declared,
        regimens=regimens,
    )


def _notes(beside: Baselines, champion: Champion, cohort: Cohort) -> tuple[str, ...]:
    return (seen(champion.bundle.manifest, cohort), *beside.notes)

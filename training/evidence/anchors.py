"""Anchors: published rates that set the level, so that averages over the case mix return them.

Only studies of the service's population are anchors: liver-limited, initially unresectable, with surgery assessed.
Trials in unselected disease, where an operation happened by the way, speak to regimen contrasts alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from features import INTERCEPT, Patients, Specification
from training.bundle import Prior, PriorParameters
from training.bundle.coefficients import OutcomePrior
from training.evidence.effect_size import RECALLED
from training.evidence.observation import Observation
from training.evidence.population import Populations, Side, regimen_called
from training.evidence.tables import Table

Array = NDArray[np.float64]
_NORMAL_95 = 1.959964


def anchor_observations(
    spec: Specification, table: Table, patients: Patients, populations: Populations, terms: tuple[str, ...]
) -> list[Observation]:
    """Read every anchor as an observed log-odds with its sampling error.

    Raises
    ------
    ValueError
        Naming every row that does not fit the specification or is not a rate inside its interval.
    """
    found: list[Observation] = []
    faults: list[str] = []
    for number, row in enumerate(table.rows, start=2):
        outcome, population = str(row["outcome"]), str(row["population"])
        rate, low, high = (float(row[c] or 0) / 100 for c in ("rate", "low", "high"))
        try:
            if outcome not in spec.outcomes.names:
                raise ValueError(f"unknown outcome {outcome}")
            if population not in populations.by_name:
                raise ValueError(f"unknown population {population}")
            if not 0 < low < rate < high < 1:
                raise ValueError("the rate does not lie inside its interval")
            regimens = [
                regimen_called(spec, text, float(row["weeks"] or 0)) for text in str(row["regimens"]).split(";")
            ]
        except ValueError as error:
            faults.append(f"{table.name}, row {number}: {error}")
            continue
        sd = float(logit(high) - logit(low)) / (2 * _NORMAL_95)
        basis = str(row["basis"])
        found.append(
            Observation(
                name=str(row["note"]),
                outcome=outcome,
                exposed=Side.encode(populations.cut(patients, population), regimens, terms, {}),
                control=None,
                value=float(logit(rate)),
                sd=sd * RECALLED if basis == "unverified" else sd,
                basis=basis,
                studies=tuple(str(row["studies"]).split(";")) if row["studies"] else (),
            )
        )
    if faults:
        raise ValueError("\n".join(faults))
    return found


def level_intercepts(
    parameters: PriorParameters, spec: Specification, anchors: list[Observation], patients: Patients
) -> PriorParameters:
    """Shift each intercept so that answers averaged over draws keep the level of the mean coefficients.

    Averaging probabilities over uncertain coefficients pulls them towards one half. The shift is found by root-finding
    over the case mix under the regimens of the outcome's anchors (all regimens when it has none).
    """
    prior = Prior(parameters, spec)
    levelled: list[OutcomePrior] = []
    for part in parameters.outcomes:
        rows = [a.exposed.right for a in anchors if a.outcome == part.outcome]
        left, right = spec.encoding.term_factors(patients, spec.regimens.all(), prior.terms)
        if rows:
            right = np.unique(np.concatenate(rows), axis=0)
        mean = np.zeros(len(prior.terms))
        mean[[prior.terms.index(c.term) for c in part.coefficients]] = [c.mean for c in part.coefficients]
        target = float(expit((left * mean) @ right.T).mean())
        drawn = (left * prior.coefficients(part.outcome)[:, None, :]) @ right.T

        def gap(shift: float, drawn: Array = drawn, target: float = target) -> float:
            return float(expit(drawn + shift).mean()) - target

        shift = float(brentq(gap, -3.0, 3.0, xtol=1e-6))
        levelled.append(
            part.model_copy(
                update={
                    "coefficients": tuple(
                        c.model_copy(update={"mean": round(c.mean + shift, 6)}) if c.term == INTERCEPT else c
                        for c in part.coefficients
                    )
                }
            )
        )
    return parameters.model_copy(update={"outcomes": tuple(levelled)})


def widened(anchor: Observation, between: float) -> Observation:
    """The same anchor with the standard deviation between studies added to its sampling error."""
    return replace(anchor, sd=float(np.hypot(anchor.sd, between)))

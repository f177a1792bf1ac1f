"""Carried over: what the meta-regression of arms says of comparisons and levels, for the fit of patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from features import Patients, Specification
from features.field import Frozen
from training.evidence.arms import Arm
from training.evidence.effect_size import LEAST_HETEROGENEITY
from training.evidence.held_out import Evidence
from training.evidence.joint import Joint
from training.evidence.observation import Observation
from training.evidence.population import Populations, Side, regimen_called
from training.evidence.tables import data_folder

Array = NDArray[np.float64]
WEEKS = 12.0
ORIGIN = "meta-regression of arms"


class Comparison(Frozen):
    """Two regimens in one molecular selection; `alike` when no difference between hospitals is expected in it."""

    name: str
    selection: str
    exposed: str
    control: str
    alike: bool = False


class Levels(Frozen):
    """Regimens, in equal shares, under which the level is read off."""

    regimens: tuple[str, ...]
    selection: str


class Declared(Frozen):
    """Everything that carried_over.yaml declares."""

    arm: dict[str, Any]
    definitions: dict[str, str]
    levels: Levels
    comparisons: tuple[Comparison, ...]
    also: dict[str, str]


@dataclass(frozen=True)
class CarriedOver:
    """Comparisons and levels over all kinds, and the spread of levels between studies by outcome."""

    contrasts: Joint
    levels: Joint
    between: Mapping[str, float]
    also: Mapping[str, str]


def read_declared() -> Declared:
    """Read what is carried over."""
    return Declared.model_validate(yaml.safe_load((data_folder() / "carried_over.yaml").read_text("utf-8")))


def carried_over(
    spec: Specification, evidence: Evidence, patients: Patients, populations: Populations, terms: tuple[str, ...]
) -> CarriedOver:
    """Read the declared comparisons and levels off the posterior.

    Raises
    ------
    ValueError
        Naming a regimen, selection or kind that is not known.
    """
    declared, vocabulary = read_declared(), evidence.vocabulary
    kinds = vocabulary.kinds
    arms: list[Arm] = []
    of_kind: list[str] = []
    rows: list[tuple[dict[int, float], Observation]] = []

    def place(text: str, selection: str, kind: str) -> int:
        arms.append(_arm(spec, evidence, declared, text, selection, kind))
        of_kind.append(kind)
        return len(arms) - 1

    def side(regimens: tuple[str, ...], selection: str) -> Side:
        (population,) = vocabulary.selections[selection]
        encoded = [regimen_called(spec, text, WEEKS) for text in regimens]
        return Side.encode(populations.cut(patients, population), encoded, terms, {})

    for kind in kinds:
        levels = declared.levels
        share = 1 / len(levels.regimens)
        loading = {place(text, levels.selection, kind.name): share for text in levels.regimens}
        exposed = side(levels.regimens, levels.selection)
        rows.append((loading, Observation(ORIGIN, kind.outcome, exposed, None, 0.0, 1.0, "", ())))
    for comparison in declared.comparisons:
        sides = [side((text,), comparison.selection) for text in (comparison.exposed, comparison.control)]
        for kind in kinds:
            loading = {
                place(comparison.exposed, comparison.selection, kind.name): 1.0,
                place(comparison.control, comparison.selection, kind.name): -1.0,
            }
            rows.append((loading, Observation(comparison.name, kind.outcome, sides[0], sides[1], 0.0, 1.0, "", ())))
    fit = evidence.full
    loadings = np.zeros((len(rows), len(arms)))
    for i, (loading, _) in enumerate(rows):
        loadings[i, list(loading)] = list(loading.values())
    mean, after, before, pull = fit.predict_with_sources(arms, of_kind)
    values = loadings @ mean
    # The next hospital need not agree with the mean over studies, whichever outcome it counts.
    names = np.array([o.name for _, o in rows])
    differing = np.isin(names, [c.name for c in declared.comparisons if not c.alike])
    apart = LEAST_HETEROGENEITY**2 * ((names[:, None] == names) & differing)
    whole = Joint(
        tuple(
            Observation(o.name, o.outcome, o.exposed, o.control, float(v), o.sd, o.basis, o.studies)
            for (_, o), v in zip(rows, values, strict=True)
        ),
        loadings @ after @ loadings.T + apart,
        loadings @ before @ loadings.T + apart,
        loadings @ pull,
        tuple((c.arm.study, "unverified" if c.arm.recalled else "published") for c in fit.counts),
    )
    n = len(kinds)
    return CarriedOver(
        contrasts=_cut(whole, slice(n, None)),
        # The level of the average study: how much studies differ is added to each hospital's level later.
        levels=_cut(whole, slice(0, n)),
        between={k.outcome: fit.between(k.name) for k in kinds},
        also={outcome: next(k.outcome for k in kinds if k.name == name) for outcome, name in declared.also.items()},
    )


def _cut(joint: Joint, part: slice) -> Joint:
    return Joint(
        joint.observations[part],
        joint.covariance[part, part],
        joint.before[part, part],
        joint.pull[part],
        joint.sources,
    )


def _arm(spec: Specification, evidence: Evidence, declared: Declared, text: str, selection: str, kind: str) -> Arm:
    backbone, _, biologic = text.partition("+")
    without = next(b.name for b in spec.regimens.biologics if not b.drugs)
    return evidence.reader.read(
        {
            **declared.arm,
            "study_id": ORIGIN,
            "arm_id": f"{text} {selection}",
            "backbone": backbone,
            "biologic": biologic or without,
            "molecular_selection": selection,
            "resection_definition": declared.definitions[kind],
        }
    )

"""One look at a served model: the files joined, every block judged, and what follows from it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features import Specification, load_specification
from features.facts import patient_facts
from training.champion import Champion, load_champion
from training.evidence import load_prior
from training.monitor.layout import load_file_layout
from training.monitor.material import Material, closed_patients, join
from training.monitor.reading import read_outcomes, read_predictions
from training.monitor.reference import given_profile, logged_profile
from training.monitor.subgroup import SubgroupPoint, subgroup_points
from training.monitor.wording import input_findings, mix_findings, prediction_findings, volume_findings
from training.store import Store
from validation.monitoring.control_limits import CaseMix, ControlLimits, Power, control_limits, power
from validation.monitoring.drift import (
    InputDrift,
    MixShare,
    PredictionDrift,
    contraindicated,
    input_drift,
    prediction_drift,
    regimen_mix,
)
from validation.monitoring.findings import Finding, Findings, Severity
from validation.monitoring.outcome import Watched, watch
from validation.monitoring.profile import Profile
from validation.monitoring.thresholds import Directions, Thresholds, load_thresholds

_SIMULATED = 40_000  # runs times patients a month, so that a large hospital does not wait longer than a small one


@dataclass(frozen=True)
class Monitored:
    """Everything found, and what it rests on.

    Attributes
    ----------
    recent
        Predictions of the window whose inputs are compared.
    reference
        The profile compared with, or None, and in words which.
    limits
        Control limits of the watched outcomes; None when there are no predictions to find them on.
    """

    as_of: dt.date
    champion: str
    simulated: bool
    served: str
    predictions: int
    with_outcomes: int
    recent: int
    reference: Profile | None
    reference_text: str
    inputs: tuple[InputDrift, ...]
    mix: tuple[MixShare, ...]
    drift: tuple[PredictionDrift, ...]
    contraindicated: dict[str, int]
    watched: tuple[Watched, ...]
    subgroups: tuple[SubgroupPoint, ...]
    limits: ControlLimits
    power: tuple[Power, ...]
    thresholds: Thresholds
    findings: Findings
    notes: tuple[str, ...]
    digests: tuple[str, str]

    @property
    def charted(self) -> tuple[Watched, ...]:
        """Outcomes that have control limits."""
        return tuple(w for w in self.watched if (w.closed.outcome, "more") in self.limits.height)


def monitor(
    predictions: Path,
    outcomes: Path,
    store: Store,
    spec: Specification | None = None,
    as_of: dt.date | None = None,
    reference: Path | None = None,
    since: dt.date | None = None,
) -> Monitored:
    """Judge the predictions and outcomes so far.

    Parameters
    ----------
    as_of
        The date as of which patients are closed; the newest date in the files when omitted.
    reference
        A registry or a logged profile to compare inputs with, in place of the champion's own.
    since
        Charts start with patients who started on this day or later: the day on which an alert was settled.

    Raises
    ------
    FilesUnreadable
        Naming every column at fault.
    ProfileRefused, BundleRefused
        When the reference or the champion cannot be used.
    """
    spec = spec or load_specification()
    thresholds = load_thresholds()
    material = join(read_predictions(predictions, spec), read_outcomes(outcomes, spec), spec, as_of)
    champion = load_champion(store, spec, load_prior(spec))
    held, told = _reference(reference, spec, store, champion)

    recent = material.recent(thresholds.inputs.window_months)
    rows = np.flatnonzero(recent)
    patients, regimens = material.patients.take(rows), [material.regimens[i] for i in rows]
    headline = frozenset(o.name for o in spec.outcomes.outcomes if o.headline)
    chances = {name: p[rows] for name, p in material.predictions.chance.items()}
    inputs = input_drift(patients, held, thresholds.inputs) if held and len(rows) else ()
    mix = regimen_mix(regimens, held, thresholds.inputs) if held and len(rows) else ()
    drift = prediction_drift(chances, held, thresholds.inputs, headline) if held and len(rows) else ()
    against = contraindicated(
        spec.flags, _facts(material, rows), regimens, spec.unknown_codes, load_file_layout(spec).flag_profile
    )

    shares = {spec.outcomes.part(part).name: share for part, share in thresholds.calibration.shares.items()}
    case_mix = _case_mix(material, shares)
    limits = _limits(case_mix, shares, material, thresholds)
    watched = tuple(
        watch(closed_patients(material, name, since), thresholds.calibration, limits if name in shares else None)
        for name in _in_order(spec, shares)
    )
    found = [f for w in watched for f in w.findings]
    found += input_findings(inputs, len(rows), told, thresholds.inputs)
    found += mix_findings(mix, against, len(rows), spec)
    found += prediction_findings(drift, spec)
    found += volume_findings(material)
    if champion.version is not None and champion.version != material.served:
        text = (
            f"The latest predictions come from version {material.served}; the champion is version {champion.version}."
        )
        if material.served.isdigit():
            # What another version did is no reason to change this one.
            text += " What they show is no reason to update it."
            found = [f.model_copy(update={"retrain": False}) for f in found]
        found.append(Finding(severity=Severity.SHOW, block="Model", text=text))
    return Monitored(
        as_of=material.as_of,
        champion=champion.name,
        simulated=champion.bundle.manifest.simulated,
        served=material.served,
        predictions=len(material.predictions),
        with_outcomes=0 if material.cohort is None else len(material.cohort),
        recent=len(rows),
        reference=held,
        reference_text=told,
        inputs=inputs,
        mix=mix,
        drift=drift,
        contraindicated=against,
        watched=watched,
        subgroups=subgroup_points(material, tuple(shares), thresholds, since),
        limits=limits,
        power=_power(case_mix, limits, shares, thresholds),
        thresholds=thresholds,
        findings=Findings.of(found),
        notes=material.notes,
        digests=(material.predictions.digest, "" if material.cohort is None else _digest(outcomes)),
    )


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _reference(path: Path | None, spec: Specification, store: Store, champion: Champion) -> tuple[Profile | None, str]:
    if path is None:
        return logged_profile(store, champion)
    given = given_profile(path, spec, champion)
    return given, f"Reference: {given.source}."


def _facts(material: Material, rows: NDArray[np.intp]) -> list[dict[str, object]]:
    spec, fields = material.spec, material.predictions.fields
    asked = [f.name for f in spec.asked if f.name in fields]
    return [patient_facts(spec, {name: fields[name][i] for name in asked}) for i in rows]


def _in_order(spec: Specification, watched: dict[str, Directions]) -> list[str]:
    return [*watched, *(name for name in spec.outcomes.names if name not in watched)]


def _case_mix(material: Material, watched: dict[str, Directions]) -> CaseMix:
    chance, tree = material.predictions.chance, material.spec.outcomes
    given = {name: tree[name].given for name in watched}
    return CaseMix(
        {name: chance[name] for name in watched},
        {name: np.ones(len(chance[name])) if g is None else chance[g] for name, g in given.items()},
    )


def _limits(mix: CaseMix, shares: dict[str, Directions], material: Material, thresholds: Thresholds) -> ControlLimits:
    months = material.predictions.when.astype("datetime64[M]")
    span = int((months.max() - months.min()).astype(int)) + 1
    per_month = max(1, round(len(material.predictions) / span))
    runs = int(np.clip(_SIMULATED / per_month, 800, 4000))
    return control_limits(mix, shares, thresholds.calibration, per_month, runs)


def _power(
    mix: CaseMix, limits: ControlLimits, shares: dict[str, Directions], thresholds: Thresholds
) -> tuple[Power, ...]:
    runs = int(np.clip(_SIMULATED / 10 / limits.per_month, 200, 500))
    ratio = thresholds.calibration.found
    found = []
    for name in shares:
        expected = float((mix.at_risk[name] * mix.chance[name]).sum() / mix.at_risk[name].sum())
        # What happens to nearly everyone cannot happen half as often again.
        ratios = [r for r in (1 / ratio, ratio) if r * expected < 1]
        found += [power(mix, limits, name, r, runs=runs) for r in ratios]
    return tuple(found)

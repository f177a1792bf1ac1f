"""What was found about inputs, regimens, predictions and volume, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binom

from features import Specification
from training.monitor.material import Material
from validation.monitoring.drift import InputDrift, MixShare, PredictionDrift
from validation.monitoring.findings import Finding, Severity
from validation.monitoring.thresholds import InputThresholds

INPUTS, REGIMENS, PREDICTIONS, VOLUME = "Inputs", "Regimens", "Predictions", "Volume"
_BEFORE = 6  # months whose mean the last whole month is compared with (DOMAIN 6.1)
_HALF = 0.5
_UNLIKELY = 0.001


def input_findings(
    inputs: Sequence[InputDrift], patients: int, reference: str, limits: InputThresholds
) -> list[Finding]:
    """Findings on missing, unusual and shifted inputs."""
    if not inputs:
        told = reference if patients else "No prediction lies in the window whose inputs are compared."
        return [Finding(severity=Severity.OK, block=INPUTS, text=told)]
    found: list[Finding] = []
    missing_told: set[str] = set()
    for one in inputs:
        if one.missing.severity > Severity.OK and one.field not in missing_told:
            missing_told.add(one.field)
            text = f"{one.label.partition(':')[0]}: missing in {_percent(one.missing.now)} of {patients} predictions"
            found.append(
                _of(one.missing.severity, INPUTS, f"{text}, {_percent(one.missing.reference)} in the reference.",
                    one.missing.now)
            )  # fmt: skip
        if one.unusual is not None and one.unusual.severity > Severity.OK:
            text = f"{one.label}: outside its usual range in {_percent(one.unusual.now)} of {one.known} values"
            found.append(
                _of(one.unusual.severity, INPUTS, f"{text}, {_percent(one.unusual.reference)} in the reference.",
                    one.unusual.now)
            )  # fmt: skip
        if one.shift.severity > Severity.OK and one.shift.psi is not None:
            text = f"{one.label}: distributed differently (PSI {one.shift.psi:.2f}, {one.known} values)"
            of = "" if one.shift.severity is Severity.ALERT else "; with so few values chance may explain it"
            found.append(_of(one.shift.severity, INPUTS, f"{text}{of}.", one.shift.psi, retrain=True))
    compared = len({one.field for one in inputs})
    if not found:
        found.append(_of(Severity.OK, INPUTS, f"{compared} inputs compared; none beyond its limits."))
    if patients < limits.least:
        text = f"{patients} predictions in the window: too few to alert about inputs, {limits.least} are needed."
        found.append(_of(Severity.OK, INPUTS, text))
    return found


def mix_findings(
    mix: Sequence[MixShare], contraindicated: Mapping[str, int], patients: int, spec: Specification
) -> list[Finding]:
    """Findings on what is started: new practice, and every start that a flag calls contraindicated."""
    found = []
    for one in mix:
        if one.severity > Severity.OK:
            before = "hardly any" if one.reference is None else _percent(one.reference)
            text = f"{one.label}: started by {_percent(one.now)} ({one.patients} of {patients})"
            found.append(_of(one.severity, REGIMENS, f"{text}, {before} in the reference.", one.now, retrain=True))
    for flag, count in contraindicated.items():
        share = f"{count} of {patients} predictions"
        # Each case is for the board to look at; one that was decided knowingly is no fault of the model.
        found.append(_of(Severity.SHOW, REGIMENS, f"Started against a contraindication in {share}: {flag}", count))
    if not found and mix:
        found.append(_of(Severity.OK, REGIMENS, "No new regimen, and none started against a contraindication."))
    return found


def prediction_findings(drift: Sequence[PredictionDrift], spec: Specification) -> list[Finding]:
    """Findings on mean predictions."""
    found = []
    for one in drift:
        if one.severity > Severity.OK:
            text = (
                f"{spec.outcomes[one.outcome].label}: mean prediction {_percent(one.mean)}, {_percent(one.reference)} "
                f"in the reference ({one.z:+.1f} standard errors)."
            )
            found.append(_of(one.severity, PREDICTIONS, text, one.z))
    if drift and not found:
        found.append(_of(Severity.OK, PREDICTIONS, "Mean predictions are as in the reference."))
    return found


def volume_findings(material: Material) -> list[Finding]:
    """Predictions of the last whole month against the six before."""
    month = material.predictions.when.astype("datetime64[M]").astype(int)
    whole = int(np.datetime64(material.as_of, "M").astype(int)) - 1
    last = int((month == whole).sum())
    before = int(((month < whole) & (month >= whole - _BEFORE)).sum())
    if month.min() > whole - _BEFORE or before == 0:
        return [_of(Severity.OK, VOLUME, f"{len(month)} predictions; too few months to compare.")]
    mean = before / _BEFORE
    text = f"{last} predictions in {np.datetime64(whole, 'M')}; {mean:.1f} a month in the six months before."
    if abs(last / mean - 1) <= _HALF:
        return [_of(Severity.OK, VOLUME, text, last)]
    # Of what arrived in seven months a seventh belongs to the last.
    share = 1 / (_BEFORE + 1)
    chance = min(binom.cdf(last, last + before, share), binom.sf(last - 1, last + before, share))
    return [_of(Severity.ALERT if 2 * chance < _UNLIKELY else Severity.SHOW, VOLUME, text, last)]


def _of(severity: Severity, block: str, text: str, figure: float | None = None, retrain: bool = False) -> Finding:
    return Finding(
        severity=severity, block=block, text=text, figure=figure, retrain=retrain and severity is Severity.ALERT
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.1 or share == 0 else f"{100 * share:.1f}%"

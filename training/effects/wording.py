"""What the contrasts mean, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from features import Specification
from training.effects.compared import Compared
from training.effects.declared import Contrast, Resolved, labels
from training.effects.recorded import Recorded
from validation.aipw import Estimate
from validation.overlap import OVERLAP

ESTIMAND = (
    "Each contrast emulates a trial: adults who are eligible before cycle 1 are started on one arm or the other, "
    "planned for as many weeks as they were, with usual care afterwards whatever becomes of it, and counted in the arm "
    "in which they were started. Differences are in the chance of the outcome among everyone started. They are "
    "adjusted for what is recorded before cycle 1, for site and for calendar year, and for nothing later. What was not "
    "recorded is not adjusted for: they are associations, and effects only if nothing else decided both the regimen "
    "and the outcome."
)


def estimand(contrast: Resolved, kept: int) -> str:
    """What the trimmed contrast estimates."""
    declared = contrast.declared
    low, high = (100 * x for x in OVERLAP)
    among = f" {declared.among_label}" if declared.among_label else ""
    return (
        f"Mean difference had all {kept:,} patients{among} whose chance of receiving either arm was {low:g} to "
        f"{high:g}% started {declared.first.label} rather than {declared.second.label}, each with the "
        f"{contrast.part.kept} and the planned weeks received, and with the components of an arm in the shares in "
        "which patients alike received them. Where their outcome was not recorded, the others stand for them."
    )


def overlap_estimand(contrast: Resolved) -> str:
    """What the overlap-weighted contrast estimates."""
    declared = contrast.declared
    return (
        f"The same difference among all who received {declared.first.label} or {declared.second.label}, those counting "
        "most whose choice was most open."
    )


def grouped_in_words(pair: Compared, spec: Specification) -> tuple[str, ...]:
    """Which components were too rare for a propensity of their own."""
    contrast = pair.contrast
    names = labels(spec, contrast.part)
    arms = {*contrast.first, *contrast.second}
    return tuple(
        f"{' and '.join(names[c] for c in group)} share one propensity, for one of them is rare."
        for group in pair.propensity.grouped
        if set(group) & arms
    )


def too_few_events(contrast: Contrast, events: Sequence[int], sizes: Sequence[int], least: int) -> str | None:
    """Why an outcome cannot be contrasted, or None when either arm has enough with and without it."""
    found = [
        f"{e} events among {n} patients on {arm.label}"
        for arm, e, n in zip((contrast.first, contrast.second), events, sizes, strict=True)
        if min(e, n - e) < least
    ]
    return f"Not estimable: {' and '.join(found)}; {least} with and without the event are needed." if found else None


def lost_in_words(outcome: Recorded) -> str:
    """That too many were lost."""
    return (
        f"{outcome.label} is not known for {100 * outcome.lost:.0f}% of patients (started too recently, or lost); the "
        "contrasts are of the others."
    )


def beside_evidence(registry: Estimate, evidence: Estimate) -> str:
    """How a registry's contrast compares with that of published evidence; begins with "Outside" when it lies beyond."""
    if registry.value is None or evidence.value is None:
        return "Not compared with published evidence: " + (registry.reason or evidence.reason or "not estimable")
    if None in (registry.low, registry.high, evidence.low, evidence.high):
        return "Not compared with published evidence: no interval."
    assert registry.low is not None and registry.high is not None
    assert evidence.low is not None and evidence.high is not None
    both = f"{_points(registry)} in this registry, {_points(evidence)} by published evidence"
    if registry.low > evidence.high or registry.high < evidence.low:
        where = "above" if registry.low > evidence.high else "below"
        return (
            f"Outside the interval of published evidence, wholly {where} it: {both}. Look for confounding that was not "
            "recorded, for other patients or other care, before believing either."
        )
    if not evidence.low <= registry.value <= evidence.high:
        return f"The estimate lies beyond the interval of published evidence, its own interval does not: {both}."
    return f"Within the interval of published evidence: {both}."


def _points(estimate: Estimate) -> str:
    assert estimate.value is not None and estimate.low is not None and estimate.high is not None
    return f"{100 * estimate.value:+.1f} points ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"

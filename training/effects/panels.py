"""An audit of regimen effects as parts of a job's report."""

from __future__ import annotations

from training.effects import plots
from training.effects.result import ContrastFigures, OutcomeContrast, RegimenEffects
from training.report.panel import Panel
from validation.aipw import Estimate

_HEAD = (
    "Outcome",
    "Events, first arm",
    "Events, second arm",
    "Crude",
    "Adjusted (AIPW)",
    "Overlap-weighted",
    "Served model",
    "Published evidence",
    "E-value (interval)",
)


def panels(effects: RegimenEffects) -> tuple[Panel, ...]:
    """What the audit estimates, a forest plot with its table and the overlap behind it per contrast, and the choice."""
    found = [Panel(title="What is contrasted", sentences=(effects.estimand, *effects.warnings))]
    for contrast in effects.contrasts:
        found += [_forest(contrast), _overlap(contrast)]
    if effects.selection is not None:
        curve = effects.selection
        found.append(
            Panel(
                title="Choosing by predicted gain",
                sentences=(
                    f"{curve.decision}. Net benefit is events gained per patient minus the threshold for each patient "
                    f"chosen, among {curve.patients:,} patients with overlap.",
                ),
                figure=plots.selection(curve),
                alt="Net benefit over thresholds of predicted gain, beside choosing everyone and no one",
                head=("Threshold", "Net benefit", "95% interval", "Everyone", "Chosen"),
                rows=tuple(
                    (
                        f"{100 * t:.0f} points",
                        f"{100 * v:+.1f}",
                        f"{100 * a:+.1f} to {100 * b:+.1f}",
                        f"{100 * e:+.1f}",
                        f"{100 * s:.0f}%",
                    )
                    for t, v, a, b, e, s in zip(
                        curve.thresholds,
                        curve.net_benefit,
                        curve.low,
                        curve.high,
                        curve.treat_all,
                        curve.treat_share,
                        strict=True,
                    )
                ),
            )
        )
    return tuple(found)


def _forest(contrast: ContrastFigures) -> Panel:
    sentences = [contrast.overlap.verdict, contrast.estimand, f"Overlap-weighted: {contrast.overlap_estimand}"]
    sentences += list(contrast.grouped)
    sentences += [] if contrast.not_estimated is None else [contrast.not_estimated]
    sentences += [f"{o.label}: {o.beside_evidence}" for o in contrast.outcomes if o.headline]
    return Panel(
        title=f"{contrast.label}, {contrast.among}",
        sentences=tuple(sentences),
        figure=plots.forest(contrast),
        alt=f"Differences between {contrast.first} and {contrast.second} in every outcome, by five ways of estimating",
        head=_HEAD,
        rows=tuple(_row(o) for o in contrast.outcomes),
    )


def _overlap(contrast: ContrastFigures) -> Panel:
    overlap = contrast.overlap
    return Panel(
        title=f"{contrast.label}: overlap",
        sentences=(
            f"{overlap.first:,} patients on {contrast.first}, {overlap.second:,} on {contrast.second}; with overlap "
            f"{overlap.kept_first:,} and {overlap.kept_second:,}, which weigh as {overlap.effective_first:.0f} and "
            f"{overlap.effective_second:.0f} would without weights.",
        ),
        figure=plots.propensities(contrast),
        alt="Propensity of the first arm by arm received, and standardised differences before and after weighting",
        head=("Covariate", "As received", "Weighted", "Overlap-weighted"),
        rows=tuple(
            (b.covariate, f"{b.before:+.2f}", f"{b.weighted:+.2f}", f"{b.overlap_weighted:+.2f}")
            for b in overlap.balance
        ),
        folded=True,
    )


def _row(outcome: OutcomeContrast) -> tuple[str, ...]:
    value = outcome.e_value
    return (
        outcome.label,
        f"{outcome.events_first} of {outcome.recorded_first}",
        f"{outcome.events_second} of {outcome.recorded_second}",
        _cell(outcome.crude),
        _cell(outcome.aipw),
        _cell(outcome.overlap_weighted),
        _cell(outcome.g_computation),
        _cell(outcome.evidence),
        "" if value is None else f"{value.estimate:.2f} ({value.limit:.2f})",
    )


def _cell(estimate: Estimate) -> str:
    if estimate.value is None:
        return estimate.reason or "not estimable"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:+.1f}"
    return f"{100 * estimate.value:+.1f} ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"

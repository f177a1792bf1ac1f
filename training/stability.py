"""Learning stability: how far a patient's prediction would move had the registry held other patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.bundle.manifest import Learner
from training.crossfit import CANDIDATE_NEEDS
from training.encoded import Encoded, enough
from training.learners import Fit, fit_candidate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
REFITS = 8  # Riley and Collins ask for 200 or more; a few already tell a stable model from an unstable one
# Halves drawn without replacement vary around the fit on all patients as much as bootstrap samples do (Friedman and
# Hall 2007, J Stat Plan Inference 137:669), but hold no patient twice. A patient on both sides of the cross-validation
# that tunes a candidate would let it learn noise, and stable candidates would look unstable.
_HALF = 2
SPREAD = (0.05, 0.95)
_SHOWN = 400  # patients drawn in a figure
_LEAST = 2  # refits without which there is no spread


@dataclass(frozen=True)
class Stability:
    """One candidate on one outcome, refitted on random halves (after Riley and Collins 2023, Biom J 65:2200302).

    Attributes
    ----------
    original
        P(outcome | within) of the fit on all patients, shape (m,), for the m patients who could teach it, before any
        recalibration.
    low, high
        5th and 95th percentile over the refits, each of shape (m,), interpolated between few refits.
    refits, failed
        Refits that stand behind the figures, and halves with too few events to refit.
    mape
        Mean over patients and refits of the absolute difference from `original`; None without refits.
    reason
        Why there are no figures, when there are none.
    """

    learner: Learner
    outcome: str
    refits: int
    failed: int
    original: Array
    low: Array
    high: Array
    mape: float | None
    reason: str | None = None

    @property
    def median_width(self) -> float | None:
        """Median over patients of the distance from the 5th to the 95th percentile."""
        return float(np.median(self.high - self.low)) if self.mape is not None else None

    @property
    def widest(self) -> float | None:
        """The distance that one patient in twenty exceeds."""
        return float(np.quantile(self.high - self.low, 0.95)) if self.mape is not None else None

    def metrics(self) -> dict[str, float]:
        """Figures to log, by name; empty when there are none."""
        named = {"stability_mape": self.mape, "stability_width": self.median_width, "stability_widest": self.widest}
        return {name: value for name, value in named.items() if value is not None}

    def text(self, label: str) -> str:
        """The result in one sentence, with what the outcome is called."""
        if self.mape is None:
            return f"{label}: stability not judged, {self.reason}"
        return (
            f"{label}: over {self.refits} refits on random halves a prediction moved by {100 * self.mape:.1f} points "
            f"on average; half of the patients stayed within {100 * (self.median_width or 0):.1f} points (5th to 95th "
            f"percentile), one in twenty moved over more than {100 * (self.widest or 0):.1f}"
        )


def stability(
    learner: Learner,
    encoded: Encoded,
    outcome: str,
    fit: Fit | None = None,
    refits: int = REFITS,
    seed: int = 5,
    tick: Callable[[], None] = lambda: None,
) -> Stability:
    """Refit a candidate on random halves of the patients who taught it, its tuning included.

    Parameters
    ----------
    fit
        The fit on all of them; made when not given.
    refits
        How many halves to draw.
    tick
        Called after each refit, for progress.

    Raises
    ------
    ValueError
        When `refits` is below 2.
    """
    if refits < _LEAST:
        raise ValueError(f"the number of refits must be {_LEAST} or more, not {refits}")
    rows = np.flatnonzero(encoded.eligible(outcome))
    reason = (
        "answered by the evidence prior, which no refit changes"
        if learner == "evidence"
        else enough(encoded, outcome, CANDIDATE_NEEDS[learner])
    )
    if reason is not None:
        return _none(learner, outcome, reason)
    fit = fit or fit_candidate(learner, encoded, outcome, rows)
    original = expit(fit.log_odds(encoded)[rows])
    random = np.random.default_rng(seed)
    drawn: list[Array] = []
    failed = 0
    for _ in range(refits):
        sample = random.permutation(rows)[: len(rows) // _HALF]
        y = encoded.outcomes[outcome][sample]
        if min(y.sum(), len(y) - y.sum()) < CANDIDATE_NEEDS[learner]:
            failed += 1
        else:
            refit = fit_candidate(learner, encoded, outcome, sample)
            drawn.append(expit(refit.log_odds(encoded)[rows]))
        tick()
    if len(drawn) < _LEAST:
        return _none(learner, outcome, f"{failed} of {refits} random halves held too few events", failed)
    found = np.stack(drawn)
    low, high = np.quantile(found, SPREAD, axis=0)
    mape = float(np.abs(found - original).mean())
    return Stability(learner, outcome, len(drawn), failed, original, low, high, mape)


def headline_stability(
    learner: Learner,
    encoded: Encoded,
    fits: Mapping[str, Fit],
    refits: int = REFITS,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Stability, ...]:
    """Judge the stability of one candidate on every headline outcome.

    Parameters
    ----------
    fits
        Fits on all patients by outcome, as `training.crossfit.Assessed` holds them.
    """
    return tuple(
        stability(learner, encoded, o.name, fits.get(o.name), refits, tick=tick)
        for o in encoded.spec.outcomes.outcomes
        if o.headline
    )


def stability_figure(found: Sequence[Stability], encoded: Encoded) -> Figure:
    """Each patient's spread over the refits against the original prediction, one panel for each outcome."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * max(len(found), 1), 3.8), layout="constrained")
    axes = figure.subplots(1, max(len(found), 1), squeeze=False).ravel()
    for axis, one in zip(axes, found, strict=False):
        axis.set_title(encoded.spec.outcomes[one.outcome].label, fontsize=9)
        axis.tick_params(labelsize=7)
        if one.mape is None:
            axis.text(0.5, 0.5, one.reason, ha="center", va="center", fontsize=8, wrap=True, transform=axis.transAxes)
            axis.set_axis_off()
            continue
        shown = np.random.default_rng(1).permutation(len(one.original))[:_SHOWN]
        at, low, high = (100 * part[shown] for part in (one.original, one.low, one.high))
        axis.plot([0, 100], [0, 100], color="0.7", linewidth=1)
        axis.vlines(at, low, high, color="#1f5f8b", alpha=0.35, linewidth=1)
        top = min(100.0, 1.1 * float(max(high.max(), at.max())))
        axis.set(xlim=(0, top), ylim=(0, top))
        axis.set_xlabel(
            f"{len(one.original):,} patients ({len(shown):,} drawn), {one.refits} refits\n"
            f"mean absolute difference {100 * one.mape:.1f} points",
            fontsize=8,
        )
    figure.supxlabel("predicted by the fit on all patients, %", fontsize=9)
    figure.supylabel("5th to 95th percentile over refits, %", fontsize=9)
    figure.suptitle(f"Learning stability, {found[0].learner if found else ''}", fontsize=10)
    return figure


def _none(learner: Learner, outcome: str, reason: str, failed: int = 0) -> Stability:
    empty = np.empty(0)
    return Stability(learner, outcome, 0, failed, empty, empty, empty, None, reason)

"""Cross-fitting: every patient predicted by models that never saw the fold the patient is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.bundle.manifest import Learner
from training.encoded import MIN_EVENTS, Encoded, enough
from training.learners import Fit, fit_candidate
from training.recalibration import calibrate
from validation.calibration import calibration_intercept, calibration_slope, observed_to_expected
from validation.discrimination import Metric, auroc, brier, log_loss

Array = NDArray[np.float64]
METRICS: dict[str, Callable[[Array, Array], Metric]] = {
    "log_loss": log_loss,
    "auroc": auroc,
    "brier": brier,
    "calibration_slope": calibration_slope,
    "calibration_intercept": calibration_intercept,
    "observed_to_expected": observed_to_expected,
}
# Events and non-events without which a candidate answers from evidence. An update moves the evidence only as far as
# the events allow, so it needs just enough to have a direction.
CANDIDATE_NEEDS: dict[Learner, int] = {"evidence": 0, "logistic": MIN_EVENTS, "xgboost": MIN_EVENTS, "xgboost_prior": 1}
_FOLD_EVENTS = 8  # fewer in a training fold than this and the fold answers from evidence


@dataclass(frozen=True)
class Assessed:
    """A candidate judged on held-out patients and fitted on all of them.

    Attributes
    ----------
    held_out
        P(outcome | given) of every patient by outcome, each of shape (n,), from models that did not see them.
    fits
        Final fit by outcome; absent where nothing could be learned.
    calibration
        Intercept and slope by outcome, from out-of-fold predictions.
    reasons
        Why an outcome is answered from evidence, by outcome.
    metrics
        By outcome and metric.
    """

    learner: Learner
    held_out: Mapping[str, Array]
    fits: Mapping[str, Fit]
    calibration: Mapping[str, tuple[float, float]]
    reasons: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, Metric]]

    def mean(self, metric: str) -> float | None:
        """Mean of a metric over the outcomes on which it could be computed."""
        values = [m[metric].value for m in self.metrics.values()]
        known = [v for v in values if v is not None]
        return float(np.mean(known)) if known else None


def assess(
    learner: Learner,
    encoded: Encoded,
    fold: NDArray[np.int64],
    tick: Callable[[str], None] = lambda outcome: None,
) -> Assessed:
    """Judge one candidate on every outcome.

    Parameters
    ----------
    fold
        Held-out fold of each patient, shape (n,).
    tick
        Called with the outcome's name after each outcome, for progress.
    """
    conditional: dict[str, Array] = {}
    fits: dict[str, Fit] = {}
    calibration: dict[str, tuple[float, float]] = {}
    reasons: dict[str, str] = {}
    for outcome in encoded.spec.outcomes.names:
        reason = (
            "answered by the evidence prior"
            if learner == "evidence"
            else enough(encoded, outcome, CANDIDATE_NEEDS[learner])
        )
        if reason is not None:
            reasons[outcome] = reason
            conditional[outcome] = expit(encoded.prior[:, encoded.column(outcome)])
        else:
            raw = _held_out(learner, encoded, outcome, fold)
            # An update of the evidence is calibrated by construction; only the freely learned need a line.
            with_slope = learner in ("logistic", "xgboost")
            rows, y = encoded.eligible(outcome), encoded.outcomes[outcome]
            if with_slope:
                conditional[outcome] = expit(_calibrated_across(raw, y, rows, fold))
                calibration[outcome] = calibrate(y[rows], raw[rows])
            else:
                conditional[outcome] = expit(raw)
            fits[outcome] = fit_candidate(learner, encoded, outcome, rows)
        tick(outcome)
    products = encoded.spec.outcomes.product(dict(conditional))
    reported = {name: np.asarray(value, dtype=np.float64) for name, value in products.items()}
    metrics = {name: _judge(encoded, name, p) for name, p in reported.items()}
    return Assessed(learner, reported, fits, calibration, reasons, metrics)


def _held_out(learner: Learner, encoded: Encoded, outcome: str, fold: NDArray[np.int64]) -> Array:
    prior = encoded.prior[:, encoded.column(outcome)]
    predicted = prior.copy()
    for k in np.unique(fold):
        rows = encoded.eligible(outcome) & (fold != k)
        y = encoded.outcomes[outcome][rows]
        if min(y.sum(), len(y) - y.sum()) >= min(_FOLD_EVENTS, CANDIDATE_NEEDS[learner]):
            fit = fit_candidate(learner, encoded, outcome, rows)
            predicted[fold == k] = fit.log_odds(encoded)[fold == k]
    return predicted


def _calibrated_across(raw: Array, y: Array, rows: NDArray[np.bool_], fold: NDArray[np.int64]) -> Array:
    # Calibrating a fold with its own outcomes would flatter every metric.
    calibrated = raw.copy()
    for k in np.unique(fold):
        others = rows & (fold != k)
        intercept, slope = calibrate(y[others], raw[others])
        calibrated[fold == k] = intercept + slope * raw[fold == k]
    return calibrated


def _judge(encoded: Encoded, outcome: str, p: Array) -> dict[str, Metric]:
    rows = encoded.reported(outcome)
    y = encoded.outcomes[outcome][rows]
    return {name: metric(y, p[rows]) for name, metric in METRICS.items()}

"""Arm calibration: rates of trial arms over what the other studies foretold, as curves that the evidence carries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t

from features import Specification
from training.bundle import Calibration, Curve
from training.bundle.calibration import DIGITS
from training.evidence.arms import ArmFile, ArmReader
from training.evidence.held_out import Evidence, PredictedRate, predict_held_out
from training.evidence.tables import data_folder

Array = NDArray[np.float64]

COMMITTED = "calibration.json"
#: Fewer studies give no line (Cochrane Handbook 10.11.4: a regression on studies needs about ten).
LEAST_STUDIES = 10
_POINTS = 21
_LEVEL = 0.95


def build_calibration(spec: Specification, evidence_digest: str) -> Calibration:
    """Foretell every arm of the evidence from the studies that share no patient with it, and draw the lines."""
    evidence = Evidence(spec, ArmReader(spec))
    rates = predict_held_out(ArmFile(tuple(evidence.arms), ()), evidence).rates
    ends = {kind.name: kind.outcome for kind in evidence.vocabulary.kinds}
    curves: dict[str, Curve] = {}
    shown: list[PredictedRate] = []
    for name in spec.outcomes.names:
        own = [r for r in rates if ends[r.kind] == name]
        if len({r.arm.study for r in own}) >= LEAST_STUDIES:
            curves[name] = arm_curve(own)
            shown += own
    return Calibration(basis="evidence", data_digest=evidence_digest, text=_text(shown), curves=curves)


def arm_curve(rates: Sequence[PredictedRate]) -> Curve:
    """Draw the line of observed over foretold rates on the log-odds scale, with its 95% band.

    A fractional logit (Papke and Wooldridge 1996), each arm counting once because arms differ by more than their
    sizes explain; the band takes arms of one study as belonging together.
    """
    import statsmodels.api as sm

    foretold = np.array([r.model.predicted for r in rates])
    observed = np.array([r.observed for r in rates])
    studies, study = np.unique([r.arm.study for r in rates], return_inverse=True)
    model = sm.GLM(observed, sm.add_constant(logit(foretold)), family=sm.families.Binomial())
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": study})
    at = np.linspace(foretold.min(), foretold.max(), _POINTS)
    design = np.column_stack([np.ones(_POINTS), logit(at)])
    middle = design @ fit.params
    reach = t.ppf((1 + _LEVEL) / 2, len(studies) - 2) * np.sqrt(
        np.einsum("ij,jk,ik->i", design, fit.cov_params(), design)
    )
    points = (at, expit(middle), expit(middle - reach), expit(middle + reach))
    predicted, line, low, high = (tuple(np.round(values, DIGITS).tolist()) for values in points)
    return Curve(predicted=predicted, observed=line, low=low, high=high, arms=len(rates), studies=len(studies))


def load_calibration(evidence_digest: str) -> Calibration | None:
    """Read the committed curves; None when they belong to other evidence."""
    found = Calibration.model_validate_json((data_folder() / COMMITTED).read_bytes())
    return found if found.data_digest == evidence_digest else None


def _text(rates: Sequence[PredictedRate]) -> str:
    off = 100 * float(np.mean([abs(r.model.predicted - r.observed) for r in rates]))
    held = 100 * float(np.mean([r.model.holds(r.observed) for r in rates]))
    arms = {r.arm.key for r in rates}
    recalled = {r.arm.key for r in rates if r.arm.recalled}
    return (
        f"No patient's outcome was compared with this model. The lines are of {len(rates)} published rates from "
        f"{len(arms)} arms of {len({r.arm.study for r in rates})} studies ({len(recalled)} of the arms not read again "
        "at their source), counted as each study counts, and foretold by the meta-regression behind this model from "
        f"the studies that share no patient with them. Bands are 95% and of the average; a single "
        f"rate lay {off:.0f} percentage points off on average, and {held:.0f}% of rates within their own 90% interval. "
        f"The other outcomes have no line, for fewer than {LEAST_STUDIES} studies."
    )

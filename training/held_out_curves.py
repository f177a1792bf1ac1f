"""Held-out curves: what the evaluation of a model says of its calibration, for the model to carry with it."""

from __future__ import annotations

import numpy as np

from features import Specification
from training.bundle import Calibration, Curve
from training.bundle.calibration import DIGITS
from training.bundle.manifest import Basis
from validation.evaluation import Evaluation, Judged
from validation.flexible_calibration import MIN_CURVE_EVENTS

_SIMULATED = "Simulated patients: how the model does on invented patients, which says nothing of real ones."


def held_out_curves(
    evaluation: Evaluation, model: str, spec: Specification, data_digest: str, simulated: bool
) -> Calibration:
    """Take the calibration curves of one model from an evaluation.

    Parameters
    ----------
    model
        Its name in the evaluation.
    data_digest
        Of the data that the model was trained on.
    simulated
        Whether the patients of the evaluation are invented.

    Raises
    ------
    KeyError
        When the model was not judged.
    """
    judged = evaluation.model(model).outcomes
    found = {name: _curve(judged[name]) for name in spec.outcomes.names if name in judged}
    curves = {name: curve for name, curve in found.items() if curve is not None}
    lacking = [spec.outcomes[name].label for name in spec.outcomes.names if name not in curves]
    suspected = [spec.outcomes[name].label for name in curves if spec.outcomes[name].selectively_recorded]
    said = [_SIMULATED] if simulated else []
    if not curves:
        said.append("There is no calibration plot.")
    said.append(f"{evaluation.rows}.")
    if lacking:
        said.append(
            f"No curve, for want of {MIN_CURVE_EVENTS} patients with the event and as many without, or of predictions "
            f"that differ: {', '.join(lacking)}."
        )
    if suspected:
        said.append(f"Recorded when suspected, so observed too often: {', '.join(suspected)}.")
    basis: Basis = "simulated" if simulated else "registry"
    return Calibration(basis=basis, data_digest=data_digest, text=" ".join(said), curves=curves)


def _curve(judged: Judged) -> Curve | None:
    """One outcome's curve; None where none was drawn, or not at every point, or at one chance alone."""
    drawn = judged.calibration
    if drawn is None or not np.isfinite([drawn.observed, drawn.low, drawn.high]).all():
        return None
    predicted, observed, low, high = np.round([drawn.predicted, drawn.observed, drawn.low, drawn.high], DIGITS)
    if predicted[0] == predicted[-1]:
        return None
    return Curve(
        predicted=tuple(predicted.tolist()),
        observed=tuple(observed.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        patients=judged.patients,
        events=judged.events,
    )

"""Calibration: what was observed over what was predicted, where the model had not seen what it was compared with."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from features import Specification
from features.field import Frozen
from training.bundle.manifest import Basis, BundleRefused, Manifest

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
DIGITS = 4  # of a share: outcomes of a few percent still have a curve rather than steps


class Curve(Frozen):
    """Share observed over chance predicted, with a pointwise 95% band; all of one length, predictions rising.

    Attributes
    ----------
    patients, events
        Whom it was drawn from; None where it was drawn from trial arms.
    arms, studies
        The same for trial arms.
    """

    predicted: tuple[Share, ...] = Field(min_length=2, max_length=60)
    observed: tuple[Share, ...]
    low: tuple[Share, ...]
    high: tuple[Share, ...]
    patients: int | None = None
    events: int | None = None
    arms: int | None = None
    studies: int | None = None

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        if len({len(part) for part in (self.predicted, self.observed, self.low, self.high)}) != 1:
            raise ValueError("predicted, observed, low and high need as many points each")
        if any(b < a for a, b in zip(self.predicted, self.predicted[1:], strict=False)):
            raise ValueError("the predictions of a curve must not fall")
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("the low bound of a curve lies above its high one")
        return self


class Calibration(Frozen):
    """Curves of one model, by outcome: P(outcome | given), as it is shown.

    Attributes
    ----------
    basis
        What it was compared with: real patients (``registry``), invented ones (``simulated``) or published rates of
        trial arms (``evidence``).
    data_digest
        `TrainedOn.data_digest` of the model that was compared, so that no other model shows its curves.
    text
        Whom or what it was compared with and how, or why there are no curves; for the page.
    """

    basis: Basis
    data_digest: str
    text: str
    curves: dict[str, Curve] = {}

    def check(self, manifest: Manifest, spec: Specification) -> None:
        """Refuse curves that are not this model's.

        Raises
        ------
        BundleRefused
            With code ``malformed``, naming everything that does not fit.
        """
        faults = [f"{name} is no outcome" for name in self.curves if name not in spec.outcomes.names]
        if self.data_digest != manifest.trained_on.data_digest:
            faults.append("they are of a model trained on other data")
        if faults:
            raise BundleRefused("malformed", f"the calibration curves do not fit the model: {'; '.join(faults)}")


def without_curves(manifest: Manifest) -> Calibration:
    """Say why a model has no curves, as far as its manifest tells."""
    data = manifest.trained_on
    if any(m.recalibration is not None for m in manifest.outcomes):
        why = "this model was recalibrated, and the curves from before say nothing of it"
    elif data.kind == "evidence":
        why = "this model rests on published studies and was not compared with the outcomes of patients"
    else:
        why = "this version was registered without one; the report of its training run has the curves"
    return Calibration(basis=data.kind, data_digest=data.data_digest, text=f"There is no calibration plot: {why}.")

"""The committed prior: what was fitted from the evidence, kept as data beside it."""

from __future__ import annotations

from features import Specification
from training.bundle import Prior, PriorParameters
from training.evidence.tables import data_folder

COMMITTED = "prior.json"


def load_parameters() -> PriorParameters:
    """Read the committed coefficients, covariance and case mix."""
    return PriorParameters.model_validate_json((data_folder() / COMMITTED).read_bytes())


def load_prior(spec: Specification) -> Prior:
    """Load the evidence prior that is served when nothing was learned.

    Raises
    ------
    ValueError
        Naming every outcome, term or field in which the committed file and the specification differ; fit it anew
        with ``python -m training.evidence.fit``.
    """
    return Prior(load_parameters(), spec)

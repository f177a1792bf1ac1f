"""The champion on patients who have already been treated: its predictions for the regimen that each received."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features import Specification
from training.bundle import Bundle, Manifest, OutcomeModel, Prior, TrainedOn, load_bundle
from training.registration import alias_version, bundle_folder
from training.registry.cohort import Cohort
from training.store import CHAMPION, MODEL, Store

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Champion:
    """The model that answers now.

    Attributes
    ----------
    version
        Its number in the registry; None when nothing is registered and the evidence stands in.
    folder
        Its bundle; None when the evidence stands in.
    """

    version: str | None
    bundle: Bundle
    folder: Path | None

    @property
    def name(self) -> str:
        """What it is called in sentences."""
        return "the evidence" if self.version is None else f"version {self.version}"


@dataclass(frozen=True)
class Predicted:
    """What a model says of n patients under the regimen each received, by outcome, each of shape (n,).

    Attributes
    ----------
    log_odds
        Of P(outcome | within): the outcome given its parent event.
    reference
        The same under the reference regimen (`training.bundle.reference_regimen`): prognosis alone.
    probability
        P(outcome | given), as it is shown.
    """

    log_odds: Mapping[str, Array]
    reference: Mapping[str, Array]
    probability: Mapping[str, Array]


def load_champion(store: Store, spec: Specification, prior: Prior, alias: str = CHAMPION) -> Champion:
    """Load the version behind an alias; without one, the evidence.

    Raises
    ------
    BundleRefused
        When it cannot be read, or was trained against another specification; the message says what differs.
    """
    version = alias_version(store, alias)
    if version is None:
        return evidence(spec, prior)
    folder = bundle_folder(store, version)
    return Champion(version, load_bundle(folder, spec), folder)


def evidence(spec: Specification, prior: Prior) -> Champion:
    """The evidence as a model: what answers where nothing is registered."""
    manifest = Manifest(
        name=MODEL,
        learner="evidence",
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        code_version="unregistered",
        spec_digest=spec.digest,
        trained_on=TrainedOn(
            kind="evidence",
            text="Published evidence alone; no patient-level data",
            data_digest=prior.parameters.evidence_digest,
        ),
        outcomes=tuple(OutcomeModel(outcome=n, learner="evidence", reason="no registry") for n in spec.outcomes.names),
    )
    return Champion(None, Bundle(manifest, prior, spec), None)


def predict(bundle: Bundle, cohort: Cohort) -> Predicted:
    """Predict every outcome for the regimen that each patient received."""
    received = bundle.engine.received(cohort.patients, cohort.regimens)
    names = bundle.spec.outcomes.names
    conditional = {name: expit(received.log_odds[:, i]) for i, name in enumerate(names)}
    return Predicted(
        log_odds={name: received.log_odds[:, i] for i, name in enumerate(names)},
        reference={name: received.reference[:, i] for i, name in enumerate(names)},
        probability={k: np.asarray(v) for k, v in bundle.spec.outcomes.product(dict(conditional)).items()},
    )


def seen(manifest: Manifest, cohort: Cohort) -> str:
    """Say whether a model was trained on patients of a cohort, as far as dates can tell."""
    data = manifest.trained_on
    if data.last_date is None:
        return "The model has learned from no patient, so it has seen none of these."
    by_then = int((cohort.index_date <= np.datetime64(data.last_date, "D")).sum())
    if by_then == 0:
        return (
            f"None of these {len(cohort):,} patients was seen in training, whose last patient began {data.last_date}."
        )
    return (
        f"{by_then:,} of these {len(cohort):,} patients began by {data.last_date}, the last date of the model's "
        "training data. A model keeps no records, so whether they were among its training patients is a guess; from "
        "the same hospitals they most likely were, and figures on them may flatter it."
    )

"""The dossier: everything that a job says about the model it made, for a person to judge and for a gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.bundle import Bundle, Manifest, Prior, load_bundle
from training.checks import HELD, check_bundle, coverage
from training.crossfit import Assessed
from training.encoded import Encoded
from training.judgement import Judgement
from training.registry.cohort import Cohort
from training.splits import Split
from validation.evaluation import Figure
from validation.gates import GateFacts
from validation.report import ValidationReport

Tick = Callable[[str, str], None]


@dataclass(frozen=True)
class Material:
    """What a dossier is made from.

    Attributes
    ----------
    prior
        The published evidence, not moved by this registry.
    quality
        What validation found; None where nothing was validated.
    folder
        The bundle as it will be registered.
    """

    cohort: Cohort
    encoded: Encoded
    prior: Prior
    quality: ValidationReport | None
    manifest: Manifest
    folder: Path
    winner: Assessed
    assessed: Sequence[Assessed]
    judgement: Judgement
    split: Split


@dataclass(frozen=True)
class Dossier:
    """What was found.

    Attributes
    ----------
    facts
        What gates ask beside the evaluation.
    """

    judgement: Judgement
    facts: GateFacts

    def log(self) -> None:
        """Log every part as an artifact of the active run."""
        import mlflow

        mlflow.log_text(self.judgement.evaluation.model_dump_json(), "evaluation.json")
        mlflow.log_text(self.judgement.deciding.model_dump_json(), "deciding.json")
        mlflow.log_text(self.facts.model_dump_json(indent=1), "checks.json")


def compile_dossier(material: Material, tick: Tick = lambda what, outcome: None) -> Dossier:
    """Compile the dossier of a model that is about to be registered.

    Parameters
    ----------
    tick
        Called before each long part, for progress.
    """
    bundle = load_bundle(material.folder, material.cohort.spec)
    tick("checking", "")
    return Dossier(
        judgement=material.judgement,
        facts=gate_facts(bundle, material.cohort, material.judgement, material.quality),
    )


def gate_facts(bundle: Bundle, cohort: Cohort, judgement: Judgement, quality: ValidationReport | None) -> GateFacts:
    """What gates ask of a bundle beside the evaluation."""
    validated = (
        HELD if quality is not None else Figure(value=None, reason="the registry was not validated within this job")
    )
    return check_bundle(bundle, cohort.spec).model_copy(
        update={
            "judged_against": judgement.champion.version,
            "data_validated": validated,
            "coverage": coverage(bundle, cohort.take(np.flatnonzero(judgement.newest))),
        }
    )

"""The model as data: what is saved, what predicts, and what is refused."""

from training.bundle.bundle import Bundle, add_calibration, load_bundle, rename_bundle, rewrite_bundle, save_bundle
from training.bundle.calibration import Calibration, Curve
from training.bundle.case_mix import CaseMix
from training.bundle.coefficients import PriorParameters
from training.bundle.learned import MissingBaseMargin
from training.bundle.manifest import BundleRefused, Manifest, OutcomeModel, Recalibration, TrainedOn
from training.bundle.prior import Prior
from training.bundle.scored import STATES, Received, Scores
from training.bundle.scores import reference_regimen
from training.bundle.support import RegimenCount, Support

__all__ = [
    "STATES",
    "Bundle",
    "BundleRefused",
    "Calibration",
    "CaseMix",
    "Curve",
    "Manifest",
    "MissingBaseMargin",
    "OutcomeModel",
    "Prior",
    "PriorParameters",
    "Recalibration",
    "Received",
    "RegimenCount",
    "Scores",
    "Support",
    "TrainedOn",
    "add_calibration",
    "load_bundle",
    "reference_regimen",
    "rename_bundle",
    "rewrite_bundle",
    "save_bundle",
]

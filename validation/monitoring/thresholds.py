"""What is shown and what raises an alert, loaded from data."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import Field as Attribute

from features import Part
from features.field import Frozen, Limits

Share = float


class InputThresholds(Frozen):
    """Limits for inputs, regimens and predictions; see ``thresholds.yaml``."""

    window_months: int = Attribute(ge=1)
    missing_points: Share = Attribute(gt=0, lt=1)
    missing_p: Share = Attribute(gt=0, lt=1)
    psi: float = Attribute(gt=0)
    least: int = Attribute(ge=1)
    new_regimen: Share = Attribute(gt=0, lt=1)
    known_regimen: Share = Attribute(ge=0, lt=1)
    sigma: float = Attribute(gt=0)
    family: Share = Attribute(gt=0, lt=1)


class Directions(Frozen):
    """Relative shares of the false alarms: for more events than predicted, and for fewer."""

    more: float = Attribute(gt=0)
    fewer: float = Attribute(gt=0)


class CalibrationThresholds(Frozen):
    """Limits for outcomes; see ``thresholds.yaml``."""

    rolling_months: int = Attribute(ge=1)
    complete: Share = Attribute(gt=0, le=1)
    odds_factor: float = Attribute(gt=1)
    false_alarms: Share = Attribute(gt=0, lt=1)
    aim: Share = Attribute(gt=0, lt=1)
    found: float = Attribute(gt=1)
    stop: Limits
    shares: dict[Part, Directions] = Attribute(min_length=1)


class Thresholds(Frozen):
    """All of them, with a version that is written on every page."""

    version: int
    inputs: InputThresholds
    calibration: CalibrationThresholds


@cache
def load_thresholds() -> Thresholds:
    """Load the thresholds that ship with the project."""
    text = (files("validation.monitoring") / "thresholds.yaml").read_text("utf-8")
    return Thresholds.model_validate(yaml.safe_load(text))

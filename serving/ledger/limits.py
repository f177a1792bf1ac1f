"""How far from its prediction a reported course may lie."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from importlib.resources import files

import yaml
from pydantic import Field

from features import Field as Asked
from features import Problem
from features.field import Frozen


class Start(Frozen):
    """Days between a prediction and day 1 of cycle 1, at most, and why."""

    days: int = Field(gt=0)
    reason: str = Field(min_length=1)

    def problem(self, field: Asked, day: dt.date, predicted: dt.date) -> Problem | None:
        """What is wrong with a start of treatment on a day, for a prediction made on another; None when nothing is."""
        if abs(day - predicted) <= dt.timedelta(days=self.days):
            return None
        return Problem(
            field.name,
            "far_from_prediction",
            f"{field.label} lies more than {self.days} days from the prediction. Check the date, and that the "
            "prediction is this patient's.",
        )


class ReportLimits(Frozen):
    """See ``data/limits.yaml``."""

    start: Start


@lru_cache(maxsize=1)
def load_limits() -> ReportLimits:
    """Load the limits that ship with the project."""
    text = (files("serving.ledger") / "data" / "limits.yaml").read_text("utf-8")
    return ReportLimits.model_validate(yaml.safe_load(text))

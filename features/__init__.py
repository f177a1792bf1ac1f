"""What is known of a patient, a regimen and an outcome, and when; and how it becomes numbers."""

from features.availability import LateInformation, Time
from features.encoding import INTERCEPT
from features.field import Field, Kind, Role
from features.outcome import Outcome, Part
from features.patients import Patients
from features.problem import InvalidValues, Problem
from features.regimen import DEFAULT_WEEKS, MAX_WEEKS, Regimen, UnknownRegimen
from features.specification import Specification, SpecificationError, load_specification

__all__ = [
    "DEFAULT_WEEKS",
    "INTERCEPT",
    "MAX_WEEKS",
    "Field",
    "InvalidValues",
    "Kind",
    "LateInformation",
    "Outcome",
    "Part",
    "Patients",
    "Problem",
    "Regimen",
    "Role",
    "Specification",
    "SpecificationError",
    "Time",
    "UnknownRegimen",
    "load_specification",
]

"""A field: one thing recorded of a patient, with its limits, its time and its reasons."""

from __future__ import annotations

import datetime as dt
import math
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Attribute

from features.availability import Time
from features.problem import Problem


class Frozen(BaseModel):
    """Base of everything declared: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Kind(StrEnum):
    """What values a field takes."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"  # exactly one code
    CODES = "codes"  # any number of codes; an exclusive code stands alone
    DATE = "date"
    TEXT = "text"  # pseudonymous keys only, never free text


class Role(StrEnum):
    """What a field is for."""

    KEY = "key"  # identifies the row or its time and place; never a predictor
    PREDICTOR = "predictor"
    CONFOUNDER = "confounder"
    FLAG = "flag"  # read by a safety rule
    ELIGIBILITY = "eligibility"  # decides whether the record belongs, never a predictor
    PLAN = "plan"  # the planned regimen
    RECORD = "record"  # what happened later; outcomes are read from it


class UnitSlip(Frozen):
    """A confusion of units to suspect.

    A value inside ``suspect`` may have been written in ``unit``; multiplying by ``multiply_by`` would give
    the field's own unit.
    """

    unit: str
    multiply_by: float
    suspect: tuple[float, float]


Scalar = int | float | str | bool
Limits = tuple[float, float]


class Field(Frozen):
    """One declared field.

    Attributes
    ----------
    hard
        Limits, inclusive; a value beyond them is refused.
    usual
        Limits, inclusive; a value beyond them is accepted with the question "are you sure".
    special
        Values outside the hard limits with a meaning of their own (99 = uncountable).
    unknown_codes
        Codes that mean the value is not known (``not_tested``); kept as recorded, but never taken for a value.
    exclusive
        The code of a multiple choice that excludes all others (``none``).
    """

    name: str = Attribute(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    group: str
    kind: Kind
    unit: str | None = None
    hard: Limits | None = None
    usual: Limits | None = None
    special: dict[int, str] = {}
    codes: dict[str, str] = {}
    unknown_codes: tuple[str, ...] = ()
    exclusive: str | None = None
    synonyms: dict[str, str] = {}
    known_at: Time
    required: bool = False
    expected_missing: Limits = (0.0, 0.0)
    roles: tuple[Role, ...]
    identifying: bool = False
    unit_slips: tuple[UnitSlip, ...] = ()
    terminology: dict[str, str] = {}
    aliases: tuple[str, ...] = ()
    ask: str | None = None
    why: str

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        numeric = self.kind in (Kind.INTEGER, Kind.NUMBER)
        coded = self.kind in (Kind.CATEGORY, Kind.CODES)
        if numeric and (self.hard is None or self.usual is None):
            raise ValueError(f"field {self.name}: a number needs hard and usual limits")
        if numeric and self.hard and self.usual and not (self.hard[0] <= self.usual[0] < self.usual[1] <= self.hard[1]):
            raise ValueError(f"field {self.name}: the usual range must lie inside the hard range")
        if coded and not self.codes:
            raise ValueError(f"field {self.name}: a coded field needs codes")
        if not coded and (self.codes or self.unknown_codes or self.exclusive):
            raise ValueError(f"field {self.name}: only coded fields have codes")
        stray = [c for c in (*self.unknown_codes, *self.synonyms.values()) if c not in self.codes]
        if self.exclusive and self.exclusive not in self.codes:
            stray.append(self.exclusive)
        if stray:
            raise ValueError(f"field {self.name}: {', '.join(stray)} not among its codes")
        if self.special and self.kind is not Kind.INTEGER:
            raise ValueError(f"field {self.name}: special values are for integers")
        if Role.PREDICTOR in self.roles and self.known_at is Time.OUTCOME:
            raise ValueError(f"field {self.name}: known only with the outcome, so it cannot be a predictor")
        return self

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers with limits."""
        return self.kind in (Kind.INTEGER, Kind.NUMBER)

    @property
    def asked(self) -> bool:
        """Whether a clinician is asked for it when a prediction is made."""
        return (
            self.known_at is Time.BASELINE
            and not self.identifying
            and bool({Role.PREDICTOR, Role.CONFOUNDER, Role.FLAG, Role.ELIGIBILITY} & set(self.roles))
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the coded columns: one, or one per code for a multiple choice."""
        if self.kind is Kind.CODES:
            return tuple(f"{self.name}={code}" for code in self.codes)
        return (self.name,)

    def allowed(self) -> str:
        """Say in words what is allowed."""
        unit = f" {self.unit}" if self.unit else ""
        if self.numeric and self.hard:
            low, high = (f"{x:g}" for x in self.hard)
            kind = "a whole number" if self.kind is Kind.INTEGER else "a number"
            special = "".join(f", or {v} for {meaning}" for v, meaning in self.special.items())
            return f"{kind} from {low} to {high}{unit}{special}"
        if self.kind is Kind.BOOLEAN:
            return "true or false"
        if self.kind is Kind.CATEGORY:
            return "one of " + ", ".join(self.codes)
        if self.kind is Kind.CODES:
            alone = f" ({self.exclusive} only alone)" if self.exclusive else ""
            return "a list of any of " + ", ".join(self.codes) + alone
        if self.kind is Kind.DATE:
            return "a date as YYYY-MM-DD"
        return "a text of 1 to 64 characters without spaces at its ends"

    def slip_hint(self, number: float) -> str:
        """Return a hint when a number looks like a slip of units, else an empty string."""
        for slip in self.unit_slips:
            if slip.suspect[0] <= number <= slip.suspect[1]:
                return f" If the report is in {slip.unit}, multiply by {slip.multiply_by:g} to get {self.unit}."
        return ""

    def is_missing(self, value: object) -> bool:
        """Whether a raw value stands for "not recorded"."""
        return value is None or (isinstance(value, float) and math.isnan(value)) or value == ""

    def problem(self, value: Any) -> Problem | None:
        """Judge one raw value: the reference that every derived consumer must agree with.

        Parameters
        ----------
        value
            As JSON gives it: number, bool, text, list of texts, or None; dates as text or ``datetime.date``.

        Returns
        -------
        Problem or None
            None when the value may stand. The message never repeats the value.
        """
        if self.is_missing(value):
            if self.required:
                return self._complain("missing_required", "is required")
            return None
        if self.numeric:
            return self._number_problem(value)
        if self.kind is Kind.BOOLEAN:
            return None if isinstance(value, bool) else self._complain("wrong_type", "is not true or false")
        if self.kind is Kind.CATEGORY:
            if not isinstance(value, str):
                return self._complain("wrong_type", "is not a code")
            return None if value in self.codes else self._complain("unknown_code", "is not a known code")
        if self.kind is Kind.CODES:
            return self._codes_problem(value)
        if self.kind is Kind.DATE:
            return self._date_problem(value)
        if not isinstance(value, str):
            return self._complain("wrong_type", "is not text")
        fits = 1 <= len(value) <= 64 and value == value.strip()
        return None if fits else self._complain("malformed", "does not fit")

    def unusual(self, value: Any) -> Problem | None:
        """Ask "are you sure" about a value that may stand but is out of the ordinary."""
        if not self.numeric or self.is_missing(value) or self.problem(value) or self.usual is None:
            return None
        if value in self.special:
            return None
        hint = self.slip_hint(value)
        if hint or not self.usual[0] <= value <= self.usual[1]:
            low, high = (f"{x:g}" for x in self.usual)
            return Problem(
                self.name,
                "unusual_value",
                f"{self.label} is usually {low} to {high} {self.unit or ''}".rstrip() + f"; are you sure?{hint}",
            )
        return None

    def _complain(self, code: str, what: str, hint: str = "") -> Problem:
        return Problem(self.name, code, f"{self.label} {what}; allowed is {self.allowed()}.{hint}")

    def _number_problem(self, value: Any) -> Problem | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._complain("wrong_type", "is not a number")
        if isinstance(value, float) and not math.isfinite(value):  # an integer may be too large for a float
            return self._complain("wrong_type", "is not a finite number")
        if self.kind is Kind.INTEGER and value != int(value):
            return self._complain("wrong_type", "is not a whole number")
        assert self.hard is not None
        if value in self.special:
            return None
        if value < self.hard[0]:
            return self._complain("below_hard_limit", "is below what is possible", self.slip_hint(value))
        if value > self.hard[1]:
            return self._complain("above_hard_limit", "is above what is possible", self.slip_hint(value))
        return None

    def _codes_problem(self, value: Any) -> Problem | None:
        if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(v, str) for v in value):
            return self._complain("wrong_type", "is not a list of codes")
        if not value:
            return self._complain("malformed", "is an empty list; leave it out if it is not known")
        if any(v not in self.codes for v in value):
            return self._complain("unknown_code", "has an unknown code")
        if len(set(value)) != len(value):
            return self._complain("malformed", "repeats a code")
        if self.exclusive in value and len(value) > 1:
            return self._complain("malformed", f"combines {self.exclusive} with other codes")
        return None

    def _date_problem(self, value: Any) -> Problem | None:
        if isinstance(value, dt.date):
            return None
        try:
            # Python also reads 20240131 and 2024-W05-3; only what is said to be allowed is.
            if dt.date.fromisoformat(value).isoformat() == value:
                return None
        except (TypeError, ValueError):
            pass
        return self._complain("wrong_type", "is not a date")

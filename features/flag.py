"""Safety flags: declared rules, evaluated to present, absent or unknown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, get_args

from pydantic import Field as Attribute
from pydantic import model_validator

from features.availability import Time
from features.field import Frozen
from features.rule import Condition, Facts

Severity = Literal["contraindicated", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("contraindicated", "warning", "info")
Status = Literal["present", "unknown"]
Occasion = Literal["simulated", "unusual", "assumed", "low_support"]


class FlagRule(Frozen):
    """One rule. ``key`` tells apart entries that share a code at different thresholds."""

    code: str = Attribute(pattern=r"^[A-Z][A-Z0-9_]*$")
    key: str | None = None
    severity: dict[str, Severity]
    when: Condition
    text: str = Attribute(max_length=140)
    source: str
    review_date: dt.date
    predict_at: Time = Time.BASELINE


class Notice(Frozen):
    """A remark that the service raises itself, and the occasion on which it does."""

    code: str = Attribute(pattern=r"^[A-Z][A-Z0-9_]*$")
    on: Occasion
    severity: Severity
    text: str = Attribute(max_length=140)
    source: str
    review_date: dt.date


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as shown: what, how serious, and whether it applies or could not be checked."""

    code: str
    severity: Severity
    status: Status
    text: str
    source: str


class FlagCatalogue(Frozen):
    """All rules and notices, with a version of their own."""

    version: int
    profiles: tuple[str, ...]
    rules: tuple[FlagRule, ...]
    notices: tuple[Notice, ...]

    @model_validator(mode="after")
    def _every_profile_has_a_severity(self) -> Self:
        for rule in self.rules:
            if set(rule.severity) != set(self.profiles):
                raise ValueError(
                    f"flag {rule.key or rule.code}: needs a severity for each of {', '.join(self.profiles)}"
                )
        occasions = sorted(n.on for n in self.notices)
        if occasions != sorted(get_args(Occasion)):
            raise ValueError(f"notices: exactly one for each of {', '.join(get_args(Occasion))}")
        keys = [rule.key or rule.code for rule in self.rules]
        twice = sorted({k for k in keys if keys.count(k) > 1})
        if twice:
            raise ValueError(f"flags declared twice: {', '.join(twice)}")
        return self

    def notice(self, on: Occasion) -> Notice:
        """The notice raised on an occasion."""
        return next(n for n in self.notices if n.on == on)

    def evaluate(
        self,
        facts: Facts,
        profile: str,
        unknown_codes: Mapping[str, tuple[str, ...]],
        predict_at: Time = Time.BASELINE,
    ) -> list[Flag]:
        """Flags of one patient under one regimen, most serious first.

        Of several entries with one code only the most serious that applies is shown. A rule left open by missing
        input is shown as unknown, unless an entry of its code that is at least as serious applies.
        """
        present: dict[str, Flag] = {}
        unknown: dict[str, Flag] = {}
        for rule in self.rules:
            if rule.predict_at is not predict_at:
                continue
            answer = rule.when.evaluate(facts, unknown_codes)
            if answer is False:
                continue
            severity = rule.severity[profile]
            status: Status = "present" if answer else "unknown"
            flag = Flag(rule.code, severity, status, rule.text, rule.source)
            shown = present if answer else unknown
            held = shown.get(rule.code)
            if held is None or SEVERITIES.index(severity) < SEVERITIES.index(held.severity):
                shown[rule.code] = flag
        settled = {code: SEVERITIES.index(f.severity) for code, f in present.items()}
        still_open = (f for c, f in unknown.items() if SEVERITIES.index(f.severity) < settled.get(c, len(SEVERITIES)))
        flags = [*present.values(), *still_open]
        return sorted(flags, key=lambda f: (f.status == "unknown", SEVERITIES.index(f.severity)))

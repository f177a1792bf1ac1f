"""Safety flags: declared rules, evaluated to present, absent or unknown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, get_args

from pydantic import Field as Attribute
from pydantic import model_validator

from features.availability import Time
from features.field import Frozen
from features.memory import Memory
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


_KEPT = 256  # of each kind in a memo: some 2 kB an entry
_Shown = tuple[list[tuple[Condition, tuple[str, ...]]], list[tuple[int, int, bool, Flag]]]


class Memo:
    """What was found for the same regimens before: answers of atoms and of conditions, and flags raised."""

    def __init__(self) -> None:
        self.atoms: dict[int, tuple[int, int]] = {}
        self.answers: Memory[tuple[Any, ...], tuple[int, int]] = Memory(16 * _KEPT)
        self.raised: Memory[tuple[str, Time, tuple[tuple[int, int], ...]], list[list[Flag]]] = Memory(_KEPT)

    def answer(
        self,
        condition: Condition,
        names: Sequence[str],
        shared: Facts,
        cases: Sequence[Facts],
        unknown_codes: Mapping[str, tuple[str, ...]],
    ) -> tuple[int, int]:
        """`Condition.evaluate_over`, remembered by the facts that the condition reads."""
        read = [shared.get(name) for name in names]
        # Equal keys must mean equal facts, but True equals 1: a field has one type, so that both are not met.
        key = (id(condition), *(tuple(value) if isinstance(value, list) else value for value in read))
        found = self.answers.get(key)
        if found is None:
            found = self.answers.keep(key, condition.evaluate_over(shared, cases, unknown_codes, self.atoms))
        return found


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

    @cached_property
    def _shown(self) -> dict[tuple[str, Time], _Shown]:
        """By profile and time: the conditions with what they read, and each one's flags, most serious first.

        A flag comes with the position of its condition, its rank, and whether it is present.
        """
        shown: dict[tuple[str, Time], _Shown] = {}
        for rule in self.rules:
            for profile, severity in rule.severity.items():
                conditions, flags = shown.setdefault((profile, rule.predict_at), ([], []))
                for status in get_args(Status):
                    flag = Flag(rule.code, severity, status, rule.text, rule.source)
                    flags.append((len(conditions), SEVERITIES.index(severity), status == "present", flag))
                conditions.append((rule.when, tuple(sorted(rule.when.facts()))))
        for _, flags in shown.values():
            flags.sort(key=lambda entry: (not entry[2], entry[1]))
        return shown

    def evaluate(
        self,
        shared: Facts,
        cases: Sequence[Facts],
        profile: str,
        unknown_codes: Mapping[str, tuple[str, ...]],
        memo: Memo | None = None,
        predict_at: Time = Time.BASELINE,
    ) -> list[list[Flag]]:
        """Flags of one patient under each of several regimens, most serious first.

        Of several entries with one code only the most serious that applies is shown. A rule left open by missing
        input is shown as unknown, unless an entry of its code that is at least as serious applies.

        Parameters
        ----------
        shared, cases, memo
            Facts of the patient, facts of each regimen, and what is kept between patients while the regimens stay the
            same. Most patients agree in what a rule reads, and many in all that is raised.

        Returns
        -------
        list of list of Flag
            Not to be changed: another patient may be given the same lists.
        """
        memo = Memo() if memo is None else memo
        conditions, flags = self._shown.get((profile, predict_at), ([], []))
        answers = tuple(memo.answer(c, names, shared, cases, unknown_codes) for c, names in conditions)
        key = (profile, predict_at, answers)
        found = memo.raised.get(key)
        if found is None:
            found = memo.raised.keep(key, self._raised(answers, flags, len(cases)))
        return found

    @staticmethod
    def _raised(
        answers: Sequence[tuple[int, int]], flags: Sequence[tuple[int, int, bool, Flag]], cases: int
    ) -> list[list[Flag]]:
        everywhere = (1 << cases) - 1
        raised: list[list[Flag]] = [[] for _ in range(cases)]
        standing: dict[str, list[tuple[int, int]]] = {}
        # Flags come most serious first and present before unknown: a later one of a code shows only where it is
        # more serious than all that already stand there.
        for position, rank, present, flag in flags:
            true, false = answers[position]
            where = true if present else everywhere & ~(true | false)
            if not where:
                continue
            for held, at in standing.get(flag.code, ()):
                if held <= rank:
                    where &= ~at
            if where:
                standing.setdefault(flag.code, []).append((rank, where))
                while where:
                    lowest = where & -where
                    raised[lowest.bit_length() - 1].append(flag)
                    where ^= lowest
        return raised

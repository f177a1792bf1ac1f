"""A closed language of conditions, for flags and for consistency checks. Nothing in it is executed.

A condition is ``all``/``any``/``not`` over atoms. An atom names one ``fact`` and one comparison. Facts are fields,
derived fields, and properties of the planned regimen (its backbone, biologic, cycles, drug exposures). Answers are
three-valued (Kleene): True, False, or None for "unknown because an input is missing".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from pydantic import Field as Attribute
from pydantic import model_validator

from features.field import Frozen, Scalar

Facts = Mapping[str, Any]
_COMPARISONS = (
    "is_",
    "in_",
    "above",
    "below",
    "at_least",
    "at_most",
    "has_any",
    "unknown",
    "before",
    "after",
)


class Condition(Frozen):
    """One condition, as written in YAML.

    Attributes
    ----------
    all, any, not_
        Combinations of conditions.
    fact
        Name of a fact; exactly one comparison goes with it.
    is_, in_
        Equal to a value; equal to one of several.
    above, below, at_least, at_most
        Numeric comparisons, strict and inclusive.
    has_any
        A multiple choice contains at least one of these codes.
    unknown
        True asks whether the fact is missing or carries a code that means "not known". Never unknown itself.
    before, after
        Compares two date facts.
    """

    all: tuple[Condition, ...] | None = None
    any: tuple[Condition, ...] | None = None
    not_: Condition | None = Attribute(default=None, alias="not")
    fact: str | None = None
    is_: Scalar | None = Attribute(default=None, alias="is")
    in_: tuple[Scalar, ...] | None = Attribute(default=None, alias="in")
    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    has_any: tuple[str, ...] | None = None
    unknown: bool | None = None
    before: str | None = None
    after: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        combined = [self.all is not None, self.any is not None, self.not_ is not None, self.fact is not None]
        if sum(combined) != 1:
            raise ValueError("a condition is exactly one of all, any, not, or a fact with a comparison")
        used = [c for c in _COMPARISONS if getattr(self, c) is not None]
        if (self.fact is not None) != (len(used) == 1):
            raise ValueError("a fact needs exactly one comparison")
        return self

    def facts(self) -> set[str]:
        """Names of every fact the condition reads."""
        named = {n for n in (self.fact, self.before, self.after) if n is not None}
        for part in (*(self.all or ()), *(self.any or ()), *((self.not_,) if self.not_ else ())):
            named |= part.facts()
        return named

    def code_uses(self) -> list[tuple[str, Scalar]]:
        """Every (fact, code) pair compared for equality, so that the specification can check the codes."""
        uses: list[tuple[str, Scalar]] = []
        if self.fact is not None:
            values = (*(self.in_ or ()), *(self.has_any or ()), *(() if self.is_ is None else (self.is_,)))
            uses = [(self.fact, v) for v in values]
        for part in (*(self.all or ()), *(self.any or ()), *((self.not_,) if self.not_ else ())):
            uses += part.code_uses()
        return uses

    def evaluate(self, facts: Facts, unknown_codes: Mapping[str, tuple[str, ...]] | None = None) -> bool | None:
        """Answer True, False, or None when a missing input leaves it open."""
        true, false = self.evaluate_over(facts, (), unknown_codes or {}, {})
        return True if true else False if false else None

    def evaluate_over(
        self,
        shared: Facts,
        cases: Sequence[Facts],
        unknown_codes: Mapping[str, tuple[str, ...]],
        memo: dict[int, tuple[int, int]],
    ) -> tuple[int, int]:
        """Answer for several cases at once, one bit a case.

        Parameters
        ----------
        shared
            Facts that hold in every case (the patient).
        cases
            Facts that differ between cases (the regimens); empty for a single case without any.
        memo
            Answers of atoms that read only `cases`; kept by the caller while the cases stay the same.

        Returns
        -------
        (int, int)
            Bits of the cases in which the condition is true, and in which it is false; neither when it is open.
        """
        everywhere = (1 << max(len(cases), 1)) - 1
        if self.not_ is not None:
            true, false = self.not_.evaluate_over(shared, cases, unknown_codes, memo)
            return false, true
        parts = self.all if self.all is not None else self.any
        if parts is not None:
            true, false = everywhere, 0
            for part in parts:
                yes, no = part.evaluate_over(shared, cases, unknown_codes, memo)
                # A disjunction is the conjunction of the negations, negated.
                true, false = (true & yes, false | no) if self.all is not None else (true & no, false | yes)
                if false == everywhere:
                    break
            return (true, false) if self.all is not None else (false, true)
        if cases and self.fact in cases[0]:
            if id(self) not in memo:
                answers = [self._atom(case, unknown_codes) for case in cases]
                memo[id(self)] = (
                    sum(1 << i for i, answer in enumerate(answers) if answer is True),
                    sum(1 << i for i, answer in enumerate(answers) if answer is False),
                )
            return memo[id(self)]
        answer = self._atom(shared, unknown_codes)
        return (everywhere, 0) if answer else (0, 0) if answer is None else (0, everywhere)

    def _atom(self, facts: Facts, unknown_codes: Mapping[str, tuple[str, ...]]) -> bool | None:
        assert self.fact is not None
        value = facts.get(self.fact)
        missing = value is None or (not isinstance(value, list) and value in unknown_codes.get(self.fact, ()))
        if self.unknown is not None:
            return missing is self.unknown
        # A code such as "not_tested" may be asked for by name; any other question about it stays open.
        asked_by_name = (self.is_ is not None and self.is_ == value) or (self.in_ is not None and value in self.in_)
        if value is None or (missing and not asked_by_name):
            return None
        return self._compare(value, facts)

    def _compare(self, value: Any, facts: Facts) -> bool | None:
        if self.is_ is not None:
            return bool(value == self.is_)
        if self.in_ is not None:
            return value in self.in_
        if self.has_any is not None:
            return bool(set(value) & set(self.has_any))
        for limit, compare in self._numeric():
            if limit is not None:
                return compare(float(value), limit)
        other = facts.get(self.before or self.after or "")
        if other is None:
            return None
        mine, theirs = _date(value), _date(other)
        return mine < theirs if self.before is not None else mine > theirs

    def _numeric(self) -> tuple[tuple[float | None, Callable[[float, float], bool]], ...]:
        return (
            (self.above, lambda a, b: a > b),
            (self.below, lambda a, b: a < b),
            (self.at_least, lambda a, b: a >= b),
            (self.at_most, lambda a, b: a <= b),
        )


def _date(value: Any) -> dt.date:
    return dt.date.fromisoformat(value) if isinstance(value, str) else value

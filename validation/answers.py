"""Declared conditions asked of a whole table at once, column by column."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features import Kind, Patients, Specification
from features.rule import Condition

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def answers(condition: Condition, patients: Patients, computed: Mapping[str, Array] | None = None) -> Array:
    """Evaluate a condition for every patient; the same answers as `Condition.evaluate` one by one.

    Parameters
    ----------
    computed
        Further numeric facts by name, each of shape (n,), NaN where not known.

    Returns
    -------
    (n,) array
        1 where it is true, 0 where it is not, NaN where a missing input leaves it open.
    """
    true, false = _judge(condition, patients, computed or {})
    return np.where(true, 1.0, np.where(false, 0.0, np.nan))


def complaints(
    owner: str, condition: Condition, spec: Specification, computed: frozenset[str] = frozenset()
) -> list[str]:
    """Every name and code in a condition that the specification does not know, or that no column holds."""
    found = []
    for fact in sorted(condition.facts() - computed):
        if fact not in spec.fields and fact not in spec.derived:
            found.append(f"{owner}: {fact} is not a field or derived field")
    for fact, code in condition.code_uses():
        codes = spec.codes(fact) if fact in spec.fields or fact in spec.derived else []
        if codes and code not in codes:
            found.append(f"{owner}: {code} is not a code of {fact}; its codes are {', '.join(codes)}")
    return found


def _judge(condition: Condition, patients: Patients, computed: Mapping[str, Array]) -> tuple[Mask, Mask]:
    """Where a condition is true, and where it is false; neither where it is open (Kleene)."""
    if condition.not_ is not None:
        true, false = _judge(condition.not_, patients, computed)
        return false, true
    parts = condition.all if condition.all is not None else condition.any
    if parts is not None:
        judged = [_judge(part, patients, computed) for part in parts]
        yes, no = (np.stack([side[i] for side in judged]) for i in (0, 1))
        if condition.all is not None:
            return np.asarray(yes.all(axis=0)), np.asarray(no.any(axis=0))
        return np.asarray(yes.any(axis=0)), np.asarray(no.all(axis=0))
    return _atom(condition, patients, computed)


def _atom(condition: Condition, patients: Patients, computed: Mapping[str, Array]) -> tuple[Mask, Mask]:
    assert condition.fact is not None
    spec, name = patients.spec, condition.fact
    field = spec.fields.get(name)
    if field is not None and field.kind is Kind.CODES:
        held = np.stack([patients[column] for column in field.columns])
        missing = np.isnan(held).any(0)
        chosen = [code in (condition.has_any or ()) for code in field.codes]
        yes = (held[chosen] == 1).any(0)
    else:
        column = computed[name] if name in computed else patients[name]
        absent = np.isnan(column)
        codes = [] if name in computed else spec.codes(name)
        missing = absent | _means_unknown(column, codes, spec.unknown_codes.get(name, ()))
        # A code such as "not_tested" may be asked for by name; any other question about it stays open.
        wanted = [v for v in (*(condition.in_ or ()), condition.is_) if v is not None]
        named = np.isin(column, [codes.index(str(v)) for v in wanted] if codes else [float(v) for v in wanted])
        if condition.unknown is None:
            missing = absent | (missing & ~named)
        yes = named if wanted else _compared(condition, column, patients, computed)
        other = condition.before or condition.after
        if other is not None:
            missing = missing | np.isnan(computed[other] if other in computed else patients[other])
    if condition.unknown is not None:
        asked = np.asarray(missing if condition.unknown else ~missing)
        return asked, np.asarray(~asked)
    return np.asarray(yes & ~missing), np.asarray(~yes & ~missing)


def _means_unknown(column: Array, codes: list[str], unknown: tuple[str, ...]) -> Mask:
    return np.isin(column, [codes.index(code) for code in unknown]) if unknown else np.zeros(len(column), dtype=bool)


def _compared(condition: Condition, column: Array, patients: Patients, computed: Mapping[str, Array]) -> Mask:
    with np.errstate(invalid="ignore"):
        for limit, compare in (
            (condition.above, np.greater),
            (condition.below, np.less),
            (condition.at_least, np.greater_equal),
            (condition.at_most, np.less_equal),
        ):
            if limit is not None:
                return np.asarray(compare(column, limit))
        for other, compare in ((condition.before, np.less), (condition.after, np.greater)):
            if other is not None:
                return np.asarray(compare(column, computed[other] if other in computed else patients[other]))
    return np.zeros(len(column), dtype=bool)

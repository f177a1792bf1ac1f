"""One cell as a value: what can be read is read, what cannot stays as written for validation to name."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any

from features import Field, Kind

Reader = Callable[[Any], Any]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LIST = re.compile(r"[;|,]")


@dataclass(frozen=True)
class Habits:
    """How a registry writes its cells.

    Attributes
    ----------
    missing, true_words, false_words
        Lower-case words.
    factor
        Multiplies numbers into the field's unit.
    codes
        Their cell in lower case -> our text.
    """

    missing: frozenset[str]
    true_words: frozenset[str]
    false_words: frozenset[str]
    decimal: str = "."
    dates: str | None = None
    factor: float = 1.0
    codes: dict[str, str] = member(default_factory=dict)


def reader(field: Field, habits: Habits) -> Reader:
    """Return the function that reads one cell of a field.

    Returns
    -------
    Callable
        Gives an int, float, bool, str, ``datetime.date``, list of codes, or None for a cell that is not recorded. A
        cell that cannot be read comes back as it was written.
    """
    read: Reader
    if field.numeric:
        return _typed_number(_unless_missing(_number_reader(field, habits), habits), habits)
    if field.kind is Kind.BOOLEAN:
        read = truth_reader(habits)
    elif field.kind is Kind.CATEGORY:
        read = _code_reader(field)
    elif field.kind is Kind.CODES:
        return _list_reader(field, habits)
    elif field.kind is Kind.DATE:
        read = _date_reader(habits)
    else:
        read = str
    return _unless_missing(read, habits)


def outcome_reader(habits: Habits) -> Reader:
    """Return the function that reads one cell of a yes/no column that carries an outcome itself."""
    return _unless_missing(truth_reader(habits), habits)


def written(value: Any) -> str | None:
    """A cell as text without spaces around it, or None where the file holds nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or repr(value) in ("<NA>", "NaT"):
        return None
    if hasattr(value, "item") and not isinstance(value, str) and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()


def _unless_missing(read: Reader, habits: Habits) -> Reader:
    def guarded(value: Any) -> Any:
        text = written(value)
        if text is None:
            text = ""
        mapped = habits.codes.get(text.lower())
        if mapped is not None:
            return read(mapped)
        return None if text.lower() in habits.missing else read(text)

    return guarded


def truth_reader(habits: Habits) -> Reader:
    """Return the function that reads yes and no."""

    def read(text: str) -> Any:
        word = text.lower()
        return True if word in habits.true_words else False if word in habits.false_words else text

    return read


def _typed_number(read: Reader, habits: Habits) -> Reader:
    # A number that the file itself holds as a number has no decimal sign to be mistaken.
    def guarded(value: Any) -> Any:
        text = None if isinstance(value, str | bool) else written(value)
        return read(value if text is None else text.replace(".", habits.decimal))

    return guarded


def _number_reader(field: Field, habits: Habits) -> Reader:
    def read(text: str) -> Any:
        # With a decimal comma a point may part thousands, so such a cell is not guessed at.
        plain = text if habits.decimal == "." else text.replace(".", " ").replace(habits.decimal, ".")
        if not _NUMBER.fullmatch(plain):
            return text
        number = float(plain)
        if habits.factor != 1.0 and number not in field.special:
            # Ten digits: 4.1 g/dL are 41 g/L, not 41.00000000000001.
            number = float(f"{number * habits.factor:.10g}")
        return int(number) if field.kind is Kind.INTEGER and number.is_integer() else number

    return read


def _code_reader(field: Field) -> Reader:
    known = {**{k.lower(): v for k, v in field.synonyms.items()}, **{c.lower(): c for c in field.codes}}
    return lambda text: known.get(text.lower(), text)


def _list_reader(field: Field, habits: Habits) -> Reader:
    known = {**{k.lower(): v for k, v in field.synonyms.items()}, **{c.lower(): c for c in field.codes}}

    def read(value: Any) -> Any:
        if not isinstance(value, str) and not hasattr(value, "__len__"):
            value = written(value) or ""
        parts = _LIST.split(value) if isinstance(value, str) else list(value)
        texts = [str(part).strip() for part in parts]
        texts = [habits.codes.get(text.lower(), text) for text in texts]
        held = [known.get(text.lower(), text) for text in texts if text.lower() not in habits.missing]
        return held or None

    return read


def _date_reader(habits: Habits) -> Reader:
    def read(text: str) -> Any:
        try:
            return dt.datetime.strptime(text, habits.dates or "%Y-%m-%d").date()
        except ValueError:
            pass
        try:
            # Parquet holds dates as dates, whatever format the map names.
            return dt.datetime.fromisoformat(text).date()
        except ValueError:
            return text

    return read

"""One cell of a registry as validation reads it: recorded or not, and how it is written."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from features import Kind

Answer = TypeVar("Answer")

#: Four, two and two digits; whether they make a day is asked of the calendar apart.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


_LARGEST = int(1e300)


class Written(StrEnum):
    """How a cell is written, whatever it says."""

    TRUTH = "true or false"
    WHOLE = "whole number"
    NUMBER = "number"
    TEXT = "text"
    CODES = "list of texts"
    DATE = "date"
    OTHER = "something else"


#: How the cells of each kind of field may be written.
ACCEPTED: Mapping[Kind, tuple[Written, ...]] = {
    Kind.INTEGER: (Written.WHOLE,),
    Kind.NUMBER: (Written.WHOLE, Written.NUMBER),
    Kind.BOOLEAN: (Written.TRUTH,),
    Kind.CATEGORY: (Written.TEXT, Written.DATE),
    Kind.CODES: (Written.CODES,),
    Kind.DATE: (Written.DATE,),
    Kind.TEXT: (Written.TEXT, Written.DATE),
}


def each(function: Callable[[Any], Answer], cells: Iterable[Any]) -> list[Answer]:
    """Apply a function to every cell, once for cells that are alike: columns repeat themselves."""
    known: dict[Any, Answer] = {}
    answers = []
    for cell in cells:
        key = (type(cell), cell)  # True, 1 and 1.0 are equal, and not alike
        try:
            answer = known[key]
        except KeyError:
            answer = known[key] = function(cell)
        except TypeError:  # a list
            answer = function(cell)
        answers.append(answer)
    return answers


def plain(value: Any) -> Any:
    """A cell as the specification's own values are: no array scalars, no times of day, None when not recorded."""
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, str):
        return value or None
    if isinstance(value, int) and abs(value) > _LARGEST:
        return math.inf  # no float holds it
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def written(value: Any) -> Written | None:
    """Say how a plain cell is written; None when it is not recorded."""
    if value is None:
        return None
    if isinstance(value, bool):
        return Written.TRUTH
    if isinstance(value, int):
        return Written.WHOLE
    if isinstance(value, float):
        if not math.isfinite(value):
            return Written.OTHER
        return Written.WHOLE if value.is_integer() else Written.NUMBER
    if isinstance(value, str):
        return Written.DATE if _DATE.fullmatch(value) else Written.TEXT
    if isinstance(value, dt.date):
        return Written.DATE
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return Written.CODES
    return Written.OTHER

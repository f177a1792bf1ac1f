"""Regular expressions for a multiple choice whose codes are joined by a separator."""

from __future__ import annotations

import re

from features import Field


def known_codes(field: Field, separator: str) -> str:
    """Match when every code is one of the field's; an empty choice is judged by `codes_apart`."""
    code = rf"(?:{'|'.join(map(re.escape, field.codes))})"
    return rf"\A(?:{code}(?:{re.escape(separator)}{code})*)?\Z"


def codes_apart(separator: str) -> str:
    """Match when there is at least one code and none is repeated."""
    part, sign = rf"[^{re.escape(separator)}]+", re.escape(separator)
    repeated = rf"(?:.*{sign})?({part}){sign}(?:.*{sign})?\1(?:{sign}|\Z)"
    return rf"(?s)\A(?!{repeated}).+\Z"


def exclusive_alone(code: str, separator: str) -> str:
    """Match when a code that excludes all others stands alone, or is absent."""
    sign, code = re.escape(separator), re.escape(code)
    return rf"(?s)\A(?:{code}\Z|(?!(?:.*{sign})?{code}(?:{sign}|\Z)))"

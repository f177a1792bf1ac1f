"""What a registry calls a regimen: synonyms of its parts, and both parts in one cell."""

from __future__ import annotations

import re
from typing import Any

from features import Specification, UnknownRegimen

_JOINS = re.compile(r"\s*(?:\+|/|,|;|&|-|\bplus\b|\bwith\b|\band\b)\s*", re.IGNORECASE)


def backbone_name(written: Any, spec: Specification) -> Any:
    """The backbone meant by a synonym, else the cell as written."""
    return _name(written, spec, spec.regimens.backbones)


def biologic_name(written: Any, spec: Specification) -> Any:
    """The biologic meant by a synonym, else the cell as written."""
    return _name(written, spec, spec.regimens.biologics)


def both_names(written: Any, spec: Specification) -> tuple[Any, Any]:
    """Backbone and biologic of one cell such as "FOLFOX + bevacizumab", in either order.

    A backbone alone means no biologic, since the cell states the whole regimen. What is not recognised stays as
    written in the backbone's place.
    """
    if not isinstance(written, str):
        return written, written
    whole = backbone_name(written, spec)
    names = {b.name for b in spec.regimens.backbones}
    alone = next(b.name for b in spec.regimens.biologics if not b.drugs)
    if whole in names:
        return whole, alone
    added = {b.name for b in spec.regimens.biologics}
    for join in _JOINS.finditer(written):
        left, right = written[: join.start()], written[join.end() :]
        for first, second in ((left, right), (right, left)):
            backbone, biologic = backbone_name(first, spec), biologic_name(second, spec)
            if backbone in names and biologic in added:
                return backbone, biologic
    return written, alone


def refusal(written: Any, spec: Specification) -> str | None:
    """Why a cell that names no known backbone is refused, or None when it is known."""
    try:
        spec.regimens.recognise(str(written), spec.regimens.backbones)
    except UnknownRegimen as error:
        return str(error)
    return None


def _name(written: Any, spec: Specification, parts: Any) -> Any:
    if not isinstance(written, str):
        return written
    try:
        return spec.regimens.recognise(written, parts)
    except UnknownRegimen:
        return written

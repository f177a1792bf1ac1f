"""The registry's columns as a table that expectations can read: what they are called and what they are offered for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

import pandas as pd

from features import Field, Specification

#: Words that say whose the column is and not what it holds.
_WHOSE = re.compile(r"\b(patients?|pat|pt)\b")
NAMED, HELD, OFFERED = "named", "holds", "offered_as_predictor"


def plain_name(text: str) -> str:
    """A name in lower case, its words joined by underscores."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return "_".join(re.findall(r"[^\W_]+", spaced.lower()))


def without_owner(text: str) -> str:
    """A plain name without words for "patient": ``patient_mrn`` becomes ``mrn``."""
    return plain_name(_WHOSE.sub(" ", plain_name(text).replace("_", " ")))


def read_columns(names: Sequence[str], predictors: Iterable[str]) -> pd.DataFrame:
    """Make the table of columns, one row a column of the registry or a predictor offered, indexed by its name."""
    offered = list(predictors)
    every = list(dict.fromkeys([*names, *offered]))
    return pd.DataFrame(
        {
            NAMED: [plain_name(name) for name in every],
            HELD: [without_owner(name) for name in every],
            OFFERED: [name if name in offered else None for name in every],
        },
        index=pd.Index(every, name="column"),
        dtype=object,
    )


def names_of(field: Field) -> list[str]:
    """Every plain name under which a field may arrive."""
    return list(dict.fromkeys(plain_name(name) for name in (field.name, field.label, *field.aliases)))


def unused(names: Iterable[str], spec: Specification) -> tuple[str, ...]:
    """Say of every column that the specification does not know what it may be meant for."""
    ours = {plain: f for f in spec.registry_fields for plain in names_of(f)}
    found = []
    for name in names:
        if name in spec.fields or name in spec.outcomes.names:
            continue
        near = difflib.get_close_matches(plain_name(name), ours, n=1, cutoff=0.85)
        hint = f"; if it is {ours[near[0]].name}, map it in the column map" if near else ""
        found.append(f"The column {name} is not in the specification and is not used{hint}.")
    return tuple(found)

"""The part of an address behind the question mark, read strictly: what is not exactly allowed is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams

from features import Problem
from serving.problems import Refusal

#: Characters of a name that are given back: it is the client's own text.
LONGEST_NAME = 80

#: Unknown names that are told.
MOST_UNKNOWN = 20


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Attributes
    ----------
    allowed
        What is allowed, for a refusal: "must be ...".
    read
        Makes a value of the text; raises ValueError for what is not allowed.
    schema
        The same as JSON schema.
    """

    name: str
    allowed: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    description: str = field(default="", kw_only=True)

    def document(self) -> dict[str, Any]:
        """As OpenAPI describes it."""
        told = {"name": self.name, "in": "query", "required": False, "schema": dict(self.schema)}
        return {**told, "description": self.description}


def read_query(query: QueryParams, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Read what an address asks for, by name; what is left out is not in it.

    Raises
    ------
    Refusal
        422 with every parameter that is unknown, repeated or not allowed; no value is repeated.
    """
    known = {parameter.name: parameter for parameter in parameters}
    times = Counter(name for name, _ in query.multi_items())
    names = ", ".join(known)
    unknown = [name for name in times if name not in known][:MOST_UNKNOWN]
    problems = [Problem(name[:LONGEST_NAME], "unknown_field", f"This address takes only {names}.") for name in unknown]
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        if times[name] > 1:
            problems.append(Problem(name, "repeated_field", "Stands twice in the address; send it once."))
        elif times[name]:
            try:
                values[name] = parameter.read(query[name])
            except (ValueError, OverflowError):
                problems.append(Problem(name, "malformed", f"The {name} must be {parameter.allowed}."))
    if problems:
        raise Refusal(422, problems)
    return values

"""The one shape in which the service says no: ``{"errors": [{"field", "code", "message"}]}``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from features import Problem

#: Name of the whole body, where no field of it can be named.
BODY = "body"

#: Problems listed in one answer. A batch of 1,000 patients may have more; the last entry says how many.
MOST_PROBLEMS = 1000

#: Words one of pydantic's errors, given its place: dotted path, code and message, none repeating the value.
Wording = Callable[[tuple[int | str, ...], Mapping[str, Any]], tuple[str, str, str]]


class Refusal(Exception):
    """A request that is not answered, with every reason.

    Parameters
    ----------
    status
        HTTP status.
    problems
        What is wrong; at least one.
    headers
        Further headers of the answer, such as ``Allow``.
    """

    def __init__(self, status: int, problems: Iterable[Problem], headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.problems = tuple(problems)
        self.headers = dict(headers or {})
        super().__init__(f"{status}: {', '.join(sorted({problem.code for problem in self.problems}))}")


def refuse(status: int, field: str, code: str, message: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """Return a refusal for one reason."""
    return Refusal(status, [Problem(field, code, message)], headers)


def respond(refusal: Refusal) -> Response:
    """Write a refusal as an HTTP answer."""
    errors = [{"field": p.field, "code": p.code, "message": p.message} for p in refusal.problems]
    return Response(to_json({"errors": errors}), refusal.status, refusal.headers, "application/json")


def problems_in(error: ValidationError, wording: Wording) -> tuple[Problem, ...]:
    """Return what is wrong with a body, each problem once; beyond `MOST_PROBLEMS` only their number.

    The limit is on the work as well: a body of 1 MiB can hold 100,000 unknown names.
    """
    details = error.errors(include_url=False)[:MOST_PROBLEMS]
    found = dict.fromkeys(Problem(*wording(detail["loc"], detail)) for detail in details)
    if left := error.error_count() - len(details):
        message = f"{left} further problems are not listed. Correct these first."
        found[Problem(BODY, "more_problems", message)] = None
    return tuple(found)

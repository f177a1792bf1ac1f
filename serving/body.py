"""A JSON body, read strictly: what is not exactly a request is refused, with every reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from features import Problem
from serving.application import RequestModels
from serving.problems import BODY, MOST_PROBLEMS, Refusal, problems_in, refuse

#: Characters of a name that are given back: a name may be the client's own text.
LONGEST_NAME = 80


def read_body(headers: Mapping[str, str], body: bytes, model: type[BaseModel], models: RequestModels) -> dict[str, Any]:
    """Check a body and return it as plain data.

    Raises
    ------
    Refusal
        415 for another content type or an encoded body, 400 for what is not JSON, 422 for what is not
        allowed; with every problem that can be found at once.
    """
    _check_type(headers)
    if not body.strip():
        raise refuse(400, BODY, "empty_body", "Send a JSON object; GET /docs shows one.")
    try:
        checked = model.model_validate_json(body)
    except ValidationError as error:
        problems = problems_in(error, models.message_for)
        if error.error_count() == 1 and error.errors(include_url=False)[0]["type"] == "json_invalid":
            raise Refusal(400, problems) from None
        raise Refusal(422, (*problems, *_repeated(body))) from None
    if repeated := _repeated(body):
        raise Refusal(422, repeated)
    return checked.model_dump()


def _check_type(headers: Mapping[str, str]) -> None:
    media, _, parameters = headers.get("content-type", "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if media.strip() != "application/json" or charset not in ("", "utf-8"):
        raise refuse(415, "content-type", "not_json", "Send `Content-Type: application/json`, in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise refuse(415, "content-encoding", "encoded", "Send the body as it is, not compressed.")


class _Repeated(ValueError):
    """An object holds a name twice."""


def _once(items: list[tuple[str, Any]]) -> None:
    if len(dict(items)) < len(items):
        raise _Repeated


# Numbers stay text: they are judged already, and Python refuses an integer of 5,000 digits.
_TEXT: dict[str, Any] = {"parse_int": str, "parse_float": str}
# Made once: the decoder of a hook costs as much to make as a small body to read.
_ONCE = json.JSONDecoder(object_pairs_hook=_once, **_TEXT)


def _repeated(body: bytes) -> tuple[Problem, ...]:
    """Return the names that an object of the body holds twice, of which a parser would keep the last unasked.

    pydantic has read the body before, so it is JSON and not nested too deeply for this.
    """
    text = body.decode()
    try:
        _ONCE.decode(text)
    except _Repeated:
        found: dict[str, None] = {}

        def note(items: list[tuple[str, Any]]) -> None:
            times = Counter(name for name, _ in items)
            found.update((name, None) for name in times if times[name] > 1)

        json.loads(text, object_pairs_hook=note, **_TEXT)
        message = "Stands twice in one object; send it once."
        names = list(found)[:MOST_PROBLEMS]
        return tuple(Problem(name[:LONGEST_NAME], "repeated_field", message) for name in names)
    return ()

"""One refusal of the service, as a test reads it."""

from typing import Any


def only(response: Any) -> dict[str, str]:
    """Return the one error of an answer, whose shape is checked on the way."""
    (error,) = response.json()["errors"]
    assert set(error) == {"field", "code", "message"}
    return error

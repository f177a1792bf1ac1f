"""What the service writes about each request: one line on standard error, and never what was asked.

A line holds when, which route, how it ended, how long it took, who asked and which prediction was given. It holds
neither the address as it was sent nor its query: both can carry a name.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from typing import Any

from starlette.types import Scope

#: Keys under which a route leaves, in the scope of its request, what the line shall name.
CALLER = "resecta.caller"
PREDICTION = "resecta.prediction"
MODEL = "resecta.model"
SIZE = "resecta.size"
STATUS = "resecta.status"
ERROR = "resecta.error"

#: Endings that may be an attack: only these name the address of the client.
_SUSPECT = frozenset({401, 403, 429})


class Form(StrEnum):
    """How lines are written."""

    JSON = "json"
    TEXT = "text"
    OFF = "off"


def _write(line: bytes) -> None:
    # A log that nobody reads any more must not fail the request.
    with suppress(OSError):
        os.write(2, line)


class RequestLog:
    """Writes one line for each request.

    Parameters
    ----------
    form
        As JSON, as text to read, or not at all.
    write
        Takes a whole line; one call a line, so that lines of several workers do not mix.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        form: Form = Form.JSON,
        write: Callable[[bytes], None] = _write,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.form = form
        self._write = write
        self._clock = clock
        self._second = (-1, "")

    def request(self, scope: Scope, route: str, status: int, seconds: float) -> None:
        """Write the line of a request that ended; status 0 is a client that went away before the answer."""
        if self.form is Form.OFF:
            return
        now = self._clock()
        second = int(now)
        if second != self._second[0]:
            # Once a second: the same for all lines of it.
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        when = f"{self._second[1]}.{int((now - second) * 1000):03d}Z"
        get = scope.get
        method = scope["method"]
        # A method is the client's own text; those that are answered are few.
        method = method if method in _METHODS else "OTHER"
        named = [(name, value) for key, name in _NAMED if (value := get(key)) is not None]
        if status in _SUSPECT:
            named.append(("client", (get("client") or ("",))[0]))
        if self.form is Form.JSON:
            more = "".join([f',"{name}":"{_plain(value)}"' for name, value in named])
            line = (
                f'{{"time":"{when}","route":"{route}","method":"{method}","status":{status},"ms":{1000 * seconds:.2f},'
                f'"bytes":{get(SIZE, 0)}{more}}}\n'
            )
        else:
            more = "".join([f" {name}={_plain(value)}" for name, value in named])
            line = f"{when} {method} {route} {status} {1000 * seconds:.2f} ms {get(SIZE, 0)} bytes{more}\n"
        self._write(line.encode())


_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_NAMED = ((CALLER, "caller"), (PREDICTION, "prediction"), (MODEL, "model"), (ERROR, "error"))


@lru_cache(maxsize=1024)
def _plain(value: object) -> str:
    """Return a text without what would end a JSON text or a line; ids and versions have nothing of it."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return json.dumps(text)[1:-1]


class _JsonLines(logging.Formatter):
    """Writes what is logged beside the requests in the same shape."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def write_events(form: Form) -> None:
    """Send what this package logs beside the requests to standard error, in the form of the request lines.

    Errors are written whatever the form: a service that fails in silence cannot be run.
    """
    log = logging.getLogger("resecta")
    handler = logging.StreamHandler(sys.stderr)
    if form is Form.JSON:
        handler.setFormatter(_JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.ERROR if form is Form.OFF else logging.INFO)

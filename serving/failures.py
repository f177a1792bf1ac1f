"""What an error becomes for the client, and what of it is logged: its kind and place, never what it says."""

from __future__ import annotations

import logging
import secrets
import traceback
from http import HTTPStatus
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.types import Scope

from serving.logs import ERROR
from serving.problems import BODY, Refusal, refuse

log = logging.getLogger("resecta")

_ROOT = Path(__file__).resolve().parent.parent


def refusal_of(error: Exception, scope: Scope) -> Refusal:
    """Turn what a route raised into a refusal; of an unexpected error only its kind and place are kept."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return _routing_refusal(error)
    reference = scope[ERROR] = secrets.token_hex(4)
    # Neither the message of the error nor the trace is logged: both may hold what was sent.
    log.error("Error %s: %s at %s", reference, type(error).__name__, _place(error))
    message = f"The service failed; the request may be right. Report the reference {reference}."
    return refuse(500, BODY, "internal_error", message)


def _routing_refusal(error: HTTPException) -> Refusal:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return refuse(404, "path", "no_such_route", "No such address. GET /docs lists those that exist.", headers)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(headers.get("Allow", "").split(", ")))
        return refuse(405, "method", "wrong_method", f"This address takes {allowed}.", {"allow": allowed})
    return refuse(error.status_code, BODY, "refused", HTTPStatus(error.status_code).phrase, headers)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    file = Path(frames[-1].filename)
    shown = file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else Path(*file.parts[-2:])
    return f"{shown}:{frames[-1].lineno} in {frames[-1].name}"

"""Whether a request is admitted: who asks, whether they may, and whether not too often."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import Scope

from serving.access import LOCAL, OPEN, Access, Caller
from serving.callers import Callers
from serving.limits import RATE, UNCOUNTED, Rate, network
from serving.logs import CALLER
from serving.problems import BODY, refuse
from serving.settings import Settings, is_loopback

# Basic comes first: Chromium reads one challenge a header and would not ask for a password behind another kind.
_CHALLENGE = {"www-authenticate": 'Basic realm="resecta", charset="UTF-8", Bearer realm="resecta"'}
_AGAIN = {"retry-after": "1"}

#: Headers that a proxy adds, and no browser (RFC 7239, RFC 9110 7.6.3, and custom), and how others of them begin.
_OF_PROXIES = frozenset({b"forwarded", b"via", b"x-real-ip"})
_FORWARDED = b"x-forwarded-"


class Admission:
    """What one worker knows of callers and of how much they asked.

    Parameters
    ----------
    settings
        RESECTA_TOKEN, the token file and the rate.
    paths
        Templates of the addresses that are answered.
    """

    def __init__(self, settings: Settings, paths: Iterable[str]) -> None:
        self.callers = Callers(settings.token, settings.tokens)
        self.access = Access(paths)
        self._rate = Rate(settings.rate or RATE) if settings.rate != 0 else None
        self._local_rate = self._rate if settings.rate is not None else None

    def admit(self, scope: Scope) -> bytes:
        """Find out who asks and whether they may, and name them in the scope.

        Returns
        -------
        bytes
            The announced length of the body, which stands among the same headers.

        Raises
        ------
        Refusal
            401, 403, 429, or 503 when tokens cannot be checked.
        """
        authorization = length = host = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"content-length":
                length = value
            elif name == b"host":
                host = value
        path = scope["path"]
        if path in OPEN:
            return length
        caller = self._caller(scope, authorization, host)
        scope[CALLER] = caller.name
        counted = not path.startswith(UNCOUNTED)
        if caller is LOCAL:
            if counted:
                self._take(self._local_rate, LOCAL.name)
            return length
        if counted:
            self._take(self._rate, caller.name)
        needed = self.access.roles(path)
        if needed.isdisjoint(caller.roles):
            raise refuse(
                403,
                "authorization",
                "role_missing",
                f"The token {caller.name} has no right to this address: it needs the role "
                f"{' or '.join(sorted(needed))} and has {', '.join(sorted(caller.roles))}. Ask whoever runs the "
                "service for another (`resecta token create`).",
            )
        return length

    def _caller(self, scope: Scope, authorization: bytes, host: bytes) -> Caller:
        callers = self.callers
        callers.refresh()
        if not callers.required:
            if not _is_local(scope.get("server")):
                raise refuse(
                    403,
                    "authorization",
                    "token_not_configured",
                    "The service can be reached from other machines and has no token. Run `resecta token create`, "
                    "or set RESECTA_TOKEN and start it again, or listen on 127.0.0.1.",
                )
            if any(name in _OF_PROXIES or name.startswith(_FORWARDED) for name, _ in scope["headers"]):
                # Who asks a proxy on this machine is elsewhere, and its connection comes from here all the same.
                raise refuse(
                    403,
                    "authorization",
                    "token_needed_behind_proxy",
                    "This request came through a proxy, and the service has no token: whoever reaches the proxy "
                    "would be let in. Run `resecta token create`, or set RESECTA_TOKEN and start the service again.",
                )
            if not _names_this_machine(host):
                # A page elsewhere can have its own name lead here, and would then read answers as its own.
                raise refuse(
                    403,
                    "host",
                    "host_not_local",
                    "A service without tokens answers to localhost and to IP addresses only. Use 127.0.0.1, or "
                    "create a token (`resecta token create`).",
                )
            return LOCAL
        caller = callers.find(authorization)
        if caller is not None:
            return caller
        # Guesses are counted by where they come from, so that they cannot use up what a holder may ask.
        self._take(self._rate, f"@{network((scope.get('client') or ('',))[0])}")
        if callers.broken:
            message = "The service cannot read its list of tokens. Its log says why; tell whoever runs it."
            raise refuse(503, "authorization", "tokens_unreadable", message, _AGAIN)
        raise refuse(
            401,
            "authorization",
            "token_required",
            "Send a token of this service that has not expired: `Authorization: Bearer <token>`, or in a browser any "
            "user name with the token as password.",
            _CHALLENGE,
        )

    @staticmethod
    def _take(rate: Rate | None, caller: str) -> None:
        wait = rate.wait(caller) if rate is not None else 0.0
        if wait > 0.0:
            seconds = math.ceil(wait)
            message = f"Too many requests. Wait {seconds} s, or send many patients at once to POST /predict_batch."
            raise refuse(429, BODY, "rate_exceeded", message, {"retry-after": str(seconds)})


def _is_local(server: tuple[str, int | None] | None) -> bool:
    if server is None:
        return False
    # A Unix socket has a path and no port.
    return server[1] is None or _is_loopback(server[0])


_is_loopback = lru_cache(maxsize=64)(is_loopback)


@lru_cache(maxsize=256)
def _names_this_machine(host: bytes) -> bool:
    """Say whether a Host header is an address or localhost, which no name server gives to others; or missing."""
    name = host.decode("latin-1").lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

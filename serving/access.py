"""Who may ask what: the roles of a token, and the roles that each address takes.

Declared here once and nowhere else. An address that the service answers and that is not listed is for
administrators alone; a test holds the list to the addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Role(StrEnum):
    """What a token is for."""

    PREDICT = "predict"
    OUTCOMES = "outcomes"
    AUDIT = "audit"
    ADMIN = "admin"


class Caller(NamedTuple):
    """Who asks, as the ledger and the log name them."""

    name: str
    roles: frozenset[Role]


EVERY_ROLE: Final = frozenset(Role)

#: Whoever reaches a service that listens on this machine alone and has no tokens.
LOCAL: Final = Caller("local", EVERY_ROLE)

#: Addresses that say nothing about patients and that a load balancer asks without a token.
OPEN: Final = frozenset({"/livez", "/readyz"})


def _for(*roles: Role) -> frozenset[Role]:
    return frozenset({*roles, Role.ADMIN})


#: Address, as a template -> roles of which one is needed.
ROLES: Final[Mapping[str, frozenset[Role]]] = {
    "/predict": _for(Role.PREDICT),
    "/predict_batch": _for(Role.PREDICT),
    "/compare": _for(Role.PREDICT),
    "/explain": _for(Role.PREDICT),
    "/predictions/{prediction_id}": _for(Role.PREDICT, Role.AUDIT),
    "/outcomes": _for(Role.OUTCOMES),
    "/estimates": _for(Role.PREDICT),
    "/audit": _for(Role.AUDIT),
    "/audit/verify": _for(Role.AUDIT),
    "/metrics": _for(Role.AUDIT),
    "/constant": _for(Role.PREDICT),
    # The page asks for predictions with the token that it was opened with.
    "/": _for(Role.PREDICT),
    "/evidence": _for(Role.PREDICT),
    "/static/{name:path}": _for(Role.PREDICT),
    # What any client needs to write a request, whatever it is for.
    "/specification": EVERY_ROLE,
    "/model": EVERY_ROLE,
    "/openapi.json": EVERY_ROLE,
    "/docs": EVERY_ROLE,
    "/docs/{name:path}": EVERY_ROLE,
}


class Access:
    """The roles that an address takes, found without matching patterns.

    Parameters
    ----------
    paths
        Templates of all addresses that are answered; those not in `ROLES` are for administrators.
    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        admin_only = {path: _for() for path in paths if path not in ROLES and path not in OPEN}
        every = {**ROLES, **admin_only}
        self._exact = {path: roles for path, roles in every.items() if "{" not in path}
        prefixes = {path.partition("{")[0]: roles for path, roles in every.items() if "{" in path}
        # The longest first: what is declared more exactly decides.
        self._prefixes = tuple(sorted(prefixes.items(), key=lambda entry: -len(entry[0])))

    def roles(self, path: str) -> frozenset[Role]:
        """Return the roles of which a caller needs one; every role where nothing answers, which is then said."""
        found = self._exact.get(path)
        if found is not None:
            return found
        for prefix, roles in self._prefixes:
            if path.startswith(prefix):
                return roles
        return EVERY_ROLE

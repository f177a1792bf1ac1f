"""`resecta token create|revoke|list`: who may ask the service, and for what."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.access import Role
from serving.tokens import FILE, Token, TokenFile, TokensRefused

#: What each role opens, for the help of the command.
MEANING = {
    Role.PREDICT: "ask for predictions, read them again, use the page",
    Role.OUTCOMES: "record what became of patients",
    Role.AUDIT: "read the ledger and the metrics",
    Role.ADMIN: "everything",
}


def run_token_create(store: Path, name: str, roles: Sequence[str], expires: int | None = None) -> int:
    """Make a token: itself to standard output, once; all words to standard error.

    Parameters
    ----------
    store
        Folder that holds the tokens.
    name
        Who will hold it.
    roles
        One or more of `Role`.
    expires
        Days; None is without end.

    Returns
    -------
    int
        0, or 2 when it cannot be made.
    """
    try:
        token = TokenFile(store / FILE).create(name, roles, expires)
    except TokensRefused as error:
        return _refused(error)
    print(token)
    until = f"for {expires} days" if expires is not None else "until it is revoked"
    print(
        f"This is the token of {name}, valid {until} from the next request on. It is kept nowhere and cannot be shown "
        "again.\nClients send it as `Authorization: Bearer <token>`, browsers as password with any user name.",
        file=sys.stderr,
    )
    return 0


def run_token_revoke(store: Path, name: str) -> int:
    """Withdraw a token for good, from the next request on.

    Returns
    -------
    int
        0, or 2 when there is no such token.
    """
    try:
        revoked = TokenFile(store / FILE).revoke(name)
    except TokensRefused as error:
        return _refused(error)
    print(f"{revoked.name} is revoked: the next request with its token is refused.")
    return 0


def run_token_list(store: Path, *, as_json: bool = False) -> int:
    """Show the tokens by name, with what they open and until when; never a token or its digest.

    Returns
    -------
    int
        0, or 2 when the file cannot be read.
    """
    try:
        tokens = TokenFile(store / FILE).read()
    except TokensRefused as error:
        return _refused(error)
    now = dt.datetime.now(dt.UTC)
    rows = [_row(token, now) for token in tokens]
    if as_json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        print(f"There are no tokens in {store / FILE}. Make one: resecta token create --name NAME --role predict")
    else:
        _table(rows)
    return 0


def _row(token: Token, now: dt.datetime) -> dict[str, str]:
    return {
        "name": token.name,
        "roles": ", ".join(token.roles),
        "state": token.state(now),
        "created": f"{token.created:%Y-%m-%d}",
        "expires": f"{token.expires:%Y-%m-%d}" if token.expires is not None else "never",
        "id": token.id,
    }


def _table(rows: Sequence[dict[str, str]]) -> None:
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    for row in ({name: name for name in widths}, *rows):
        print("  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip())


def _refused(error: TokensRefused) -> int:
    print(error, file=sys.stderr)
    return 2

"""From a header to a caller, while the token file changes under a running worker."""

import base64
import datetime as dt
import os

import pytest

from serving.access import ROLES, Access, Role
from serving.callers import ENVIRONMENT, Callers
from serving.measures import Measures
from serving.routes import Routes
from serving.tokens import TokenFile


@pytest.fixture
def kept(tmp_path) -> TokenFile:
    return TokenFile(tmp_path / "tokens.json")


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


def asked(callers: Callers, header: bytes) -> str | None:
    callers.refresh()
    found = callers.find(header)
    return found.name if found is not None else None


def test_a_token_made_while_the_worker_runs_works_at_once_and_a_revoked_one_fails_at_once(kept):
    callers = Callers(path=kept.path)
    callers.refresh()
    assert not callers.required
    token = kept.create("board", [Role.PREDICT])
    assert asked(callers, bearer(token)) == "board"
    assert callers.required
    kept.revoke("board")
    assert asked(callers, bearer(token)) is None
    assert callers.required


def test_a_browser_shows_the_token_as_password(kept):
    token = kept.create("board", [Role.PREDICT])
    basic = b"Basic " + base64.b64encode(f"anyone:{token}".encode())
    assert asked(Callers(path=kept.path), basic) == "board"


@pytest.mark.parametrize("change", [str.upper, lambda t: t[:-1], lambda t: t + "x", lambda t: t[8:], lambda t: ""])
def test_a_token_that_differs_in_anything_is_nobodys(kept, change):
    token = kept.create("board", [Role.PREDICT])
    callers = Callers(path=kept.path)
    assert asked(callers, bearer(change(token))) is None
    assert asked(callers, bearer(token)) == "board"


def test_the_secret_of_one_token_does_not_open_under_the_id_of_another(kept):
    first, second = kept.create("one", [Role.PREDICT]), kept.create("two", [Role.ADMIN])
    mixed = "_".join([*second.split("_", 2)[:2], first.split("_", 2)[2]])
    assert asked(Callers(path=kept.path), bearer(mixed)) is None


def test_a_token_expires_under_a_running_worker_without_a_change_of_the_file(kept, monkeypatch):
    token = kept.create("student", [Role.PREDICT], days=1)
    callers = Callers(path=kept.path)
    assert asked(callers, bearer(token)) == "student"
    later = dt.datetime.now(dt.UTC).timestamp() + 86_401
    monkeypatch.setattr("serving.callers.time.time", lambda: later)
    assert asked(callers, bearer(token)) is None


def test_the_token_of_the_environment_has_every_right_and_needs_no_file():
    callers = Callers("from-the-environment")
    assert asked(callers, bearer("from-the-environment")) == ENVIRONMENT.name
    assert ENVIRONMENT.roles == {Role.ADMIN}
    assert asked(callers, bearer("from-the-environmenT")) is None


def test_a_spoilt_file_closes_the_service_to_its_tokens_and_a_mended_one_opens_it(kept):
    token = kept.create("board", [Role.PREDICT])
    callers = Callers("spare", path=kept.path)
    good = kept.path.read_bytes()
    kept.path.write_bytes(b"{")
    assert asked(callers, bearer(token)) is None
    assert callers.broken and callers.required
    assert asked(callers, bearer("spare")) == ENVIRONMENT.name
    kept.path.write_bytes(good)
    os.utime(kept.path, ns=(1, 1))
    assert asked(callers, bearer(token)) == "board"
    assert not callers.broken


def test_losing_the_file_opens_nothing(kept):
    token = kept.create("board", [Role.PREDICT])
    callers = Callers(path=kept.path)
    assert asked(callers, bearer(token)) == "board"
    kept.path.unlink()
    assert asked(callers, bearer(token)) is None
    assert callers.required


def test_every_address_has_its_roles_and_those_not_listed_are_for_administrators():
    paths = [route.path for route in Routes(Measures(), bench=True).routes]
    assert set(paths) - {"/livez", "/readyz"} <= set(ROLES)
    access = Access([*paths, "/secret", "/secret/{name}"])
    assert access.roles("/secret") == access.roles("/secret/x") == {Role.ADMIN}
    assert access.roles("/predictions/3f2c") == {Role.PREDICT, Role.AUDIT, Role.ADMIN}
    assert access.roles("/static/page.js") == {Role.PREDICT, Role.ADMIN}
    assert all(Role.ADMIN in roles for roles in ROLES.values())


def test_a_store_that_does_not_exist_holds_no_tokens(tmp_path):
    callers = Callers(path=tmp_path / "missing" / "tokens.json")
    callers.refresh()
    assert not callers.required and not callers.broken

"""Tokens on disk: made once, kept as digests, withdrawn for good."""

import datetime as dt
import hashlib
import json
import multiprocessing
import re
import stat
from pathlib import Path

import pytest

from serving.access import Role
from serving.tokens import TokenFile, TokensRefused
from serving.tokens_command import run_token_create, run_token_list, run_token_revoke

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def kept(tmp_path) -> TokenFile:
    return TokenFile(tmp_path / "store" / "tokens.json")


def test_a_token_has_256_random_bits_and_is_kept_as_its_digest_alone(kept):
    token = kept.create("board", [Role.PREDICT])
    assert re.fullmatch(r"resecta_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", token)
    content = kept.path.read_text()
    assert token not in content
    assert token.rsplit("_", 1)[1] not in content
    (entry,) = kept.read()
    assert entry.sha256 == hashlib.sha256(token.encode()).hexdigest()


def test_only_the_owner_may_read_the_file_and_nothing_else_is_left_beside_it(kept):
    kept.create("board", [Role.PREDICT])
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert {path.name for path in kept.path.parent.iterdir()} == {"tokens.json", "tokens.lock"}


def test_a_revoked_token_stays_listed_and_its_name_is_never_anothers(kept):
    kept.create("board", [Role.PREDICT], now=NOW)
    kept.revoke("board", now=NOW)
    assert [token.state(NOW) for token in kept.read()] == ["revoked"]
    with pytest.raises(TokensRefused, match="of a revoked token"):
        kept.create("board", [Role.PREDICT])
    with pytest.raises(TokensRefused, match="revoked on 2026-03-01 already"):
        kept.revoke("board")


def test_a_token_expires_to_the_second(kept):
    kept.create("student", [Role.PREDICT], days=30, now=NOW)
    (token,) = kept.read()
    assert token.usable(NOW + dt.timedelta(days=30, seconds=-1))
    assert not token.usable(NOW + dt.timedelta(days=30))
    assert token.state(NOW + dt.timedelta(days=30)) == "expired"


def test_everything_wrong_with_a_wanted_token_is_told_at_once(kept):
    with pytest.raises(TokensRefused) as refused:
        kept.create("a b", ["read", "predict"], days=0)
    for part in ("'a b'", "'read'", "predict, outcomes, audit, admin", "not 0"):
        assert part in str(refused.value)
    for name in ("local", "environment"):
        with pytest.raises(TokensRefused, match="the service's own"):
            kept.create(name, [Role.ADMIN])
    with pytest.raises(TokensRefused, match="needs a role"):
        kept.create("board", [])
    assert not kept.path.exists()


def test_an_unknown_name_is_answered_with_those_there_are(kept):
    kept.create("board", [Role.PREDICT])
    with pytest.raises(TokensRefused, match=r"'bord'.*Tokens: board"):
        kept.revoke("bord")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tokens": [{"id": "x"}]}', '{"tokens": [], "more": 1}'])
def test_a_spoilt_file_is_named_and_never_read_as_no_tokens(kept, content):
    kept.create("board", [Role.PREDICT])
    kept.path.write_text(content)
    with pytest.raises(TokensRefused, match=r"tokens\.json is no list of tokens"):
        kept.read()
    with pytest.raises(TokensRefused, match=r"tokens\.json is no list of tokens"):
        kept.create("other", [Role.PREDICT])
    assert kept.path.read_text() == content


def test_a_file_that_others_may_write_is_refused(kept):
    kept.create("board", [Role.PREDICT])
    kept.path.chmod(0o666)
    with pytest.raises(TokensRefused, match="chmod 600"):
        kept.read()


def _make(path: Path, name: str) -> None:
    TokenFile(path).create(name, [Role.PREDICT])


def test_tokens_made_at_the_same_time_are_all_kept(kept):
    context = multiprocessing.get_context("fork")
    made = [context.Process(target=_make, args=(kept.path, f"caller-{n}")) for n in range(12)]
    for process in made:
        process.start()
    for process in made:
        process.join(30)
    assert sorted(token.name for token in kept.read()) == sorted(f"caller-{n}" for n in range(12))


def test_the_command_prints_the_token_alone_and_the_list_never_holds_it(tmp_path, capsys):
    assert run_token_create(tmp_path, "board", ["predict", "outcomes"], 90) == 0
    printed = capsys.readouterr()
    token = printed.out.strip()
    assert token.startswith("resecta_") and "\n" not in token
    assert "cannot be shown again" in printed.err and token not in printed.err
    assert run_token_list(tmp_path) == 0
    listed = capsys.readouterr().out
    assert "board" in listed and "predict, outcomes" in listed and "usable" in listed
    assert run_token_list(tmp_path, as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in rows] == ["usable"]
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert token not in listed and digest not in listed and digest not in json.dumps(rows)
    assert run_token_revoke(tmp_path, "board") == 0
    assert run_token_revoke(tmp_path, "board") == 2
    assert run_token_create(tmp_path, "board", ["predict"]) == 2
    assert "Choose another" in capsys.readouterr().err


def test_a_list_without_tokens_says_how_to_make_one(tmp_path, capsys):
    assert run_token_list(tmp_path) == 0
    assert "resecta token create" in capsys.readouterr().out

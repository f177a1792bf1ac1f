"""What the environment may say, and what it may not."""

import datetime as dt
from pathlib import Path

import pytest

from serving.access import Role
from serving.logs import Form
from serving.settings import Settings, SettingsRefused, is_loopback
from serving.tokens import TokenFile

TOKEN = {"RESECTA_TOKEN": "a-long-random-text-of-32-letters"}


def test_without_variables_the_service_listens_on_this_machine_alone():
    settings = Settings.from_environment({})
    assert (settings.host, settings.port, settings.token) == ("127.0.0.1", 3000, None)
    assert settings.model == "models:/resecta@champion"
    assert settings.store == Path.cwd() / "mlruns"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1", "::ffff:10.0.0.1"])
def test_a_host_beyond_loopback_needs_a_token(host):
    with pytest.raises(SettingsRefused, match="RESECTA_TOKEN is not set"):
        Settings.from_environment({"RESECTA_HOST": host})
    assert Settings.from_environment({"RESECTA_HOST": host, **TOKEN}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost", "::ffff:127.0.0.1", ""])
def test_loopback_needs_none(host):
    assert is_loopback(Settings.from_environment({"RESECTA_HOST": host}).host)


def test_a_token_of_spaces_is_no_token():
    with pytest.raises(SettingsRefused, match="RESECTA_TOKEN is not set"):
        Settings.from_environment({"RESECTA_HOST": "0.0.0.0", "RESECTA_TOKEN": "   "})


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("token", ["s3cret", "x" * 31])
def test_a_token_that_can_be_guessed_is_refused_everywhere_with_how_to_make_one(host, token):
    with pytest.raises(SettingsRefused) as refused:
        Settings.from_environment({"RESECTA_HOST": host, "RESECTA_TOKEN": token, "RESECTA_PORT": "http"})
    told = str(refused.value)
    assert "at least 32 characters" in told and "openssl rand -hex 32" in told
    assert "RESECTA_PORT" in told and token not in told


def test_every_wrong_variable_is_named_at_once():
    with pytest.raises(SettingsRefused) as refused:
        Settings.from_environment(
            {
                "RESECTA_HOST": "hospital.example",
                "RESECTA_PORT": "http",
                "RESECTA_WORKERS": "0",
                "RESECTA_BENCH": "maybe",
            }
        )
    for name in ("RESECTA_HOST", "RESECTA_PORT", "RESECTA_WORKERS", "RESECTA_BENCH"):
        assert name in str(refused.value)


def test_an_argument_goes_before_its_variable():
    settings = Settings.from_environment(
        {"RESECTA_PORT": "4000", "RESECTA_MODEL": "elsewhere"}, port=5000, model="bundle"
    )
    assert (settings.port, settings.model) == (5000, "bundle")


def test_the_token_does_not_show_where_settings_are_printed():
    assert TOKEN["RESECTA_TOKEN"] not in repr(Settings.from_environment(TOKEN))


def test_a_worker_reads_the_same_settings_from_the_environment_it_is_given():
    settings = Settings.from_environment(
        {**TOKEN, "RESECTA_HOST": "0.0.0.0", "RESECTA_WORKERS": "2", "RESECTA_BENCH": "1"}
    )
    assert Settings.from_environment(settings.environment()) == settings


def test_a_usable_token_of_the_store_stands_in_for_the_variable(tmp_path):
    beyond = {"RESECTA_HOST": "0.0.0.0", "RESECTA_STORE": str(tmp_path)}
    kept = TokenFile(tmp_path / "tokens.json")
    kept.create("student", [Role.PREDICT], days=1, now=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(SettingsRefused, match="holds no usable token"):
        Settings.from_environment(beyond)
    kept.create("board", [Role.PREDICT])
    assert Settings.from_environment(beyond).tokens == kept.path
    kept.revoke("board")
    with pytest.raises(SettingsRefused, match="resecta token create"):
        Settings.from_environment(beyond)


def test_an_unreadable_list_of_tokens_is_named_before_the_start(tmp_path):
    (tmp_path / "tokens.json").write_text("{")
    with pytest.raises(SettingsRefused, match="is no list of tokens"):
        Settings.from_environment({"RESECTA_HOST": "0.0.0.0", "RESECTA_STORE": str(tmp_path)})


def test_origins_are_taken_as_browsers_send_them():
    named = {"RESECTA_ALLOWED_ORIGINS": "https://a.example, http://127.0.0.1:8080"}
    assert Settings.from_environment(named).origins == ("https://a.example", "http://127.0.0.1:8080")
    assert Settings.from_environment({}).origins == ()


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "a.example",
        "https://a.example/",
        "https://*.example",
        "https://A.example",
        "https://u:p@a.example",
        "ftp://a.example",
        "https://a.example:x",
        "https://",
    ],
)
def test_what_no_browser_sends_as_origin_is_refused(origin):
    with pytest.raises(SettingsRefused, match="RESECTA_ALLOWED_ORIGINS names"):
        Settings.from_environment({"RESECTA_ALLOWED_ORIGINS": origin})


@pytest.mark.parametrize(("text", "rate"), [("", None), ("0", 0.0), ("2.5", 2.5), ("1e3", 1000.0)])
def test_a_rate_is_a_number_and_zero_is_none(text, rate):
    assert Settings.from_environment({"RESECTA_RATE": text}).rate == rate


@pytest.mark.parametrize("text", ["fast", "-1", "nan", "inf", "0.001", "1e9"])
def test_a_rate_that_is_no_rate_is_refused(text):
    with pytest.raises(SettingsRefused, match="RESECTA_RATE is"):
        Settings.from_environment({"RESECTA_RATE": text})


def test_the_form_of_the_log_is_one_of_three():
    assert Settings.from_environment({}).log is Form.JSON
    assert Settings.from_environment({"RESECTA_LOG": "OFF"}).log is Form.OFF
    with pytest.raises(SettingsRefused, match="json, text, off"):
        Settings.from_environment({"RESECTA_LOG": "verbose"})


def test_guards_reach_the_workers_as_they_were_set():
    named = {"RESECTA_ALLOWED_ORIGINS": "https://a.example", "RESECTA_RATE": "0.5", "RESECTA_LOG": "text"}
    settings = Settings.from_environment(named)
    assert Settings.from_environment(settings.environment()) == settings

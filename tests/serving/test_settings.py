"""What the environment may say, and what it may not."""

from pathlib import Path

import pytest

from serving.settings import Settings, SettingsRefused, is_loopback

TOKEN = {"RESECTA_TOKEN": "a-long-random-text"}


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

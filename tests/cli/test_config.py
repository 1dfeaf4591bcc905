"""Settings: which source wins, what each accepts, and what an error names."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from opsconsole.config import (
    SETTINGS,
    ConsoleOptions,
    KillSettings,
    LimitSettings,
    ServerSettings,
    Settings,
    hub_url,
    load,
)
from opsconsole.errors import ConfigError


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "opsconsole.toml"


def settings(environ: dict[str, str] | None = None, **flags: Any) -> Any:
    return load(flags, {"OPSCONSOLE_CONFIG": "", **(environ or {})})


@pytest.fixture(autouse=True)
def no_file_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def test_defaults_are_a_hub_on_loopback() -> None:
    found = settings()
    assert (found.hub, found.token, found.server, found.limits, found.kill, found.console) == (
        "http://127.0.0.1:8787",
        None,
        ServerSettings(),
        LimitSettings(),
        KillSettings(),
        ConsoleOptions(),
    )


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(toml: Path) -> None:
    toml.write_text("[server]\nport = 3\n")
    file, variable = {"config": str(toml)}, {"OPSCONSOLE_PORT": "2"}
    assert load({**file, "server.port": "1"}, variable).server.port == 1
    assert load(file, variable).server.port == 2
    assert load(file, {}).server.port == 3
    assert settings().server.port == 8787


def test_the_hubs_own_address_follows_its_host_and_port() -> None:
    assert settings({"OPSCONSOLE_PORT": "9000"}).hub == "http://127.0.0.1:9000"
    assert settings({"OPSCONSOLE_HOST": "::1"}).hub == "http://[::1]:8787"
    assert settings({"OPSCONSOLE_HOST": "0.0.0.0", "OPSCONSOLE_PORT": "0"}).hub == "http://127.0.0.1:8787"


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("ws://127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("wss://hub.example:443/", "https://hub.example"),
        ("https://hub.example/ops/", "https://hub.example/ops"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("http://LOCALHOST:80", "http://localhost"),
    ],
)
def test_a_hubs_address_is_normalised(given: str, normal: str) -> None:
    assert hub_url(given) == normal


@pytest.mark.parametrize(
    "given", ["", "ftp://x", "http://", "http://u:p@h", "http://h?token=1", "http://h#x", "http://h:99999", 5]
)
def test_what_is_no_address_of_a_hub_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"hub from --hub is .*; accepted: an address such as"):
        settings(hub=given)


def test_a_wrong_variable_is_named_with_what_is_accepted() -> None:
    with pytest.raises(ConfigError) as caught:
        settings({"OPSCONSOLE_PORT": "eighty"})
    assert str(caught.value) == (
        "server.port from OPSCONSOLE_PORT is 'eighty'; accepted: a whole number from 0 to 65535 (0 = any free port)"
    )


def test_a_wrong_value_in_the_file_is_named_with_its_line(toml: Path) -> None:
    toml.write_text('# ours\nhub = "http://127.0.0.1:1"\n\n[kill]\ncooperative_ms = 1\nterm_ms = -1\n')
    with pytest.raises(ConfigError) as caught:
        settings(config=str(toml))
    assert str(caught.value) == (f"kill.term_ms from {toml}:6 is '-1'; accepted: whole milliseconds from 0 to 60000")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nprot = 1\n", ":2: there is no setting 'server.prot'; did you mean 'server.port'?"),
        ("port = 1\n", ":1: there is no setting 'port'; did you mean 'server.port'?"),
        ("xyzzy = 1\n", ":1: there is no setting 'xyzzy'; there are: "),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_name(toml: Path, text: str, told: str) -> None:
    toml.write_text(text)
    with pytest.raises(ConfigError) as caught:
        settings(config=str(toml))
    assert str(caught.value).startswith(f"{toml}{told}")


@pytest.mark.parametrize("text", ["hub = ", b"\xff\xfe", "hub = 1\nhub = 2\n"])
def test_what_is_no_toml_is_said_to_be_none(toml: Path, text: str | bytes) -> None:
    toml.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match="is not TOML"):
        settings(config=str(toml))


def test_a_named_file_that_is_missing_is_an_error(toml: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        settings({"OPSCONSOLE_CONFIG": str(toml)})


def test_a_token_in_a_file_that_others_read_is_refused(toml: Path) -> None:
    toml.write_text('token = "ops_x_y"\n')
    toml.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        settings(config=str(toml))
    toml.chmod(0o600)
    assert settings(config=str(toml)).token == "ops_x_y"


def test_a_token_never_shows_in_an_error_or_a_picture_of_the_settings() -> None:
    with pytest.raises(ConfigError) as caught:
        settings({"OPSCONSOLE_TOKEN": "secret secret"})
    assert "secret" not in str(caught.value)
    assert "ops_x_y" not in repr(settings({"OPSCONSOLE_TOKEN": "ops_x_y"}))


def test_unlimited_is_a_limit_one_can_write(toml: Path) -> None:
    toml.write_text('[limits]\ncost_usd = "unlimited"\nturns = 5\n')
    assert settings(config=str(toml)).limits == LimitSettings(cost_usd=None, turns=5)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_has_a_variable_and_refuses_a_table(setting: Any, toml: Path) -> None:
    assert setting.variable.startswith("OPSCONSOLE_")
    toml.write_text(f"{setting.key} = {{ a = 1 }}\n")
    with pytest.raises(ConfigError):
        settings(config=str(toml))


def test_no_two_settings_share_a_variable() -> None:
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize("word", ["nan", "inf", "-1", "one", ""])
def test_a_limit_is_a_real_number(word: str) -> None:
    environ = {"OPSCONSOLE_LIMITS_COST_USD": word}
    if word == "":
        assert settings(environ).limits.cost_usd == 5.0
    else:
        with pytest.raises(ConfigError, match=r"limits\.cost_usd"):
            settings(environ)


def test_every_field_of_the_settings_has_a_row() -> None:
    tables = {one.name for one in fields(Settings) if is_dataclass(getattr(settings(), one.name))} - {"prices"}
    within = {f"{table}.{one.name}" for table in tables for one in fields(getattr(settings(), table))}
    plain = {one.name for one in fields(Settings)} - tables - {"source"}
    outside = {"console.keys": "keys", "console.previews": "previews"}
    assert {outside.get(name, name) for name in within | plain} == {setting.key for setting in SETTINGS}

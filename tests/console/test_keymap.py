"""Keys of the settings file: what may be chosen, what is refused and why, and what the console then does."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from textual.keys import _character_to_key

from opsconsole.cli.console import open_console
from opsconsole.cli.keys import keys
from opsconsole.config import load
from opsconsole.console.actions import ACTIONS, BY_KEY
from opsconsole.console.keymap import key_name, keymap, shown
from opsconsole.domain.command import Do
from opsconsole.errors import ConfigError
from opsconsole.protocol.frames import Command
from tests.console.conftest import OpenConsole


def refusal(*chosen: tuple[str, str]) -> str:
    with pytest.raises(ConfigError) as refused:
        keymap(chosen)
    return str(refused.value)


def test_without_choices_the_keys_are_the_defaults() -> None:
    assert (keymap().actions, dict(keymap().by_key)) == (ACTIONS, BY_KEY)


def test_a_choice_replaces_all_keys_of_the_act() -> None:
    made = keymap([("kill", "ctrl+k f9")])
    assert made.action("kill").keys == ("ctrl+k", "f9")
    assert made.action("kill").key_text == "^k f9"
    assert ("runs", "x") not in made.by_key
    assert made.by_key["runs", "f9"].id == "kill"


def test_two_acts_may_swap_their_keys() -> None:
    made = keymap([("pause", "z"), ("freeze", "p")])
    assert (made.by_key["runs", "z"].id, made.by_key["runs", "p"].id) == ("pause", "freeze")


def test_a_key_that_means_another_act_in_the_same_view_is_refused_by_name() -> None:
    assert refusal(("kill", "p")).startswith("[keys] kill: p already means 'pause' in the view ")


def test_one_key_may_mean_different_acts_in_different_views() -> None:
    made = keymap([("verify", "x"), ("approve", "v")])
    assert (made.by_key["audit", "x"].id, made.by_key["approvals", "v"].id) == ("verify", "approve")


@pytest.mark.parametrize(
    ("name", "key", "why"),
    [
        ("kil", "k", "did you mean 'kill'?"),
        ("approve", "enter", "enter always means 'open'; it never decides"),
        ("kill", "escape", "escape always means 'back'"),
        ("back", "B", "escape stays among them"),
        ("open", "0", "enter stays among them"),
        ("kill", "space", "pressed without a thought"),
        ("reject", "tab", "pressed without a thought"),
        ("kill", "ctrl+c", "terminals keep that key"),
        ("kill", "ctrl+m", "terminals keep that key"),
        ("kill", "hyper+k", "that is no key"),
        ("kill", "\x1b", "that is no key"),
        ("kill", "", "1 to 6 keys"),
        ("kill", "a b c f g h j", "1 to 6 keys"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(name: str, key: str, why: str) -> None:
    assert why in refusal((name, key))


@given(st.characters(min_codepoint=33, max_codepoint=126))
def test_a_character_is_named_as_the_terminal_library_names_it(mark: str) -> None:
    assert key_name(mark) == _character_to_key(mark)
    assert shown((key_name(mark),)) == mark


@given(st.lists(st.tuples(st.sampled_from([action.id for action in ACTIONS]), st.text(max_size=6)), max_size=4))
def test_any_choice_is_taken_unambiguously_or_refused(chosen: list[tuple[str, str]]) -> None:
    try:
        made = keymap(chosen)
    except ConfigError:
        return
    for action in made.actions:
        assert action.keys
        assert {made.by_key[view, key].id for view in action.views for key in action.keys} == {action.id}
    assert {action.id for (_, key), action in made.by_key.items() if key == "enter"} == {"open"}
    assert {action.id for (_, key), action in made.by_key.items() if key == "escape"} <= {"back"}


def test_the_settings_file_gives_keys_and_a_theme(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[console]\ntheme = "light"\n[keys]\nkill = "ctrl+k"\nnext = "n tab"\n')
    found = load({"config": str(file)}, {}).console
    assert (found.theme, found.keys) == ("light", (("kill", "ctrl+k"), ("next", "n tab")))


def test_a_theme_or_keys_that_are_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    for text, why in (('[console]\ntheme = "mauve"\n', "console.theme"), ("[keys]\nkill = 3\n", "keys from")):
        file.write_text(text)
        with pytest.raises(ConfigError, match=why):
            load({"config": str(file)}, {})


def test_the_command_prints_the_keys_in_force() -> None:
    found = CliRunner().invoke(keys, [], env={"OPSCONSOLE_KEYS": "kill=ctrl+k"})
    assert found.exit_code == 0
    line = next(line for line in found.output.splitlines() if line.startswith("kill "))
    assert line.split()[:2] == ["kill", "^k"]
    assert "1 of them by OPSCONSOLE_KEYS" in found.output


def test_the_command_refuses_a_conflict() -> None:
    found = CliRunner().invoke(keys, [], env={"OPSCONSOLE_KEYS": "kill=p"})
    assert isinstance(found.exception, ConfigError)
    assert "p already means 'pause'" in str(found.exception)


def test_a_console_does_not_start_with_keys_in_conflict(tmp_path: Path) -> None:
    settings = load({"data_dir": str(tmp_path)}, {"OPSCONSOLE_KEYS": "kill=p", "OPSCONSOLE_TOKEN": "t"})
    with pytest.raises(ConfigError, match="p already means 'pause'"):
        open_console(settings)


async def test_a_chosen_key_kills_and_the_old_one_does_not(console: OpenConsole) -> None:
    async with console(keys=keymap([("kill", "ctrl+k")])) as seat:
        await seat.go("hanger")
        await seat.press("x")
        assert seat.link.commands == []
        assert " ^k kill" in seat.screen.splitlines()[-1]
        await seat.press("ctrl+k")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.KILL, run="run_01KAHANGE07")]


async def test_the_help_shows_chosen_keys(console: OpenConsole) -> None:
    async with console(size=(100, 120), keys=keymap([("kill", "ctrl+k")])) as seat:
        await seat.press("question_mark")
        assert any(line.split()[:2] == ["^k", "kill"] for line in seat.screen.splitlines())

"""What is said of shell commands that are easy to get wrong, and of arguments that are no command."""

from typing import Any

import pytest

from opsconsole.policy.facts.interface import NO_HISTORY, FactConfigError
from opsconsole.policy.facts.shell import FIELDS, MAKER
from tests.policy.facts import shell_commands
from tests.policy.facts.shell_commands import WORKSPACE

CLASSES = (
    "READ_ONLY",
    "WRITES",
    "WRITES_DESTRUCTIVE",
    "LEAVES",
    "LEAVES_DESTRUCTIVE",
    "UNCLEAR",
    "UNCLEAR_DESTRUCTIVE",
    "UNCLEAR_NETWORK",
)
EACH = [
    pytest.param(command, name, id=f"{name}-{number}")
    for name in CLASSES
    for number, command in enumerate(getattr(shell_commands, name))
]
shell = MAKER({"tool": "shell|bash", "arg": "command", "workspace": WORKSPACE})


def said_of(command: Any, **arguments: Any) -> dict[str, Any]:
    return shell({"command": command, **arguments}, NO_HISTORY)


def class_of(command: str) -> str:
    said = said_of(command)
    if said["read_only"]:
        return "READ_ONLY"
    kind = "UNCLEAR" if said["unclear"] else "LEAVES" if said["leaves_workspace"] else "WRITES"
    if said["destructive"]:
        return f"{kind}_DESTRUCTIVE"
    return f"{kind}_NETWORK" if said["network"] else kind


@pytest.mark.parametrize(("command", "expected"), EACH)
def test_a_tricky_command_is_said_to_be_what_it_is(command: str, expected: str) -> None:
    assert class_of(command) == expected


def test_the_list_of_tricky_commands_is_long_and_names_each_once() -> None:
    commands = [command for name in CLASSES for command in getattr(shell_commands, name)]
    assert len(commands) >= 200
    assert len(commands) == len(set(commands))


def test_a_command_that_only_reads_is_said_so_in_every_field() -> None:
    assert said_of("grep -rn x src | head -3") == {
        "read_only": True,
        "writes": False,
        "destructive": False,
        "leaves_workspace": False,
        "network": False,
        "unclear": False,
        "programs": ["grep", "head"],
        "why": "",
    }


def test_an_unclear_command_counts_as_writing_and_leaving() -> None:
    assert said_of("echo $HOME; frob x") == {
        "read_only": False,
        "writes": True,
        "destructive": False,
        "leaves_workspace": True,
        "network": False,
        "unclear": True,
        "programs": ["echo", "frob"],
        "why": "a variable or a substitution",
    }


def test_the_first_reason_is_told_in_words() -> None:
    assert said_of("cat a.txt; cat /etc/passwd; rm b.txt")["why"] == "/etc/passwd is outside the workspace"


def test_the_fields_are_those_that_a_call_gives() -> None:
    said = said_of("ls")
    assert {name: type(value) for name, value in said.items()} == dict(FIELDS)
    assert shell.fields == FIELDS


@pytest.mark.parametrize("value", [None, 3, ["ls"], {"a": 1}, b"ls", True])
def test_what_is_no_text_is_unclear(value: object) -> None:
    assert said_of(value)["unclear"]


def test_a_missing_command_is_unclear() -> None:
    assert shell({}, NO_HISTORY)["unclear"]


def test_another_directory_to_start_in_leaves_the_workspace() -> None:
    assert said_of("ls", cwd="/etc")["leaves_workspace"]
    assert said_of("ls", working_dir=7)["leaves_workspace"]
    assert said_of("ls", cwd=f"{WORKSPACE}/src")["read_only"]


def test_an_argument_that_changes_the_meaning_is_unclear() -> None:
    assert said_of("ls", env={"PATH": "."})["unclear"]
    assert said_of("ls", timeout=5, description="Lists files")["read_only"]


def test_without_a_workspace_every_absolute_path_is_outside() -> None:
    anywhere = MAKER({"arg": "command"})
    assert anywhere({"command": f"ls {WORKSPACE}"}, NO_HISTORY)["leaves_workspace"]
    assert anywhere({"command": "ls src"}, NO_HISTORY)["read_only"]


def test_git_reads_only_where_its_configuration_is_trusted() -> None:
    trusting = MAKER({"arg": "command", "workspace": WORKSPACE, "trusts_git_config": True})
    only_reads = [
        command
        for command in ("git status -s", "git log --oneline -5", "git diff HEAD -- src", "git show HEAD:src/a.py")
        if trusting({"command": command}, NO_HISTORY)["read_only"] and not said_of(command)["read_only"]
    ]
    assert len(only_reads) == 4
    for command in ("git diff --output=x", "git log --ext-diff", "git -c a=b log", "git diff --no-index a b"):
        assert trusting({"command": command}, NO_HISTORY)["unclear"], command


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "arg"),
        ({"arg": ""}, "arg"),
        ({"arg": "command", "workspace": "src"}, "workspace"),
        ({"arg": "command", "workspace": "/"}, "workspace"),
        ({"arg": "command", "workspace": "/srv/../etc"}, "workspace"),
        ({"arg": "command", "workspace": 3}, "workspace"),
        ({"arg": "command", "trusts_git_config": "yes"}, "trusts_git_config"),
        ({"arg": "command", "work_space": "/srv"}, "work_space"),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, Any], field: str) -> None:
    with pytest.raises(FactConfigError) as caught:
        MAKER(config)
    assert caught.value.field == field


def test_a_long_command_is_unclear() -> None:
    assert said_of("ls " + "a" * 20_000)["unclear"]
    assert said_of("ls;" * 100)["unclear"]
    assert said_of("ls" + " a" * 2_000)["unclear"]

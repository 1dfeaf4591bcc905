"""docs/cli.md says what the program does: its exit codes, commands and settings."""

from __future__ import annotations

import re
from pathlib import Path

from opsconsole.cli.exits import MEANINGS
from opsconsole.cli.program import COMMANDS
from opsconsole.config import SETTINGS

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_table_of_exit_codes_is_the_programs() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, re.MULTILINE))
    assert table == {str(int(code)): meaning for code, meaning in MEANINGS.items()}


def test_every_command_is_named() -> None:
    first_cells = " ".join(re.findall(r"^\| (`[a-z].*?) \|", TEXT, re.MULTILINE))
    assert [name for name in COMMANDS if f"`{name}" not in first_cells] == []


def test_every_setting_is_named_with_its_variable() -> None:
    found = re.findall(r"^\| `([a-z_.]+)` \| `(OPSCONSOLE_\w+)` \|", TEXT, re.MULTILINE)
    assert found == [(setting.key, setting.variable) for setting in SETTINGS]

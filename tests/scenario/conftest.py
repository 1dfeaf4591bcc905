"""The commands about cases, run as a person would, against a fake hub that holds one incident."""

from __future__ import annotations

import pytest

from opsconsole.cli import program
from tests.cli.conftest import Run, bare, cli, data_dir, hub

__all__ = ["bare", "cli", "data_dir", "hub"]


@pytest.fixture
def ops(cli: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The program with the commands about cases."""
    monkeypatch.setitem(program.COMMANDS, "record", ("record:record", "Pin a run as a case."))
    monkeypatch.setitem(program.COMMANDS, "test", ("scenario_test:test", "Hold cases against a policy."))
    monkeypatch.setitem(program.COMMANDS, "policy", ("backtest:policy", "Policy files."))
    return cli

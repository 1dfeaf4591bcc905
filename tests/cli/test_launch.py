"""`opsconsole` alone: a hub is found, or started and awaited; and the settings reach what is started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.cli import console as console_command
from opsconsole.cli import launch
from opsconsole.cli.hub import hub_settings
from opsconsole.cli.hub_file import read_hub_file
from opsconsole.config import Settings, load
from opsconsole.errors import HubUnreachable
from tests.cli.conftest import Run
from tests.cli.fake_hub import TOKEN, FakeHub
from tests.support.hub import held_port


@pytest.fixture
def free_port() -> Iterator[int]:
    with held_port() as port:
        yield port


def settings(data_dir: Path, **environ: str) -> Settings:
    return load({}, {"OPSCONSOLE_DATA_DIR": str(data_dir), **environ})


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub on a machine that does much else takes longer than a person waits."""
    monkeypatch.setattr(launch, "READY_SECONDS", 60.0)
    monkeypatch.setattr(launch, "ASK_SECONDS", 60.0)


@pytest.fixture
def ended_hubs(data_dir: Path) -> Iterator[None]:
    """Ends the hub that the test left running on its data directory."""
    yield
    found = read_hub_file(data_dir)
    if found is not None:
        os.kill(found.pid, signal.SIGTERM)
        os.waitpid(found.pid, 0)


@pytest.mark.process
@pytest.mark.usefixtures("ended_hubs")
def test_a_hub_is_started_where_none_answers_and_only_there(data_dir: Path, free_port: int) -> None:
    for name in ("operator", "admin", "agent"):
        (data_dir / f"{name}.token").unlink()
    wanted = settings(data_dir, OPSCONSOLE_PORT=str(free_port))
    started = launch.ensure_hub(wanted)
    assert started is not None
    assert launch.answers(wanted.hub)
    assert launch.ensure_hub(wanted) is None
    found = read_hub_file(data_dir)
    assert found is not None
    assert (found.url, found.pid) == (wanted.hub, started.pid)
    assert started.log.read_text().startswith("opsconsole hub at ")


@pytest.mark.process
def test_a_hub_that_does_not_start_says_why(data_dir: Path, free_port: int) -> None:
    (data_dir / "audit.db").write_bytes(b"not a database")
    with pytest.raises(HubUnreachable, match=r"the hub ended with status \d+: .*audit"):
        launch.ensure_hub(settings(data_dir, OPSCONSOLE_PORT=str(free_port)))


@pytest.mark.parametrize(("mode", "is_told"), [(0o755, True), (0o710, True), (0o700, False)])
def test_a_directory_that_others_may_look_into_is_told_in_one_line(
    bare: Run, data_dir: Path, mode: int, is_told: bool
) -> None:
    (data_dir / "audit.db").touch()  # without its public key: nothing is served
    data_dir.chmod(mode)
    lines = bare("hub", "--no-gateway").stderr.splitlines()
    assert [f"chmod 700 {data_dir}" in line for line in lines if "open to other users" in line] == [True] * is_told


def test_no_hub_is_started_for_an_address_elsewhere(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "answers", lambda url: False)
    monkeypatch.setattr(launch, "start_hub", lambda *args: pytest.fail("started a hub"))
    with pytest.raises(HubUnreachable, match=r"no hub answers at https://hub\.example"):
        launch.ensure_hub(settings(data_dir, OPSCONSOLE_HUB="https://hub.example"))


def test_the_console_needs_a_terminal(cli: Run) -> None:
    done = cli()
    assert done.exit_code == 2
    assert "needs a terminal" in done.stderr


def test_the_console_is_given_what_the_settings_say(
    data_dir: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opsconsole.console import start

    opened: list[Any] = []
    monkeypatch.setattr(start, "run_console", lambda given: opened.append(given) or 0)
    environ = {"OPSCONSOLE_HUB": hub.url, "OPSCONSOLE_KILL_KEY": "twice", "OPSCONSOLE_MOUSE": "no"}
    assert console_command.open_console(settings(data_dir, **environ)) == 0
    (given,) = opened
    assert (given.url, given.token, given.kill_key, given.no_mouse, given.ascii) == (
        hub.url,
        TOKEN,
        "twice",
        True,
        False,
    )


def test_the_hub_is_given_what_the_settings_say(data_dir: Path) -> None:
    environ = {"OPSCONSOLE_PORT": "0", "OPSCONSOLE_LIMITS_COST_USD": "unlimited", "OPSCONSOLE_LIMITS_TURNS": "9"}
    made = hub_settings(settings(data_dir, **environ))
    assert (made.data_dir, made.port, made.cost_usd, made.turns) == (data_dir, 0, None, 9)


def test_the_address_of_a_running_hub_is_found_in_its_data_directory(bare: Run, hub: FakeHub, data_dir: Path) -> None:
    (data_dir / "hub.json").write_text(f'{{"url": "{hub.url}", "pid": {os.getpid()}}}')
    assert bare("runs").exit_code == 0
    assert hub.asked[-1][1] == "/v1/runs"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"url": "ftp://x", "pid": 1}', '{"url": "http://h", "pid": 0}'])
def test_a_hub_file_that_says_nothing_is_no_hub(data_dir: Path, text: str) -> None:
    (data_dir / "hub.json").write_text(text)
    assert read_hub_file(data_dir) is None

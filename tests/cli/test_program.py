"""What holds for every command: light help, one clear line for an error, exit codes, pipes that close."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from opsconsole import __version__
from opsconsole.cli.exits import MEANINGS
from opsconsole.cli.program import COMMANDS, Program
from tests.cli.conftest import Run
from tests.cli.fake_hub import TOKEN, FakeHub, run_row
from tests.support.hub import held_port

HEAVY = ("textual", "httpx", "starlette", "uvicorn", "websockets", "pydantic", "cryptography", "sqlite3", "asyncio")


def spawn(*args: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "opsconsole.cli", *args],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom opsconsole.cli import main\nsys.argv = ['opsconsole', '--help']\n"
        f"try:\n    main()\nexcept SystemExit:\n    print(*sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.split() == []
    assert "Exit codes:" in done.stdout


def test_help_lists_every_command_and_exit_code(bare: Run) -> None:
    words = bare("--help").stdout
    assert [name for name in COMMANDS if f"\n  {name} " not in words] == []
    assert [code for code in MEANINGS if f"\n  {int(code)} " not in words] == []


WITHOUT_JSON = {"console", "hub", "run", "web", "demo", "notify run", "notify test"}
"""They serve, or show what is no text."""
WITHOUT_JSON |= {"audit checkpoint", "audit prove", "audit export"}
"""What they print has a form of its own, which is read elsewhere."""
LIGHT = [name for name in COMMANDS if name not in ("hub", "run", "demo", "console")]


@pytest.mark.parametrize("name", LIGHT)
def test_every_command_explains_itself(bare: Run, name: str) -> None:
    done = bare(name, "--help")
    assert done.exit_code == 0
    assert COMMANDS[name][1].split(" ")[0] in done.stdout


def leaves(name: str, command: click.Command | None) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for inner, one in command.commands.items():
            yield from leaves(f"{name} {inner}", one)
    elif command is not None:
        yield name, command


def test_every_command_that_tells_something_tells_it_as_json_too() -> None:
    program, context = Program("opsconsole"), click.Context(Program("opsconsole"))
    found = dict(leaf for name in COMMANDS for leaf in leaves(name, program.get_command(context, name)))
    without = {
        name for name, one in found.items() if "--json" not in {opt for param in one.params for opt in param.opts}
    }
    assert without == WITHOUT_JSON


def test_the_version_is_the_packages(bare: Run) -> None:
    assert bare("--version").stdout == f"opsconsole, version {__version__}\n"


def test_an_unknown_command_is_wrong_usage(bare: Run) -> None:
    assert bare("explode").exit_code == 2


def test_a_hub_that_is_not_there_exits_4_in_one_line(bare: Run) -> None:
    with held_port() as port:
        url = f"http://127.0.0.1:{port}"
        done = bare("runs", "--hub", url)
    assert done.exit_code == 4
    assert done.stderr.startswith(f"opsconsole: no hub answers at {url}")
    assert len(done.stderr.splitlines()) == 1


def test_without_hub_and_token_the_hub_is_what_is_missing(bare: Run, data_dir: Path) -> None:
    (data_dir / "operator.token").unlink()
    with held_port() as port:
        assert bare("runs", "--hub", f"127.0.0.1:{port}").exit_code == 4


def test_a_missing_token_says_where_it_was_looked_for(cli: Run, data_dir: Path) -> None:
    (data_dir / "operator.token").unlink()
    done = cli("runs")
    assert done.exit_code == 2
    assert str(data_dir / "operator.token") in done.stderr


def test_a_token_of_this_machine_is_not_sent_elsewhere(bare: Run) -> None:
    done = bare("runs", "--hub", "https://hub.invalid", "--json")
    assert done.exit_code in (2, 4)
    assert TOKEN not in done.output


def test_a_proxy_of_the_environment_never_sees_a_local_token(
    cli: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert cli("runs").exit_code == 0


def test_an_unknown_token_exits_5(cli: Run) -> None:
    done = cli("--token", "ops_wrong", "runs")
    assert (done.exit_code, done.stderr) == (5, "opsconsole: this token is not known\n")


def test_a_commands_own_flag_wins_over_the_programs(cli: Run) -> None:
    assert cli("--token", "ops_wrong", "runs", "--token", TOKEN).exit_code == 0


def test_what_is_no_hub_is_said_to_be_none(cli: Run, hub: FakeHub) -> None:
    hub.overrides["GET", "/v1/runs"] = lambda: (200, [1, 2])  # type: ignore[return-value]
    done = cli("runs")
    assert (done.exit_code, done.stderr) == (1, f"opsconsole: {hub.url} does not answer like a hub\n")


@pytest.mark.process
def test_a_reader_that_goes_away_is_no_traceback(hub: FakeHub) -> None:
    hub.runs = {f"run_{n}": run_row(f"run_{n}") for n in range(3_000)}
    process = spawn("runs", OPSCONSOLE_HUB=hub.url, OPSCONSOLE_TOKEN=TOKEN)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.process
def test_ctrl_c_ends_a_waiting_kill_with_130_and_one_line(hub: FakeHub) -> None:
    hub.runs = {"run_A": run_row("run_A")}
    process = None

    def interrupt() -> None:
        assert process is not None
        process.send_signal(signal.SIGINT)

    hub.overrides["GET", "/v1/commands/any"] = interrupt
    hub.report = {"status": "delivered", "settled": False, "runs": []}
    waiting = hub._get

    def get(method: str, parts: list[str], query: dict[str, str]):  # type: ignore[no-untyped-def]
        if parts[0] == "commands":
            interrupt()
        return waiting(method, parts, query)

    hub._get = get  # type: ignore[method-assign]
    process = spawn("kill", "run_A", OPSCONSOLE_HUB=hub.url, OPSCONSOLE_TOKEN=TOKEN)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err.strip() == b"opsconsole: interrupted"


@pytest.mark.parametrize("command", [("approve", "apr_1"), ("kill", "run_A"), ("tokens", "list"), ("status",)])
def test_what_an_agent_starts_finds_no_operators_token(
    cli: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("OPSCONSOLE_RUN", "run_A")
    done = cli(*command)
    assert (done.exit_code, hub.commands) == (2, [])
    assert "inside a supervised run" in done.stderr
    assert "OPSCONSOLE_TOKEN" in done.stderr


def test_inside_a_run_a_token_that_is_given_counts(cli: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONSOLE_RUN", "run_A")
    monkeypatch.setenv("OPSCONSOLE_TOKEN", TOKEN)
    assert cli("runs").exit_code == 0

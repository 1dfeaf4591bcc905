"""What `runs`, `show`, `status`, `tokens` and `backup` ask for and print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub, approval_row, refusal, run_row


@pytest.fixture(autouse=True)
def some_runs(hub: FakeHub) -> None:
    hub.runs = {
        "run_B": run_row("run_B", started_at=2_000.0, agent="writer"),
        "run_A": run_row("run_A", input_tokens=12_000, output_tokens=3_400),
        "run_C": run_row("run_C", started_at=2_500.0, ended_at=3_000.0, state="completed"),
    }


def test_the_list_as_json_holds_what_a_script_needs(cli: Run) -> None:
    rows = json.loads(cli("runs", "--json").stdout)
    wanted = ("run", "agent", "state", "link", "turns", "cost_usd", "started_at")
    assert [{name: row[name] for name in wanted} for row in rows] == [
        {
            "run": run,
            "agent": agent,
            "state": "working",
            "link": "live",
            "turns": 3,
            "cost_usd": 0.25,
            "started_at": started_at,
        }
        for run, agent, started_at in (("run_A", "researcher", 1_000.0), ("run_B", "writer", 2_000.0))
    ]


def test_all_lists_ended_runs_too(cli: Run) -> None:
    assert [row["run"] for row in json.loads(cli("runs", "--all", "--json").stdout)] == ["run_A", "run_B", "run_C"]


def test_the_table_is_aligned(cli: Run) -> None:
    header, first, second = cli("runs").stdout.splitlines()
    assert header.split()[:5] == ["RUN", "AGENT", "STATE", "LINK", "TURNS"]
    assert first.split()[:7] == ["run_A", "researcher", "working", "live", "3", "15.4k", "$0.2500"]
    assert first.index("working") == second.index("working") == header.index("STATE")


def test_a_run_that_is_not_heard_is_never_said_to_work(cli: Run, hub: FakeHub) -> None:
    hub.runs = {"run_A": run_row("run_A", link="lost")}
    text = cli("runs").stdout
    assert "unknown since" in text
    assert "working" not in text


def test_no_live_runs_is_no_error(cli: Run, hub: FakeHub) -> None:
    hub.runs = {}
    done = cli("runs")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no live runs" in done.stderr


def test_a_hostile_agent_name_stays_in_its_cell(cli: Run, hub: FakeHub) -> None:
    hub.runs = {"run_A": run_row("run_A", agent="a\x1b[31m\nrun_Z  fake", doing="\x9b2J")}
    text = cli("runs").stdout
    assert len(text.splitlines()) == 2
    assert not {"\x1b", "\x9b"} & set(text)


def test_show_prints_the_run_its_points_and_its_timeline(cli: Run, hub: FakeHub) -> None:
    point = {"name": "sdk", "link": "live", "caps": ["hold", "pause"], "host": "h", "pid": 7, "heard_at": 1_000.0}
    hub.runs["run_A"]["points"] = [point]
    hub.approvals = {"apr_1": approval_row("apr_1")}
    hub.events = [{"position": 1, "at": 1_000.0, "event": {"type": "note", "level": "info", "text": "hello\x1b[2J"}}]
    text = cli("show", "run_A").stdout
    assert "researcher" in text
    assert "hold pause" in text
    assert "DELETE FROM users" in text
    assert "info: hello␛[2J" in text


@pytest.mark.parametrize(
    "event",
    [
        {"type": "run", "agent": "a", "name": "n"},
        {"type": "state", "state": "failed", "exit": {"code": 3}},
        {"type": "message", "role": "user", "text": "hi"},
        {"type": "tool", "id": "c", "status": "proposed", "name": "sql", "args": {"q": 1}, "duration_ms": 2.0},
        {"type": "usage", "model": "m", "turns": 2},
        {"type": "link", "point": "sdk", "status": "lost"},
        {"type": "command", "do": "kill", "status": "recorded", "by": "op", "text": "why"},
        {"type": "_private", "what": [1, None]},
        {},
    ],
)
def test_every_event_is_one_line_of_the_timeline(cli: Run, hub: FakeHub, event: dict[str, Any]) -> None:
    hub.events = [{"position": 1, "at": 1_000.0, "event": event}]
    done = cli("show", "run_A")
    assert done.exit_code == 0
    assert len(done.stdout.split("TIMELINE\n")[1].splitlines()) == 1


def test_show_of_an_unknown_run_exits_6(cli: Run) -> None:
    assert cli("show", "run_nobody").exit_code == 6


def test_status_counts_runs_and_decisions(cli: Run, hub: FakeHub) -> None:
    hub.approvals = {"apr_1": approval_row("apr_1")}
    found = json.loads(cli("status", "--json").stdout)
    assert (found["hub"], found["role"], found["live_runs"], found["pending_approvals"]) == (hub.url, "operator", 2, 1)
    assert "2 (2 working)" in cli("status").stdout


def test_a_new_token_alone_goes_to_stdout(cli: Run, hub: FakeHub) -> None:
    done = cli("tokens", "create", "ci", "--role", "observer", "--ttl", "2h")
    assert done.stdout == "ops_1_secret\n"
    assert hub.asked[-1][3] == {"name": "ci", "role": "observer", "ttl_seconds": 7_200.0}


def test_a_token_is_revoked_by_its_id(cli: Run, hub: FakeHub) -> None:
    hub.tokens = [{"id": "tok_12", "name": "ci", "role": "observer"}]
    assert cli("tokens", "revoke", "tok_1").exit_code == 0
    assert hub.asked[-1][:2] == ("DELETE", "/v1/tokens/tok_12")


def test_who_may_not_list_tokens_exits_5(cli: Run, hub: FakeHub) -> None:
    hub.overrides["GET", "/v1/tokens"] = lambda: refusal(403, "forbidden", "needs the role admin")
    done = cli("tokens", "list")
    assert (done.exit_code, done.stderr) == (5, "opsconsole: needs the role admin\n")


def test_a_backup_names_its_place_whole(
    cli: Run, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("backup", "copy").exit_code == 0
    assert hub.asked[-1][3] == {"target": str(tmp_path / "copy")}

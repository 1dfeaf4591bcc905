"""What `runs`, `show`, `status`, `tokens` and `backup` ask for and print."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.cli.timeline_text import timeline_lines
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


def test_a_run_that_ended_is_listed_while_its_kill_is_unconfirmed(cli: Run, hub: FakeHub) -> None:
    kill = {"status": "unconfirmed", "proof": "none", "points": [], "total_ms": None}
    hub.runs["run_C"]["kill"] = kill
    hub.runs["run_D"] = run_row("run_D", started_at=1.0, ended_at=3_000.0, state="killed", kill={"status": "dead"})
    assert [row["run"] for row in json.loads(cli("runs", "--json").stdout)] == ["run_A", "run_B", "run_C"]
    assert "KILL UNCONFIRMED" in cli("runs").stdout.splitlines()[-1]


def test_ages_are_by_the_hubs_clock(cli: Run, hub: FakeHub) -> None:
    hub.clock = 1_090.0
    hub.runs = {"run_A": run_row("run_A", waiting={"kind": "approval", "what": "sql", "since": 1_080.0})}
    assert cli("runs").stdout.splitlines()[1].split()[8:] == ["1m30s", "waits", "for", "approval", "sql", "10s"]
    assert "running for 1m30s" in cli("show", "run_A").stdout


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"doing": "bash echo hello"}, {"doing": "bash echo hello"}),
        (
            {"doing": "bash echo", "waiting": {"kind": "approval", "what": "bash", "since": 990.0}},
            {"waiting for": "approval bash 10s", "doing": "bash echo"},
        ),
    ],
)
def test_show_tells_what_a_run_does_from_what_it_waits_for(
    cli: Run, hub: FakeHub, row: dict[str, Any], shown: dict[str, str]
) -> None:
    hub.clock, hub.runs = 1_000.0, {"run_A": run_row("run_A", **row)}
    pairs = [line.partition("  ") for line in cli("show", "run_A").stdout.splitlines()]
    assert {name: value.strip() for name, _, value in pairs if name in ("waiting for", "doing")} == shown


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


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["\x1b]52;c;eA==\x07", "\x9b2J", "a\nb", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["\x1b[2J", "code", "signal"]), inner),
    max_leaves=4,
)
FIELDS = [
    *("id", "name", "status", "args", "result", "error", "duration_ms", "model", "turns", "input_tokens", "ts", "seq"),
    *("output_tokens", "text", "append", "role", "level", "state", "reason", "stop_reason", "exit", "point", "agent"),
    *("why", "by", "do"),
]
KINDS = ["run", "state", "message", "tool", "usage", "note", "link", "command", "_private", ["tool"], None]
EVENTS = JSON | st.dictionaries(st.sampled_from(FIELDS), JSON).flatmap(
    lambda event: st.sampled_from(KINDS).map(lambda kind: {**event, "type": kind})
)


@settings(max_examples=300, deadline=None)
@given(stored=st.lists(st.fixed_dictionaries({"event": EVENTS}, optional={"at": JSON}), max_size=3))
def test_no_event_drives_the_terminal_or_breaks_the_timeline(stored: list[dict[str, Any]]) -> None:
    lines = timeline_lines(stored)
    assert len(lines) == len(stored)
    assert not {char for line in lines for char in line if unicodedata.category(char) == "Cc"}


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


def test_a_token_that_live_runs_need_is_revoked_only_by_force(cli: Run, hub: FakeHub) -> None:
    hub.tokens = [{"id": "tok_1", "name": "billing", "role": "agent"}]
    error = {"code": "precondition_failed", "message": "billing has 1 live run", "current": {"runs": ["run_A"]}}
    hub.overrides["DELETE", "/v1/tokens/tok_1"] = lambda: (409, {"error": error})
    done = cli("tokens", "revoke", "tok_1")
    assert (done.exit_code, done.stderr) == (
        7,
        "opsconsole: billing has 1 live run: run_A; kill them first, or --force\n",
    )
    del hub.overrides["DELETE", "/v1/tokens/tok_1"]
    assert cli("tokens", "revoke", "tok_1", "--force").exit_code == 0
    assert hub.asked[-1][2] == {"force": "1"}


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


def test_the_status_names_the_policy_and_what_is_amiss(cli: Run, hub: FakeHub) -> None:
    info = {"version": "1", "policy": "acme", "policy_hash": "sha256:aa", "alerts": [{"text": "the file is bad"}]}
    hub.overrides["GET", "/v1/info"] = lambda: (200, info)
    done = cli("status").stdout
    assert ["acme sha256:aa" in done, "the file is bad" in done] == [True, True]

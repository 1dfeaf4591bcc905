"""What detectors and breakers have found, from the command line, and what it sends as an answer or for a budget."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub, run_row

LOOP = {
    "id": "alr_aa11", "kind": "loop", "text": "loop: sql called 4 times", "level": "critical", "at": 1_000.0,
    "detector": "loop", "severity": "trip", "evidence": {"tool": "sql", "times": 4}, "paused": True,
}  # fmt: skip
STALL = LOOP | {
    "id": "alr_bb22", "detector": "stall", "severity": "warn", "text": "stall", "runs": ["run_A", "run_B"],
    "evidence": {"line": "run_A waits 200 s for tool x"}, "paused": False,
}  # fmt: skip
OWN = {"id": "run_A:limit", "kind": "limit", "text": "paused at its limit", "level": "critical", "at": 1.0}
REJECTED = {"id": "hub:policy_rejected", "kind": "policy_rejected", "text": "the policy file cannot be used: line 3",
            "level": "critical", "at": 2_000.0}  # fmt: skip
INFO = {"version": "0.1.0", "principal": "operator", "role": "operator", "started_at": 1_000.0}
ACCOUNT = {
    "breaker": "day", "account": "day/agent/bot", "limit": "cost_usd", "window": "day", "used": 1.2, "reserved": 0.0,
    "cap": 1.0, "per_minute": 0.1, "full_in_seconds": 0.0, "runs": 2, "tripped": "$1.20 of $1 in a day",
}  # fmt: skip
CLERK = ACCOUNT | {"account": "day/agent/clerk", "tripped": ""}


@pytest.fixture(autouse=True)
def two_runs(hub: FakeHub) -> None:
    hub.runs = {
        "run_A": run_row("run_A", alerts=[STALL, OWN]),
        "run_B": run_row("run_B", alerts=[STALL, LOOP]),
        "run_C": run_row("run_C", ended_at=5.0, alerts=[LOOP | {"id": "alr_cc33"}]),
    }
    hub.overrides["GET", "/v1/budgets"] = lambda: (200, {"budgets": [ACCOUNT, CLERK], "time": 1_000.0})


def told(cli: Run, *args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cli(*args, "--json").stdout)
    return found


def test_alerts_are_listed_once_each_worst_first(cli: Run) -> None:
    assert [one["id"] for one in told(cli, "alerts")] == ["alr_aa11", "run_A:limit", "alr_bb22"]


def test_a_policy_file_that_cannot_be_used_is_an_alert_of_the_hub_itself(cli: Run, hub: FakeHub) -> None:
    hub.overrides["GET", "/v1/info"] = lambda: (200, INFO | {"alerts": [REJECTED]})
    assert "hub:policy_rejected  critical  the hub" in cli("alerts").stdout
    assert "the policy file cannot be used: line 3" in cli("alerts", "show", "hub:policy_rejected").stdout


def test_of_a_run_s_own_alarms_the_critical_are_listed(cli: Run, hub: FakeHub) -> None:
    note = OWN | {"id": "run_A:error", "kind": "error", "level": "warning"}
    hub.runs["run_A"] = run_row("run_A", alerts=[OWN, note])
    assert "run_A:limit" in [one["id"] for one in told(cli, "alerts")]
    assert "run_A:error" not in [one["id"] for one in told(cli, "alerts", "--all")]


def test_what_the_hub_itself_holds_amiss_awaits_no_answer(cli: Run, hub: FakeHub) -> None:
    hub.overrides["GET", "/v1/info"] = lambda: (200, INFO | {"alerts": [REJECTED]})
    refused = cli("alerts", "answer", "hub:policy_rejected", "fine")
    assert (refused.exit_code, hub.commands) == (7, [])
    assert "it goes when its cause does" in refused.stderr


def test_those_of_ended_runs_are_listed_when_asked_for(cli: Run) -> None:
    assert "alr_cc33" in [one["id"] for one in told(cli, "alerts", "--all")]


def test_what_was_answered_is_no_open_alert(cli: Run, hub: FakeHub) -> None:
    hub.runs = {"run_A": run_row("run_A", alerts=[LOOP | {"verdict": "fine", "verdict_by": "ana"}])}
    assert told(cli, "alerts") == []
    assert "fine by ana" in cli("alerts", "--all").stdout


def test_an_alert_is_shown_with_its_evidence(cli: Run) -> None:
    shown = cli("alerts", "show", "bb22").stdout
    assert "run_A waits 200 s for tool x" in shown
    assert "run_A, run_B" in shown


def test_evidence_drives_no_terminal(cli: Run, hub: FakeHub) -> None:
    hostile = LOOP | {"text": "\x1b]0;x\x07loop", "evidence": {"tool\x1b[2J": "\x1b[31m\nALERT"}}
    hub.runs = {"run_A": run_row("run_A", alerts=[hostile])}
    for args in (("alerts",), ("alerts", "show", "aa11"), ("alerts", "--json")):
        assert "\x1b" not in cli(*args).stdout


def test_an_answer_names_the_alert_and_its_run(cli: Run, hub: FakeHub) -> None:
    assert cli("alerts", "answer", "aa", "fine", "--note", "a poll").exit_code == 0
    (sent,) = hub.commands
    assert {name: sent[name] for name in ("do", "alert", "run", "verdict", "note")} == {
        "do": "answer_alert", "alert": "alr_aa11", "run": "run_B", "verdict": "fine", "note": "a poll",
    }  # fmt: skip


def test_an_alert_that_is_not_there_is_not_answered(cli: Run, hub: FakeHub) -> None:
    assert (cli("alerts", "answer", "zz", "real").exit_code, hub.commands) == (6, [])


def test_budgets_are_listed(cli: Run) -> None:
    shown = cli("budget").stdout
    assert "day/agent/bot" in shown
    assert "TRIPPED $1.20 of $1 in a day" in shown


@pytest.mark.parametrize("target", ["day/agent/bot", "day/agent/b", "bot"])
def test_an_account_is_named_as_listed_by_a_beginning_or_by_whose_it_is(cli: Run, hub: FakeHub, target: str) -> None:
    assert cli("budget", target, "--cost", "3", "--reason", "launch", "--go-on").exit_code == 0
    (sent,) = hub.commands
    assert {name: sent[name] for name in ("do", "account", "caps", "note", "go_on")} == {
        "do": "budget", "account": "day/agent/bot", "caps": {"cost_usd": 3.0}, "note": "launch", "go_on": True,
    }  # fmt: skip


def test_it_is_said_how_many_runs_go_on(cli: Run, hub: FakeHub) -> None:
    hub.overrides["POST", "/v1/commands"] = lambda: (200, {"ok": True, "status": "applied", "current": {"going_on": 3}})
    told = cli("budget", "bot", "--cost", "3", "--reason", "launch", "--go-on").stdout
    assert told == "day/agent/bot: cost_usd 3; runs that go on: 3\n"
    hub.overrides["POST", "/v1/commands"] = lambda: (200, {"ok": True, "status": "applied"})
    assert cli("budget", "bot", "--cost", "3", "--reason", "launch").stdout == "day/agent/bot: cost_usd 3\n"


def test_a_run_is_a_target_too(cli: Run, hub: FakeHub) -> None:
    assert cli("budget", "run_B", "--turns", "9", "--wall-clock", "2h", "--reason", "long").exit_code == 0
    (sent,) = hub.commands
    assert (sent["run"], sent["caps"]) == ("run_B", {"turns": 9, "wall_clock": 7_200.0})


@pytest.mark.parametrize(
    "args",
    [["day/agent/bot", "--cost", "3"], ["--cost", "3", "--reason", "x"], ["day/agent", "--cost", "3", "--reason", "x"]],
    ids=["no reason", "no target", "two fit"],
)
def test_a_change_without_a_reason_or_one_target_is_refused(cli: Run, hub: FakeHub, args: list[str]) -> None:
    assert cli("budget", *args).exit_code != 0
    assert hub.commands == []


def test_a_resume_raises_the_cap_of_a_breaker(cli: Run, hub: FakeHub) -> None:
    assert cli("resume", "run_A", "--cost", "9", "--tool-calls", "50", "--timeout", "0").exit_code == 0
    (sent,) = hub.commands
    assert (sent["do"], sent["caps"]) == ("resume", {"cost_usd": 9.0, "tool_calls": 50})


def test_a_run_is_shown_with_its_runway_and_what_holds_it(cli: Run, hub: FakeHub) -> None:
    hub.runs = {"run_A": run_row("run_A", runway="its $10.00 cap", runway_at=2_000.0, held_by=["day"])}
    shown = cli("show", "run_A").stdout
    assert "reaches its $10.00 cap at " in shown
    assert "held by" in shown

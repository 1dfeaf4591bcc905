"""Agents and hubs that are killed without a word, and what goes on afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.spec.manifest import proves
from tests.spec.place import Place, Row, living, until

pytestmark = pytest.mark.process

SETTINGS = {"OPSCONSOLE_LIMITS_TURNS": "3"}


@proves("restart.checkpoint")
def test_an_agent_that_was_killed_goes_on_from_its_checkpoint(place: Place, tmp_path: Path) -> None:
    args = {"path": str(tmp_path / "out"), "text": "once "}
    agent = place.puppet("worker", "--key", "monday", supervised=False)
    agent.does("checkpoint", state={"done": 7})
    run = agent.run
    assert "checkpoint" in agent.says()
    agent.does("tool", args=args, id="call_1")
    place.decide(place.held(run), "approve")
    assert agent.says()["result"] == "written"
    agent.process.kill()
    again = place.puppet("worker", "--key", "monday", supervised=False)
    again.does("restore")
    again.does("tool", args=args, id="call_1")
    assert (again.run, again.says(), again.says()) == (
        run,
        {"restored": {"done": 7}},
        {"tool": "write_file", "result": "written"},
    )
    assert (tmp_path / "out").read_text() == "once "
    assert len(place.approvals(run)) == 1


@proves("restart.hub-approval", "trap.minted-once")
def test_an_approval_outlives_the_hub_and_lets_the_agent_go_on(place: Place, tmp_path: Path) -> None:
    agent = place.puppet("patient")
    agent.does("tool", args={"path": str(tmp_path / "out"), "text": "x"})
    held = place.held(agent.run)
    place.restart_hub()
    after = place.held(agent.run)
    same = ("approval", "args", "digest", "expires_at")
    assert {name: after[name] for name in same} == {name: held[name] for name in same}
    place.row_when(agent.run, lambda row: row["link"] == "live")
    place.does("approve", held["approval"])
    assert (agent.says()["result"], (tmp_path / "out").read_text()) == ("written", "x")
    assert [one["status"] for one in place.approvals(agent.run)] == ["approved"]


@proves("restart.decided-while-away")
def test_a_decision_taken_while_the_agent_was_away_reaches_it_when_it_is_back(place: Place, tmp_path: Path) -> None:
    args = {"path": str(tmp_path / "out"), "text": "x"}
    agent = place.puppet("away", "--key", "tuesday", supervised=False)
    agent.does("tool", args=args, id="call_1")
    held = place.held(agent.run)
    agent.process.kill()
    place.row_when(agent.run, lambda row: row["link"] != "live")
    assert place.decide(held, "approve")["ok"]
    place.restart_hub()
    again = place.puppet("away", "--key", "tuesday", supervised=False)
    again.does("tool", args=args, id="call_1")
    assert (again.run, again.says()["result"]) == (agent.run, "written")
    assert [one["status"] for one in place.approvals(agent.run)] == ["approved"]


@proves("restart.nothing-lost")
def test_what_an_agent_did_while_the_hub_was_down_is_on_the_timeline_once(place: Place) -> None:
    agent = place.puppet("busy")
    run = agent.run
    place.row_when(run, lambda row: row["state"] == "working")
    place.kill_hub()
    for number in range(20):
        agent.does("note", text=f"note {number}")
    for number in range(20):
        assert agent.says() == {"noted": f"note {number}"}
    place.start_hub()
    until(lambda: len(notes(place, run)) >= 20, "the notes")
    assert notes(place, run) == [f"note {number}" for number in range(20)]


def notes(place: Place, run: str) -> list[str]:
    return [event["text"] for event in place.timeline(run) if event["type"] == "note"]


@proves("trap.spend-window")
def test_a_limit_counts_on_through_restarts_of_the_agent_and_of_the_hub(place: Place) -> None:
    agent = place.puppet("frugal", "--key", "wednesday", supervised=False)
    run = agent.run
    agent.does("model")
    assert agent.says() == {"model": "I read: nothing"}
    place.row_when(run, lambda row: row["turns"] == 1)
    agent.process.kill()
    again = place.puppet("frugal", "--key", "wednesday", supervised=False)
    again.does("model")
    assert (again.run, again.says()) == (run, {"model": "I read: nothing"})
    place.row_when(run, lambda row: row["turns"] == 2)
    place.restart_hub()
    place.row_when(run, lambda row: row["turns"] == 2)  # what was shown and not yet stored is told again
    again.does("model")
    again.does("model")
    row = place.row_when(run, lambda row: row["state"] == "paused")
    assert (row["turns"], again.says(), again.has_said_nothing()) == (3, {"model": "I read: nothing"}, True)
    place.restart_hub()
    row = place.row_when(run, lambda row: (row["state"], row["turns"]) == ("paused", 3))
    assert ([alert["kind"] for alert in row["alerts"]], again.has_said_nothing()) == (["limit"], True)


@proves("trap.cancelled-stays")
def test_a_run_that_was_killed_while_its_agent_was_gone_is_not_restarted(place: Place, tmp_path: Path) -> None:
    agent = place.puppet("cancelled", "--key", "thursday", supervised=False)
    agent.does("tool", args={"path": str(tmp_path / "out"), "text": "x"})
    run, held = agent.run, place.held(agent.run)
    agent.process.kill()
    agent.process.wait()
    assert place.command("kill", run=run)["ok"]
    place.restart_hub()
    assert place.row_of(run)["state"] == "stopping"
    again = place.puppet("cancelled", "--key", "thursday", supervised=False)
    again.does("tool", args={"path": str(tmp_path / "out"), "text": "x"})
    assert (again.run, again.ends()) == (run, 7)
    said: list[Row] = []
    while not said or "stopped" not in said[-1]:
        said.append(again.says())
    assert [line for line in said if "result" in line] == []
    assert place.row_when(run, lambda row: row.get("ended_at"))["state"] == "killed"
    third = place.puppet("cancelled", "--key", "thursday", supervised=False)
    assert ("stopped" in third.says(), third.ends()) == (True, 7)
    assert not (tmp_path / "out").exists()
    assert place.decide(held, "approve")["error"]["code"] == "already_settled"


@proves("restart.killed-hub")
def test_a_run_that_was_killed_is_still_dead_after_a_restart_of_the_hub(place: Place) -> None:
    agent = place.puppet("dead", supervised=False)
    place.settled(place.command("kill", run=agent.run)["cmd"])
    before = place.row_of(agent.run)
    place.restart_hub()
    after = place.row_of(agent.run)
    assert (after["state"], after["kill"]) == ("killed", before["kill"])


@proves("restart.agent-killed")
def test_an_agent_killed_from_outside_is_told_as_failed_by_its_supervisor(place: Place) -> None:
    agent = place.puppet("struck")
    agent.does("spawn")
    run = place.supervised(agent)
    child = agent.says()["spawned"]
    (own,) = [pid for pid in living(run) if b"puppet.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(own, signal.SIGKILL)
    assert agent.ends() == 137
    row = place.row_when(run, lambda row: row.get("ended_at"))
    assert (row["state"], row["exit_signal"]) == ("failed", "SIGKILL")
    assert child not in living(run)

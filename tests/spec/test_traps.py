"""Traps that others fell into, each sprung on purpose."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.spec.manifest import proves
from tests.spec.place import Place, until
from tests.support.hub import AgentSocket, RunningHub, note, proposal, working

pytestmark = pytest.mark.process


@proves("trap.missing-decision")
def test_a_call_that_nobody_decides_on_never_runs(place: Place, tmp_path: Path) -> None:
    agent = place.puppet("undecided", supervised=False)
    agent.does("tool", args={"path": str(tmp_path / "out"), "text": "x"}, ttl_seconds=0.5)
    assert agent.says() == {"tool": "write_file", "refused": "Nobody answered in time."}
    (expired,) = place.approvals(agent.run)
    assert (expired["status"], (tmp_path / "out").exists()) == ("expired", False)
    assert place.decide(expired, "approve")["error"]["code"] == "already_settled"


@proves("trap.denial-stays")
async def test_a_denial_is_a_denial_after_its_time_is_over_too(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_denied") as agent:
        await agent.begin()
        await agent.stored(await agent.emit(proposal("call_1", "shell", {}) | {"ttl_seconds": 6.0}))
        held = place.held("run_denied")
    assert place.decide(held, "reject", note="no")["ok"]
    until(lambda: time.time() > held["expires_at"] + 0.2, "the end of its time")
    async with hub.agent("run_denied") as agent:
        verdict = await agent.next("cmd")
        assert (verdict["outcome"], verdict["text"]) == ("deny", "no")
    assert [one["status"] for one in place.approvals("run_denied")] == ["rejected"]


@proves("trap.shown-is-run")
def test_arguments_changed_while_a_call_is_held_do_not_run(place: Place, tmp_path: Path) -> None:
    agent = place.puppet("sly", supervised=False)
    shown, later = {"path": str(tmp_path / "out"), "text": "shown"}, {"text": "never shown"}
    agent.does("changing_tool", args=shown, later=later)
    held = place.held(agent.run)
    assert held["args"] == shown
    place.decide(held, "approve")
    assert agent.says()["result"] == "written"
    assert (tmp_path / "out").read_text() == "shown"


@proves("trap.shown-is-proposed")
async def test_a_call_proposed_again_with_other_arguments_is_refused(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_swap") as agent:
        await agent.begin()
        await agent.propose("call_1", command="ls")
        held = place.held("run_swap")
        await agent.propose("call_1", command="rm -r /")
        verdict = await agent.next("cmd")
        assert (verdict["outcome"], verdict["rule"]) == ("deny", "gate:changed")
        assert [one["args"] for one in place.approvals("run_swap")] == [{"command": "ls"}]
        assert place.held("run_swap")["digest"] == held["digest"]


@proves("trap.late-write")
async def test_a_late_write_does_not_revive_a_dead_run(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_dead", gen="g1") as agent:
        await agent.begin(caps=("hold", "kill_cooperative"))
        killed = place.command("kill", run="run_dead")
        command = await agent.next("cmd")
        await agent.send(t="ack", run="run_dead", cseq=command["cseq"])
        await agent.send(t="res", cmd=command["cmd"], run="run_dead", ok=True, status="applied", proof="cooperative")
        place.settled(killed["cmd"])
        await agent.emit(working(), note("I am alive"))
        await agent.propose("call_late", text="late")
        row = place.row_when("run_dead", lambda row: row["zombie"])
        assert (row["state"], place.approvals("run_dead")) == ("killed", [])
        assert (await agent.next("cmd"))["outcome"] == "deny"


@proves("trap.heartbeat")
async def test_a_run_that_only_beats_makes_no_progress(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_hung") as agent:
        await agent.begin()
        before = place.row_of("run_hung")
        await agent.send(t="beat", n=1, now=time.time(), busy="the agent's loop has stood still for 30 s")
        after = place.row_when("run_hung", lambda row: row["points"][0]["busy"])
        assert after["points"][0]["busy"] == "the agent's loop has stood still for 30 s"
        assert after["points"][0]["heard_at"] > before["points"][0]["heard_at"]
        assert (after["link"], after["progress_at"]) == ("live", before["progress_at"])


@proves("trap.no-end")
def test_an_agent_that_vanished_without_an_end_is_not_called_alive(place: Place) -> None:
    agent = place.puppet("vanished", supervised=False)
    place.row_when(agent.run, lambda row: row["link"] == "live")
    agent.process.kill()
    row = place.row_when(agent.run, lambda row: row["link"] != "live")
    assert (row["link"], row["state"], "ended_at" in row) == ("stale", "working", False)


@proves("trap.backlog")
async def test_yesterdays_message_is_not_delivered_as_new(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_backlog") as agent:
        await agent.begin()
    old = place.command("inject", run="run_backlog", text="stop before noon", ttl_seconds=0.2)
    place.settled(old["cmd"])
    assert place.get(f"commands/{old['cmd']}")["status"] == "expired"
    place.command("inject", run="run_backlog", text="hello")
    async with hub.agent("run_backlog") as agent:
        assert (await agent.next("cmd"))["text"] == "hello"


@proves("trap.starves")
def test_a_stalled_hub_does_not_slow_what_it_controls(place: Place) -> None:
    agent = place.puppet("independent")
    place.row_when(agent.run, lambda row: row["state"] == "working")
    assert place.hub is not None
    os.kill(place.hub.pid, signal.SIGSTOP)
    try:
        for number in range(50):
            agent.does("note", text=str(number))
        assert [agent.says()["noted"] for _ in range(50)] == [str(number) for number in range(50)]
    finally:
        os.kill(place.hub.pid, signal.SIGCONT)
    until(lambda: len(notes(place, agent.run)) == 50, "the notes")
    assert notes(place, agent.run) == [str(number) for number in range(50)]


def notes(place: Place, run: str) -> list[str]:
    return [event["text"] for event in place.timeline(run) if event["type"] == "note"]


@proves("trap.minted-once")
async def test_a_call_proposed_again_and_again_is_one_question(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_retry") as agent:
        await agent.begin()
        for _ in range(3):
            await agent.propose("call_1", command="ls")
        await agent.stored(agent.seq)
    async with hub.agent("run_retry") as again:
        await again.propose("call_1", command="ls")
        await again.stored(again.seq)
        held = place.held("run_retry")
        assert [one["approval"] for one in place.approvals("run_retry")] == [held["approval"]]
        assert place.decide(held, "approve")["ok"]
        assert await verdicts(again) == 1


async def verdicts(agent: AgentSocket) -> int:
    """How many verdicts come before the next acknowledged event."""
    found, last = 0, await agent.emit(note("after"))
    while True:
        frame = await agent.receive()
        found += int(frame["t"] == "cmd")
        if frame["t"] == "ack" and frame.get("seq", 0) >= last:
            return found


@proves("kill.body-ended")
def test_a_process_whose_agent_said_that_it_ended_is_killed_all_the_same(place: Place) -> None:
    agent = place.puppet("lingering")
    run = place.supervised(agent)
    agent.does("leave")
    place.row_when(run, lambda row: row["state"] == "completed")
    (receipt,) = json.loads(place.does("kill", run, "--json"))
    assert (receipt["status"], receipt["proof"]) == ("dead", "process")
    assert agent.ends() > 128

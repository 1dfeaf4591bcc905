"""An operator kills: what dies, what proves it, and what is said where nothing does."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.spec.manifest import proves
from tests.spec.place import Place, Puppet, living, until
from tests.spec.puppet import ESCAPEES

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="finds leftovers by /proc")]

ANSWERS_MS = "4000"
"""How long an agent may take to answer that it has stopped, before its tree is ended."""
LADDER = ["supervisor.freeze", "supervisor.kill", "supervisor.verify"]


def with_escapees(place: Place, agent: str, **environment: str) -> Puppet:
    """An agent whose children ignore SIGTERM and live in sessions of their own."""
    puppet = place.puppet(agent, environment=environment)
    run = place.supervised(puppet)
    puppet.does("spawn")
    assert puppet.says()["spawned"]
    until(lambda: len(living(run)) >= 5, "the tree")
    return puppet


@proves("kill.escapees", "kill.receipt")
def test_a_kill_ends_the_whole_tree_with_proof_and_a_receipt(place: Place) -> None:
    agent = with_escapees(place, "ladder", OPSCONSOLE_KILL_COOPERATIVE_MS=ANSWERS_MS)
    agent.does("tidy", seconds=1.0)
    assert agent.says() == {"tidy": True}
    (receipt,) = place.json("kill", agent.run, "--reason", "runaway")
    assert (receipt["run"], receipt["proof"], receipt["status"]) == (agent.run, "process", "dead")
    names = [point["name"] for point in receipt["points"]]
    assert names[0] == "hub.fence"
    assert {"sdk", "supervisor.cooperative"} <= set(names)
    assert all(point["ms"] >= 0 and point["outcome"] for point in receipt["points"])
    assert living(agent.run) == []
    row = place.row_of(agent.run)
    assert (row["state"], row["reason"]) == ("killed", f"killed by {row['kill']['by']}: runaway")


@proves("kill.ladder")
def test_a_kill_climbs_from_asking_to_force_until_nothing_is_left(place: Place) -> None:
    place.begin("run", "--agent", "stubborn", "--", "sh", "-c", ESCAPEES)
    run = str(until(lambda: place.row("stubborn"), "the run")["run"])
    until(lambda: len(living(run)) >= 4, "the tree")
    (receipt,) = place.json("kill", run)
    names = [point["name"] for point in receipt["points"]]
    assert names == ["hub.fence", "supervisor.term", *LADDER]
    assert (receipt["proof"], living(run)) == ("process", [])


@proves("kill.now")
def test_a_kill_now_asks_nobody(place: Place) -> None:
    agent = with_escapees(place, "now")
    (receipt,) = place.json("kill", "--now", agent.run)
    assert (receipt["proof"], living(agent.run)) == ("process", [])
    supervisors = [point["name"] for point in receipt["points"] if point["name"].startswith("supervisor")]
    assert supervisors == LADDER


@proves("kill.held")
def test_a_held_call_of_a_killed_run_is_cancelled_and_never_runs(place: Place) -> None:
    agent = place.puppet("held", supervised=False)
    path = place.data_dir / "held.txt"
    agent.does("tool", args={"path": str(path), "text": "x"})
    held = place.held(agent.run)
    (receipt,) = place.json("kill", agent.run)
    assert receipt["proof"] == "cooperative"
    assert "stopped" in agent.says()
    assert agent.ends() == 7
    assert [one["status"] for one in place.approvals(agent.run)] == ["cancelled"]
    assert place.decide(held, "approve")["error"]["code"] == "already_settled"
    assert not path.exists()


@proves("kill.child")
def test_a_run_that_was_handed_work_dies_with_its_parent(place: Place) -> None:
    agent = place.puppet("parent", environment={"OPSCONSOLE_KILL_COOPERATIVE_MS": "30000"})
    parent = place.supervised(agent)
    agent.does("handoff", to="helper")
    child = agent.says()["child"]
    row = place.row_when(child, lambda row: row["state"] == "working")
    assert (row["parent"], place.row_of(parent)["children"]) == (parent, 1)
    receipts = {receipt["run"]: receipt for receipt in place.json("kill", parent)}
    assert {run: receipt["status"] for run, receipt in receipts.items()} == {parent: "dead", child: "dead"}
    assert {place.row_of(run)["state"] for run in (parent, child)} == {"killed"}


@proves("kill.frozen")
def test_a_frozen_tree_is_killed_without_running_again(place: Place) -> None:
    agent = with_escapees(place, "frozen")
    assert place.command("freeze", run=agent.run)["ok"]
    (receipt,) = place.json("kill", agent.run)
    assert (receipt["proof"], living(agent.run)) == ("process", [])


@proves("kill.hung")
def test_an_agent_that_hangs_is_killed_with_proof_all_the_same(place: Place) -> None:
    agent = place.puppet("hung")
    run = place.supervised(agent)
    agent.does("hang", seconds=300)
    assert agent.says() == {"hanging": True}
    (receipt,) = place.json("kill", run)
    assert (receipt["proof"], living(run)) == ("process", [])


@proves("trap.second-stop")
def test_a_second_kill_hurries_the_first_and_both_have_their_receipt(place: Place) -> None:
    agent = with_escapees(place, "twice", OPSCONSOLE_KILL_TERM_MS="60000", OPSCONSOLE_KILL_COOPERATIVE_MS="0")
    first = place.command("kill", run=agent.run)
    place.row_when(agent.run, lambda row: row["state"] == "stopping")
    (receipt,) = place.json("kill", "--now", agent.run)
    assert (receipt["proof"], receipt["status"], living(agent.run)) == ("process", "dead", [])
    report = place.settled(first["cmd"])
    assert [(run["run"], run["status"], run["proof"]) for run in report["runs"]] == [(agent.run, "dead", "process")]


@proves("kill.dead")
def test_a_kill_of_a_dead_run_is_done_and_says_so(place: Place) -> None:
    agent = place.puppet("brief", supervised=False)
    run = agent.run
    agent.leaves()
    assert agent.ends() == 0
    place.row_when(run, lambda row: row.get("ended_at"))
    (receipt,) = place.json("kill", run)
    assert receipt["status"] == "already_dead"


@proves("kill.nobody-there", "exit.3")
def test_a_kill_that_nothing_proves_is_unconfirmed_and_loud(place: Place) -> None:
    agent = place.puppet("gone", supervised=False)
    run = agent.run
    place.row_when(run, lambda row: row["state"] == "working")
    agent.process.send_signal(signal.SIGSTOP)
    try:
        receipts = json.loads(place.does("kill", run, "--timeout", "0.3", "--json", status=3))
        assert [(receipt["proof"], receipt["run"]) for receipt in receipts] == [("none", run)]
        row = place.row_of(run)
        assert (row["state"], row["kill"]["status"]) == ("stopping", "stopping")
    finally:
        agent.process.send_signal(signal.SIGCONT)
    assert place.row_when(run, lambda row: row["state"] == "killed")["kill"]["proof"] == "cooperative"


@pytest.fixture(scope="module")
def other_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A machine on which everything may be killed."""
    made = Place(tmp_path_factory.mktemp("other"))
    made.start_hub()
    yield made
    made.close()


@proves("kill.all")
def test_kill_all_kills_every_live_run_with_proof(other_place: Place) -> None:
    place = other_place
    agents = [place.puppet("one"), place.puppet("two", supervised=False), place.puppet("three")]
    runs = {place.supervised(agents[0]), agents[1].run, place.supervised(agents[2])}
    for run in runs:
        place.row_when(run, lambda row: row["state"] == "working")
    receipts = place.json("kill", "--all", "--now", "--reason", "all of them")
    assert {receipt["run"]: receipt["status"] for receipt in receipts} == dict.fromkeys(runs, "dead")
    assert place.json("runs") == []
    assert [pid for run in runs for pid in living(run)] == []


@proves("kill.orphans")
def test_a_tree_whose_supervisor_is_killed_does_not_outlive_it(other_place: Place) -> None:
    place = other_place
    agent = with_escapees(place, "orphan")
    run = agent.run
    os.kill(agent.process.pid, signal.SIGKILL)
    until(lambda: not living(run), "the end of the tree")
    row = place.row_when(run, lambda row: row["link"] != "live")
    assert row["state"] == "working"

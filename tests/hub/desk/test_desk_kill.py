"""The kill: the fence first, every point at once, and no word of death without proof."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.domain.ids import sealed_run_id
from tests.hub.desk.office import BEN, EYE, RUN, SDK_CAPS, SEALED, SUPERVISOR_CAPS, Agent, Office

COOPERATIVE = {"proof": "cooperative", "points": [{"name": "sdk", "ms": 1.5, "outcome": "cancelled"}]}
PROCESS = {"proof": "process", "points": [{"name": "supervisor.kill", "ms": 9.0, "outcome": "empty"}]}


def kill_of(agent: Agent) -> str:
    """The id under which a point heard the latest kill."""
    return agent.told("kill")[-1].cmd


def test_a_kill_is_told_to_every_point_at_once_before_it_is_recorded() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    office.hold()
    office.operator().ask("kill", run=office.run, note="runaway")
    assert [len(point.told("kill")) for point in (agent, supervisor)] == [1, 1]
    assert (office.row().state, office.row().kill.status) == ("stopping", "stopping")
    office.release()
    assert [fact["reason"] for fact in office.storage.facts("kill")] == ["runaway"]


def test_the_giver_of_a_kill_hears_recorded_only_when_it_is() -> None:
    office = Office()
    office.agent()
    office.hold()
    operator = office.operator()
    assert operator.ask("kill", run=RUN) is None
    office.release()
    assert operator.answers == ["recorded"]


def test_a_kill_acts_and_is_answered_while_the_disk_is_full() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    office.storage.problem = "disk full"
    assert operator.ask("kill", run=RUN).status == "unrecorded"
    assert len(agent.told("kill")) == 1
    office.storage.problem = ""
    office.pass_time(2)
    assert len(office.storage.facts("kill")) == 1


def test_a_kill_cancels_what_waits() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1")
    agent.propose("c2", "sql", {"query": "x"})
    office.operator().ask("kill", run=RUN)
    assert [agent.verdicts(call) for call in ("c1", "c2")] == [["deny"], ["deny"]]
    assert [office.approval(call).status for call in ("c1", "c2")] == ["cancelled", "cancelled"]
    assert office.row().pending_approvals == 0


def test_an_unsupervised_run_is_dead_by_its_own_word() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("kill", cmd="cmd_k", run=RUN)
    agent.answer(kill_of(agent), **COOPERATIVE)
    row = office.row()
    assert (row.state, row.kill.status, row.kill.proof) == ("killed", "dead", "cooperative")
    report = office.desk.command_report("cmd_k")
    assert (report.settled, report.runs[0]["proof"]) == (True, "cooperative")
    assert [line["name"] for line in report.runs[0]["points"]] == ["hub.fence", "sdk"]


def test_under_a_supervisor_only_the_empty_process_tree_is_proof() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    agent.state("killed")
    assert office.row().kill.status == "stopping"
    supervisor.answer(kill_of(supervisor), **PROCESS)
    assert (office.row().kill.status, office.row().kill.proof) == ("dead", "process")


def test_an_sdk_that_claims_the_proof_of_a_supervisor_is_believed_as_an_sdk() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run=RUN)
    agent.answer(kill_of(agent), **PROCESS)
    assert office.row().kill.proof == "cooperative"


def test_an_sdk_cannot_prove_a_supervised_run_dead() -> None:
    office = Office()
    agent, _ = office.supervised()
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **PROCESS)
    assert office.row().kill.status == "stopping"


def test_a_supervisor_that_is_lost_leaves_the_kill_unconfirmed() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    supervisor.drop()
    office.pass_time(100)
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    office.pass_time(16)
    assert office.row().kill.status == "unconfirmed"


def test_a_kill_without_an_answer_is_unconfirmed_and_later_dead() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.drop()
    operator.ask("kill", cmd="cmd_k", run=RUN)
    assert office.row().kill.status == "sent"
    office.pass_time(16)
    assert (office.row().kill.status, office.row().state) == ("unconfirmed", "stopping")
    assert office.desk.command_report("cmd_k").settled
    assert "kill" in office.alerts()
    agent.connect()
    agent.answer(kill_of(agent), **COOPERATIVE)
    assert (office.row().kill.status, office.alerts()) == ("dead", [])
    assert office.desk.command_report("cmd_k").status == "dead"


def test_a_supervisor_that_cannot_prove_it_says_so_at_once() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), proof="none", points=[{"name": "supervisor", "ms": 1, "outcome": "2 left"}])
    assert (office.row().kill.status, office.row().state) == ("unconfirmed", "stopping")


def test_a_killed_run_that_reports_failure_was_killed() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    supervisor.state("failed", exit={"code": None, "signal": "SIGKILL", "survivors": 0})
    office.pass_time(1.5)
    row = office.row()
    assert (row.state, row.exit_signal, row.kill.status, row.kill.proof) == ("killed", "SIGKILL", "dead", "process")


def test_an_exit_with_survivors_proves_nothing() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    supervisor.state("failed", exit={"code": 1, "survivors": 2})
    office.pass_time(16)
    assert office.row().kill.status == "unconfirmed"


def test_a_kill_of_a_dead_run_says_already_dead() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.state("completed")
    res = operator.ask("kill", cmd="cmd_k", run=RUN)
    assert (res.ok, res.status, office.row().state) == (True, "already_dead", "completed")
    assert office.desk.command_report("cmd_k").settled


def test_a_second_kill_is_told_again_and_not_swallowed() -> None:
    """A second stop is swallowed: not here."""
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", cmd="cmd_a", run=RUN)
    office.operator(BEN).ask("kill", cmd="cmd_b", run=RUN, mode="now")
    assert [(one.cmd, one.mode) for one in agent.told("kill")] == [(f"cmd_a.{RUN}", "ladder"), (f"cmd_b.{RUN}", "now")]
    agent.answer(f"cmd_b.{RUN}", **COOPERATIVE)
    assert [office.desk.command_report(one).status for one in ("cmd_a", "cmd_b")] == ["dead", "dead"]


def test_a_kill_now_is_not_softened_by_a_later_ladder() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("kill", run=RUN, mode="now")
    operator.ask("kill", run=RUN, mode="ladder")
    assert [one.mode for one in agent.told("kill")] == ["now", "now"]


def test_a_kill_takes_the_descendants_with_it() -> None:
    office = Office()
    office.agent(RUN)
    child, grandchild = office.agent("run_2", parent=RUN), office.agent("run_3", parent="run_2")
    office.agent("run_4")
    office.operator().ask("kill", cmd="cmd_k", run=RUN)
    assert [len(one.told("kill")) for one in (child, grandchild)] == [1, 1]
    assert [office.row(run).state for run in (RUN, "run_2", "run_3", "run_4")] == ["stopping"] * 3 + ["working"]
    assert [line["run"] for line in office.desk.command_report("cmd_k").runs] == [RUN, "run_2", "run_3"]


def test_a_kill_of_a_dead_parent_takes_its_living_children() -> None:
    office = Office()
    parent = office.agent(RUN)
    child = office.agent("run_2", parent=RUN)
    parent.state("completed")
    assert office.operator().ask("kill", run=RUN).status == "recorded"
    assert (len(child.told("kill")), office.row("run_2").state) == (1, "stopping")


@pytest.mark.parametrize("dead", [False, True])
def test_a_child_born_under_a_killed_parent_is_killed(dead: bool) -> None:
    office = Office()
    parent = office.agent(RUN)
    office.operator().ask("kill", run=RUN)
    if dead:
        parent.answer(kill_of(parent), **COOPERATIVE)
    child = office.agent("run_2", parent=RUN)
    assert (len(child.told("kill")), office.row("run_2").state) == (1, "stopping")
    assert office.storage.kinds("kill.child") == ["kill.child"]


def test_a_run_that_names_a_killed_parent_later_is_killed_too() -> None:
    office = Office()
    office.agent(RUN)
    child = office.agent("run_2")
    office.operator().ask("kill", run=RUN)
    child.say({"type": "run", "agent": "worker", "parent": RUN})
    assert len(child.told("kill")) == 1


def test_a_child_whose_parent_was_unknown_at_its_birth_is_killed_with_it() -> None:
    office = Office()
    child = office.agent("run_2", parent=RUN)
    office.agent(RUN)
    office.operator().ask("kill", run=RUN)
    assert len(child.told("kill")) == 1


def test_runs_that_call_each_other_parent_are_killed_once_each() -> None:
    office = Office()
    one, two = office.agent(RUN, parent="run_2"), office.agent("run_2", parent=RUN)
    office.operator().ask("kill", run=RUN)
    assert [len(agent.told("kill")) for agent in (one, two)] == [1, 1]


def test_children_inside_a_proven_dead_process_tree_died_with_it() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.agent("run_2", parent=office.run, pid=201)
    office.agent("run_3", parent=office.run, pid=202, host="elsewhere")
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), **PROCESS, killed=[100, 201, 202])
    assert [office.row(run).state for run in (office.run, "run_2", "run_3")] == ["killed", "killed", "stopping"]


def test_a_kill_of_all_leaves_no_run_alive() -> None:
    office = Office()
    agents = [office.agent(f"run_{number}") for number in range(3)]
    agents[0].state("completed")
    office.operator().ask("kill", cmd="cmd_k", all=True)
    assert [len(agent.told("kill")) for agent in agents] == [0, 1, 1]
    assert office.storage.facts("kill")[0]["all"] is True


def test_a_kill_names_what_it_did_not_find() -> None:
    office = Office()
    office.agent()
    operator = office.operator()
    res = operator.ask("kill", cmd="cmd_k", runs=[RUN, "run_9"])
    assert (res.ok, res.current) == (True, {"unknown": ["run_9"]})
    assert operator.ask("kill", run="run_9").code == "not_found"


def test_an_observer_kills_nothing() -> None:
    office = Office()
    agent = office.agent()
    assert office.operator(EYE).ask("kill", run=RUN).code == "forbidden"
    assert (agent.told("kill"), office.row().state) == ([], "working")


def test_a_lease_that_ran_out_is_proof_only_after_it_surely_did() -> None:
    office = Office()
    agent = office.agent(lease_seconds=30)
    office.pass_time(20)
    agent.drop()
    office.operator().ask("kill", run=RUN)
    office.pass_time(43)
    assert office.row().kill.status == "unconfirmed"
    office.pass_time(2)
    assert (office.row().kill.status, office.row().kill.proof) == ("dead", "lease")


def test_a_point_that_promised_no_lease_is_never_dead_by_silence() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    office.operator().ask("kill", run=RUN)
    office.pass_time(80_000)
    assert office.row().kill.status == "unconfirmed"


def test_no_permission_that_was_not_taken_before_the_fence_is_given_after_it() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.propose()
    agent.drop()
    operator.decide("approve")
    operator.ask("kill", run=RUN)
    agent.connect()
    assert agent.verdicts() == ["deny"]
    agent.answer(agent.verdict().cmd)
    agent.tool("c1", "denied")
    assert (office.approval().status, office.approval().delivery) == ("approved", "void")


def test_a_permission_taken_just_before_the_fence_is_not_called_void() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.propose()
    operator.decide("approve")
    operator.ask("kill", run=RUN)
    agent.answer(agent.told("verdict")[0].cmd)
    assert office.approval().delivery == "applied"


def test_a_new_process_that_speaks_for_a_killed_run_is_told_to_die() -> None:
    """Recovery restarts a cancelled run: not here."""
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run=RUN)
    agent.acknowledge()
    agent.drop()
    reborn = Agent(office, gen="g2", pid=101).connect()
    assert [one.cmd for one in reborn.told("kill")] == [f"cmd_ana1.{RUN}"]
    reborn.start()
    reborn.propose("c9", "read_file", {"path": "a"})
    assert (reborn.verdicts("c9"), office.row().state) == (["deny"], "stopping")


def test_a_late_word_does_not_revive_the_dead() -> None:
    """A late write revives a dead run: not here."""
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run=RUN)
    agent.answer(kill_of(agent), **COOPERATIVE)
    for state in ("working", "completed", "failed"):
        agent.state(state)
    agent.propose("c9", "read_file", {"path": "a"})
    row = office.row()
    assert (row.state, row.zombie, agent.verdicts("c9")) == ("killed", True, ["deny"])
    assert office.storage.kinds("run.zombie") == ["run.zombie"]


def test_ids_of_any_length_can_be_killed_and_answered() -> None:
    office = Office()
    run = "run_" + "x" * 120
    agent = office.agent(run)
    office.operator().ask("kill", cmd="cmd_" + "y" * 120, run=run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    assert office.row(run).kill.status == "dead"


def test_points_that_answer_for_ever_do_not_fill_the_receipt() -> None:
    office = Office()
    agent = office.agent(caps=SDK_CAPS)
    office.operator().ask("kill", run=RUN)
    lines: list[dict[str, Any]] = [{"name": "sdk", "ms": 1, "outcome": "trying"}] * 60
    for _ in range(10):
        agent.answer(kill_of(agent), "stopping", points=lines)
    assert len(office.row().kill.points) == 200


def test_a_process_without_the_key_cannot_take_the_supervisors_place() -> None:
    office = Office()
    _, supervisor = office.supervised()
    forger = Agent(office, run=office.run, point="supervisor", gen="forged", caps=SUPERVISOR_CAPS)
    forger.connect(key=None)
    office.operator().ask("kill", run=office.run)
    assert (len(supervisor.told("kill")), len(forger.told("kill"))) == (1, 0)
    assert ("forged" in office.alerts(), "supervisor.refused" in office.storage.kinds()) == (True, True)


def test_a_supervisor_without_the_key_is_believed_as_an_agent_is() -> None:
    office = Office()
    office.agent()
    forger = Agent(office, run=RUN, point="supervisor", gen="forged", caps=SUPERVISOR_CAPS)
    forger.connect(key=None)
    forger.start()
    office.operator().ask("kill", run=RUN)
    forger.answer(kill_of(forger), **PROCESS)
    assert office.row().kill.proof == "cooperative"


def test_the_key_of_one_run_does_not_supervise_another() -> None:
    office = Office()
    other = sealed_run_id("run_1", "another key")
    office.agent(other)
    forger = Agent(office, run=other, point="supervisor", caps=SUPERVISOR_CAPS)
    forger.connect()
    forger.start()
    assert [point.caps for point in office.row(other).points if point.name == "supervisor"] == [[]]


def test_a_supervisor_that_is_cut_off_keeps_its_say_when_another_takes_its_seat_and_leaves() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    supervisor.drop()
    forger = Agent(office, run=office.run, point="supervisor", gen="forged", caps=SUPERVISOR_CAPS)
    forger.connect(key=None)
    forger.drop(clean=True)
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    assert office.row().kill.status == "stopping"


def test_a_kill_before_the_supervisor_is_heard_waits_for_its_word() -> None:
    office = Office()
    agent = office.agent(SEALED)
    office.operator().ask("kill", run=SEALED)
    agent.answer(kill_of(agent), **COOPERATIVE)
    agent.state("killed")
    assert (office.row(SEALED).kill.status, office.row(SEALED).state) == ("stopping", "stopping")


def test_a_supervisor_that_comes_after_the_sdk_has_had_the_kill_is_told_it_too() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run=RUN)
    agent.acknowledge()
    supervisor = office.agent(point="supervisor", caps=["kill_process"], state=None)
    assert [one.cmd for one in supervisor.told("kill")] == [f"cmd_ana1.{RUN}"]


def test_a_run_named_twice_by_one_connection_is_caught_up_once() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("pause", run=RUN)
    told = len(agent.commands)
    item = {"run": RUN, "gen": agent.gen, "seq": 0, "cseq": 0}
    agent.send({"t": "attach", "runs": [item] * 50})
    assert len(agent.commands) == told


def test_a_kill_reaches_a_supervisor_that_was_cut_off_after_its_agent_said_it_was_done() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    agent.state("completed")
    supervisor.drop()
    office.operator().ask("kill", run=office.run)
    supervisor.connect()
    assert len(supervisor.told("kill")) == 1


def test_a_row_says_so_until_the_supervisor_has_proved_the_processes_of_an_ended_run_gone() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    agent.state("completed")
    assert (office.row().state, office.row().outlived) == ("completed", True)
    supervisor.state("completed", exit={"code": 0, "survivors": 0})
    assert office.row().outlived is False

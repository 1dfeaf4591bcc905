"""What a kill remembers while it is under way: given twice, answered by several points, and reaching what outlived."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.domain.ids import sealed_run_id
from opsconsole.hub.desk import world
from tests.hub.desk.office import BEN, KEY, RUN, SEALED, SUPERVISOR_CAPS, Agent, Office
from tests.hub.desk.test_desk_kill import COOPERATIVE, PROCESS, kill_of

CHILD = sealed_run_id("run_2", KEY)
"""A run that a supervisor holds, started by another."""


def names(office: Office, run: str | None = None) -> list[str]:
    """Who has a line in a run's receipt."""
    return [point.name for point in office.row(run).kill.points]


def test_a_kill_of_all_takes_processes_that_outlived_their_run() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    agent.state("completed")
    office.operator().ask("kill", all=True)
    assert len(supervisor.told("kill")) == 1


def test_a_kill_of_a_parent_takes_processes_that_outlived_their_child_run() -> None:
    office = Office()
    office.agent(RUN)
    supervisor = office.agent(CHILD, point="supervisor", caps=SUPERVISOR_CAPS, parent=RUN, state=None)
    office.agent(CHILD, parent=RUN).state("completed")
    office.operator().ask("kill", run=RUN)
    assert len(supervisor.told("kill")) == 1


def test_a_kill_that_is_given_again_and_again_is_unconfirmed_no_later() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.drop()
    operator.ask("kill", run=RUN)
    office.pass_time(10)
    operator.ask("kill", run=RUN)
    office.pass_time(6)
    assert (office.row().kill.status, office.alerts()) == ("unconfirmed", ["kill"])


def test_a_second_kill_forgets_nothing_that_was_told_of_the_first() -> None:
    office = Office()
    agent, _ = office.supervised()
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    office.operator(BEN).ask("kill", run=office.run)
    assert names(office) == ["hub.fence", "sdk"]


def test_what_an_agent_claims_of_its_death_is_nowhere_told_as_proof_where_a_supervisor_holds_it() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    supervisor.drop()
    office.operator().ask("kill", run=office.run, cmd="cmd_k")
    office.pass_time(60)
    told = [(line["status"], line["proof"]) for line in office.desk.command_report("cmd_k").runs]
    recorded = [(entry["status"], entry["proof"]) for entry in office.storage.facts("kill.outcome")]
    assert (told, office.row().kill.proof, recorded) == ([("unconfirmed", "none")], "none", [("unconfirmed", "none")])


def test_a_kill_of_processes_that_a_finished_kill_did_not_hold_begins_anew() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    supervisor.drop(clean=True)
    office.operator().ask("kill", cmd="cmd_a", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    assert office.row().kill.status == "dead"
    supervisor.connect()
    office.operator().ask("kill", cmd="cmd_b", run=office.run)
    assert (office.row().kill.status, office.row().kill.proof, names(office)) == ("stopping", "none", ["hub.fence"])


def test_a_run_that_is_being_killed_is_hurried_when_it_names_a_parent_killed_now() -> None:
    office = Office()
    office.agent(RUN)
    child = office.agent("run_2")
    office.operator().ask("kill", cmd="cmd_a", run="run_2")
    office.operator().ask("kill", cmd="cmd_b", run=RUN, mode="now")
    child.say({"type": "run", "agent": "worker", "parent": RUN})
    assert [(one.cmd, one.mode) for one in child.told("kill")] == [("cmd_a.run_2", "ladder"), ("cmd_b.run_2", "now")]


def test_a_child_is_born_fenced_though_the_receipt_of_its_parents_kill_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(world, "RECEIPTS_KEPT_MAX", 1)
    office = Office()
    office.agent(RUN)
    office.operator().ask("kill", cmd="cmd_k", run=RUN)
    office.operator().ask("annotate", run=RUN, text="seen")
    assert office.desk.command_report("cmd_k") is None
    child = office.agent("run_2", parent=RUN)
    assert (len(child.told("kill")), office.row("run_2").state) == (1, "stopping")


def test_what_is_proven_dead_stays_so_whatever_its_supervisor_says_of_another_kill() -> None:
    office = Office()
    _, supervisor = office.supervised()
    for cmd in ("cmd_a", "cmd_b"):
        office.operator().ask("kill", cmd=cmd, run=office.run)
    supervisor.answer(f"cmd_a.{office.run}", **PROCESS)
    supervisor.answer(f"cmd_b.{office.run}", proof="none")
    assert (office.row().kill.status, office.row().kill.proof, office.alerts()) == ("dead", "process", [])
    assert office.storage.kinds("kill.outcome") == ["kill.outcome"]


def test_a_supervisor_whose_command_never_started_is_not_one_that_failed_to_prove() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), "void", message="cannot start: no such program")
    assert (office.row().kill.status, office.alerts()) == ("stopping", [])


def test_a_kill_that_its_supervisor_cannot_prove_is_settled_and_on_record_once() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("kill", cmd="cmd_k", run=office.run)
    for _ in range(2):
        supervisor.answer(kill_of(supervisor), proof="none")
    office.pass_time(60)
    report = office.desk.command_report("cmd_k")
    assert (report.status, report.settled, office.alerts()) == ("unconfirmed", True, ["kill"])
    assert [(one["status"], one["proof"]) for one in office.storage.facts("kill.outcome")] == [("unconfirmed", "none")]


@pytest.mark.parametrize("ms", [1e300, 86_400_001, -1, "soon", None])
def test_a_time_that_no_kill_takes_counts_as_none(ms: Any) -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run=RUN)
    agent.answer(kill_of(agent), proof="cooperative", points=[{"name": "sdk", "ms": ms, "outcome": "cancelled"}])
    assert [(point.name, point.ms) for point in office.row().kill.points] == [("hub.fence", 0.0), ("sdk", 0.0)]


def test_an_sdk_that_names_dead_processes_proves_nothing_of_the_runs_in_them() -> None:
    office = Office()
    parent: Agent = office.agent(RUN)
    office.agent("run_2", parent=RUN, pid=201)
    office.operator().ask("kill", run=RUN)
    parent.answer(kill_of(parent), **COOPERATIVE, killed=[201])
    assert [office.row(run).state for run in (RUN, "run_2")] == ["killed", "stopping"]


def test_a_child_on_the_same_machine_that_is_not_among_the_dead_is_not_taken_for_dead() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.agent("run_2", parent=office.run, pid=201)
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), **PROCESS, killed=[100])
    assert [office.row(run).state for run in (office.run, "run_2")] == ["killed", "stopping"]


def test_a_child_whose_own_supervisor_has_proved_it_dead_did_not_die_with_its_parent() -> None:
    office = Office()
    _, supervisor = office.supervised()
    own = office.agent(CHILD, point="supervisor", caps=SUPERVISOR_CAPS, parent=office.run, pid=201, state=None)
    office.operator().ask("kill", run=office.run)
    own.answer(kill_of(own), **PROCESS)
    supervisor.answer(kill_of(supervisor), **PROCESS, killed=[201])
    assert names(office, CHILD) == ["hub.fence", "supervisor.kill"]


def test_processes_proven_dead_after_the_kill_was_done_have_not_outlived_it() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    supervisor.drop(clean=True)
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    supervisor.connect()
    assert office.row().outlived is True
    supervisor.answer(kill_of(supervisor), **PROCESS)
    assert office.row().outlived is False


def test_a_kill_is_done_once_whoever_says_so_afterwards() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    for _ in range(3):
        supervisor.answer(kill_of(supervisor), **PROCESS)
    assert office.storage.kinds("kill.outcome") == ["kill.outcome"]


def test_a_kill_of_a_run_that_was_killed_before_tells_what_proves_it_dead() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), **PROCESS)
    office.operator().ask("kill", cmd="cmd_k", run=office.run)
    told = [(line["status"], line["proof"]) for line in office.desk.command_report("cmd_k").runs]
    assert told == [("already_dead", "process")]


def test_an_exit_waits_for_the_lines_of_the_supervisor_though_the_sdk_has_answered() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    supervisor.state("failed", exit={"code": None, "signal": "SIGKILL", "survivors": 0})
    assert office.storage.kinds("kill.outcome") == []
    supervisor.answer(kill_of(supervisor), **PROCESS)
    (outcome,) = office.storage.facts("kill.outcome")
    assert [point["name"] for point in outcome["points"]] == ["hub.fence", "sdk", "supervisor.kill"]


def test_a_kill_that_is_done_is_not_called_unconfirmed_when_a_supervisor_comes_back() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    supervisor.drop(clean=True)
    office.operator().ask("kill", run=office.run)
    agent.answer(kill_of(agent), **COOPERATIVE)
    supervisor.connect()
    office.pass_time(60)
    assert (office.row().kill.status, office.row().outlived, office.alerts()) == ("dead", True, [])


def test_a_kill_that_is_in_the_records_becomes_unconfirmed_after_a_restart() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    office.operator().ask("kill", run=RUN)
    office.save_records()
    office.restart()
    office.pass_time(16)
    assert (office.row().kill.status, office.alerts()) == ("unconfirmed", ["kill"])


def test_a_kill_that_nothing_proves_is_as_loud_after_a_restart() -> None:
    office = Office()
    agent = office.agent()
    office.save_records()
    agent.drop()
    office.operator().ask("kill", run=RUN)
    office.pass_time(16)
    office.restart()
    assert (office.row().kill.status, office.alerts()) == ("unconfirmed", ["kill"])


def test_why_a_run_was_killed_is_known_after_a_restart() -> None:
    office = Office()
    agent = office.agent()
    office.save_records()
    office.operator().ask("kill", run=RUN, note="runaway")
    agent.answer(kill_of(agent), **COOPERATIVE)
    before = office.row().reason
    office.restart()
    assert (before, office.row().reason) == ("killed by ana: runaway", "killed by ana: runaway")


def test_what_proved_an_ended_run_dead_is_known_after_a_restart() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    office.save_records()
    agent.state("completed")
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), **PROCESS)
    office.restart()
    office.operator().ask("kill", cmd="cmd_k", run=office.run)
    told = [(line["status"], line["proof"]) for line in office.desk.command_report("cmd_k").runs]
    assert told == [("already_dead", "process")]


def test_a_child_that_is_named_beside_its_parent_is_killed_once() -> None:
    office = Office()
    agents = [office.agent(RUN), office.agent("run_2", parent=RUN)]
    office.operator().ask("kill", runs=[RUN, "run_2"])
    assert [len(agent.told("kill")) for agent in agents] == [1, 1]


def test_an_exit_after_the_supervisors_answer_waits_for_nothing_more() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), proof="none")
    supervisor.state("failed", exit={"code": None, "signal": "SIGKILL", "survivors": 0})
    assert (office.row().kill.status, office.row().kill.proof, office.alerts()) == ("dead", "process", [])


def test_a_point_that_has_left_is_not_waited_for_until_leases_run_out() -> None:
    office = Office()
    office.agent(point="mcp").drop(clean=True)
    office.agent(lease_seconds=30).drop()
    office.operator().ask("kill", run=RUN)
    office.pass_time(45)
    assert (office.row().kill.status, office.row().kill.proof) == ("dead", "lease")


def test_a_lease_of_a_supervisor_proves_nothing_of_its_processes() -> None:
    office = Office()
    office.run = SEALED
    supervisor = office.agent(point="supervisor", caps=SUPERVISOR_CAPS, state=None, lease_seconds=30)
    agent = office.agent(lease_seconds=30)
    supervisor.drop()
    agent.drop()
    office.operator().ask("kill", run=office.run)
    office.pass_time(60)
    assert (office.row().kill.status, office.row().kill.proof) == ("unconfirmed", "none")


def test_of_several_leases_the_last_to_run_out_is_waited_for() -> None:
    office = Office()
    for agent in (office.agent(lease_seconds=30), office.agent(point="mcp", lease_seconds=5)):
        agent.drop()
    office.operator().ask("kill", run=RUN)
    office.pass_time(43)
    assert office.row().kill.status == "unconfirmed"
    office.pass_time(2)
    assert (office.row().kill.status, office.row().kill.proof) == ("dead", "lease")


def test_a_gateway_that_is_heard_does_not_keep_an_agents_lease_from_running_out() -> None:
    office = Office()
    office.agent(lease_seconds=30).drop()
    office.agent(point="gateway")
    office.operator().ask("kill", run=RUN)
    office.pass_time(45)
    assert (office.row().kill.status, office.row().kill.proof) == ("dead", "lease")


def test_how_a_kill_went_is_in_the_records() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", cmd="cmd_k", run=RUN)
    office.save_records()
    agent.answer(kill_of(agent), **COOPERATIVE)
    office.save_records()
    office.restart()
    assert office.desk.command_report("cmd_k").status == "dead"


def test_a_kill_of_all_where_nothing_lives_is_done_and_on_record() -> None:
    office = Office()
    res = office.operator().ask("kill", all=True)
    assert (res.ok, [fact["all"] for fact in office.storage.facts("kill")]) == (True, [True])


def test_a_kill_of_a_dead_run_and_an_unknown_one_says_already_dead() -> None:
    office = Office()
    office.agent().state("completed")
    res = office.operator().ask("kill", runs=[RUN, "run_9"])
    assert (res.status, res.current) == ("already_dead", {"unknown": ["run_9"]})


def test_a_child_killed_with_its_parent_stays_killed_after_a_restart() -> None:
    office = Office()
    office.agent(RUN)
    office.agent("run_2", parent=RUN)
    office.save_records()
    office.operator().ask("kill", cmd="cmd_k", run=RUN)
    office.restart()
    assert [office.row(run).state for run in (RUN, "run_2")] == ["stopping", "stopping"]
    assert [line["run"] for line in office.desk.command_report("cmd_k").runs] == [RUN, "run_2"]


def test_a_receipt_and_its_lines_read_the_same_after_a_restart() -> None:
    office = Office()
    agent = office.agent()
    office.save_records()
    office.operator().ask("kill", cmd="cmd_k", run=RUN)
    agent.answer(kill_of(agent), **COOPERATIVE)
    before = (office.desk.command_report("cmd_k").runs, office.row().kill.points)
    office.restart()
    assert (office.desk.command_report("cmd_k").runs, office.row().kill.points) == before


def test_a_kill_is_on_record_under_the_run_it_names_and_one_of_several_by_itself() -> None:
    office = Office()
    for run in (RUN, "run_2", "run_3"):
        office.agent(run)
    office.operator().ask("kill", run=RUN)
    office.operator().ask("kill", runs=["run_2", "run_3"])
    assert [entry.key for entry in office.storage.entries if entry.fact["kind"] == "kill"] == [f"run/{RUN}", "kill"]

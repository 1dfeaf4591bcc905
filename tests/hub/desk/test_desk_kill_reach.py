"""Whom a kill reaches and whose word on processes counts, where points come late, forge, flood or are forgotten."""

from __future__ import annotations

import pytest

from opsconsole.hub.desk import world
from tests.hub.desk.office import RUN, SUPERVISOR_CAPS, Agent, Office
from tests.hub.desk.test_desk_kill import PROCESS, kill_of


def test_a_process_without_the_key_does_not_lock_out_a_supervisor_that_is_cut_off() -> None:
    office = Office()
    _, supervisor = office.supervised()
    supervisor.drop()
    Agent(office, run=office.run, point="supervisor", gen="forged", caps=SUPERVISOR_CAPS).connect(key=None)
    supervisor.connect()
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), **PROCESS)
    assert (supervisor.closes, office.row().kill.status, office.alerts()) == ([], "dead", ["forged"])


def test_a_process_that_knows_the_supervisors_generation_does_not_take_its_place_either() -> None:
    office = Office()
    _, supervisor = office.supervised()
    forger = Agent(office, run=office.run, point="supervisor", gen=supervisor.gen, caps=SUPERVISOR_CAPS)
    forger.connections = 1  # a connection of its own, though the generation is the same
    forger.connect(key=None)
    office.operator().ask("kill", run=office.run)
    assert (forger.problems, len(supervisor.told("kill")), office.alerts()) == (["forbidden"], 1, ["forged"])


def test_what_a_dead_supervisor_had_journalled_is_taken_without_its_key_and_proves_nothing() -> None:
    office = Office()
    _, supervisor = office.supervised()
    supervisor.drop()
    left = Agent(office, run=office.run, point="supervisor", gen=supervisor.gen, caps=SUPERVISOR_CAPS)
    left.journal = list(supervisor.journal)
    left.connect(key=None)
    left.state("failed", exit={"code": None, "survivors": 0})
    assert (left.problems, office.row().state, office.row().outlived) == ([], "failed", True)


@pytest.mark.parametrize("saved", [True, False])
def test_a_supervisor_without_the_key_is_not_believed_after_a_restart_either(saved: bool) -> None:
    office = Office()
    forger = Agent(office, point="supervisor", gen="forged", caps=SUPERVISOR_CAPS)
    forger.connect(key=None)
    forger.start()
    forger.state("completed", exit={"code": 0, "survivors": 0})
    if saved:
        office.save_records()
    office.restart()
    office.operator().ask("kill", cmd="cmd_k", run=RUN)
    assert [line["proof"] for line in office.desk.command_report("cmd_k").runs] == ["cooperative"]


def test_a_supervisor_that_is_cut_off_hears_the_kill_though_the_sdk_has_acknowledged_it() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    supervisor.drop()
    office.operator().ask("kill", run=office.run)
    agent.acknowledge()
    supervisor.connect()
    assert len(supervisor.told("kill")) == 1


def test_an_agent_that_floods_the_hub_with_calls_does_not_keep_its_kill_from_its_supervisor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(world, "COMMANDS_KEPT_MAX", 3)
    office = Office()
    agent, supervisor = office.supervised()
    supervisor.drop()
    office.operator().ask("kill", run=office.run)
    for number in range(5):
        agent.propose(f"c{number}", "read_file", {"path": "a"})
    supervisor.connect()
    assert len(supervisor.told("kill")) == 1


def test_nobody_is_asked_about_a_call_of_a_killed_run() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run=RUN)
    agent.propose("c9")
    assert (office.approval("c9"), agent.verdicts("c9")) == (None, ["deny"])


def test_an_agents_word_that_it_is_frozen_is_not_its_supervisors() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    office.operator().ask("freeze", run=office.run)
    agent.answer(agent.told("freeze")[-1].cmd)
    before = office.row().frozen
    supervisor.answer(supervisor.told("freeze")[-1].cmd)
    assert (before, office.row().frozen) == (False, True)


def test_a_run_does_not_leave_a_kill_for_another_parent() -> None:
    office = Office()
    for run in (RUN, "run_3"):
        office.agent(run)
    child = office.agent("run_2", parent=RUN)
    child.say({"type": "run", "agent": "worker", "parent": "run_3"})
    office.save_records()
    office.restart()
    child.connect()
    office.operator().ask("kill", run=RUN)
    assert (office.row("run_2").parent, len(child.told("kill"))) == (RUN, 1)


def test_what_an_empty_process_tree_had_still_to_say_is_no_zombie() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    office.operator().ask("kill", run=office.run)
    supervisor.answer(kill_of(supervisor), **PROCESS)
    agent.state("working")
    assert (office.row().state, office.row().zombie, office.alerts()) == ("killed", False, [])


def test_a_late_word_of_a_run_whose_lease_ran_out_proves_nothing_better() -> None:
    office = Office()
    agent = office.agent(lease_seconds=30)
    agent.drop()
    office.operator().ask("kill", run=RUN)
    office.pass_time(60)
    agent.connect()
    agent.state("working")
    office.operator().ask("kill", cmd="cmd_k", run=RUN)
    assert [line["proof"] for line in office.desk.command_report("cmd_k").runs] == ["lease"]


def test_a_kill_of_an_ended_run_is_done_a_moment_after_its_supervisor_tells_the_exit() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    agent.state("completed")
    office.operator().ask("kill", run=office.run)
    supervisor.state("completed", exit={"code": 0, "survivors": 0})
    office.pass_time(office.settings.kill_settle_seconds)
    assert (office.row().kill.status, office.row().kill.proof) == ("dead", "process")


def test_processes_that_outlived_their_run_can_be_killed_after_a_restart() -> None:
    office = Office()
    agent, supervisor = office.supervised()
    agent.state("completed")
    office.save_records()
    office.restart()
    assert office.row().outlived is True
    office.operator().ask("kill", run=office.run)
    supervisor.connect()
    assert len(supervisor.told("kill")) == 1


def test_nothing_is_thawed_while_it_is_killed() -> None:
    office = Office()
    _, supervisor = office.supervised()
    office.operator().ask("freeze", run=office.run)
    office.operator().ask("kill", run=office.run)
    assert (office.operator().ask("thaw", run=office.run).code, supervisor.told("thaw")) == ("precondition_failed", [])

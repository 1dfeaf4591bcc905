"""What an agent may claim and not be believed: another kind of call, permission from nobody, another family."""

from __future__ import annotations

from collections import deque

import pytest

from opsconsole.hub.desk.effects import Store
from tests.hub.desk.office import Agent, Office

OFFLINE_RUN = {"type": "run", "agent": "worker", "on_hub_lost": {"gate": "allow"}}
SHELL = {"cmd": "rm -rf /"}


@pytest.mark.parametrize("kind", ["model_call", "handoff"])
def test_a_tool_does_not_pass_as_another_kind_of_call(kind: str) -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1", "shell", SHELL, kind=kind)
    assert (agent.verdict().outcome, agent.verdict().rule) == ("deny", "gate:arguments")
    assert office.storage.kinds("call") == ["call.verdict"]


def test_a_handoff_by_its_name_passes() -> None:
    agent = Office().agent()
    agent.propose("c1", "handoff", {"task": "x"}, kind="handoff", target="writer")
    assert agent.verdicts() == ["allow"]


def test_a_call_proposed_again_as_another_kind_is_refused() -> None:
    office = Office()
    agent = office.agent()
    agent.turn("c1")
    gateway = office.agent(point="gateway", state=None)
    gateway.propose("c1", "gpt", {"model": "gpt", "messages": []})
    assert [verdict.rule for verdict in gateway.told("verdict") if verdict.outcome == "deny"] == ["gate:changed"]


def test_a_tool_posing_as_a_turn_of_the_model_does_not_pass_after_a_crash() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose("c1", "shell", SHELL, kind="model_call")
    office.storage.waiting = deque(one for one in office.storage.waiting if isinstance(one[0], Store))
    office.commit()
    office.restart()
    agent.heard.clear()
    agent.connect()
    assert agent.verdicts() == ["deny"]


def test_a_refused_call_is_not_excused_by_the_offline_policy() -> None:
    office = Office()
    agent = office.agent()
    agent.say(OFFLINE_RUN)
    agent.propose()
    office.operator().decide("reject")
    agent.tool("c1", "running", verdict="offline")
    assert (office.storage.kinds("call.unp"), office.storage.kinds("override")) == (["call.unpermitted"], [])


def test_an_offline_policy_that_nobody_declared_excuses_nothing() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    agent.tool("c1", "running", verdict="offline")
    assert (office.storage.kinds("call.unp"), office.storage.kinds("override")) == (["call.unpermitted"], [])


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_refused_call_that_has_run_raises_the_alarm_once(status: str) -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    office.operator().decide("reject")
    agent.tool("c1", "denied")
    agent.tool("c1", "running")
    agent.tool("c1", status, result="3 rows deleted")
    assert office.storage.kinds("call.unp") == ["call.unpermitted"]
    assert "unpermitted" in office.alerts()


def test_a_call_that_ran_while_it_was_asked_about_was_not_withdrawn() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    agent.tool("c1", "completed", result="3 rows deleted")
    assert office.storage.kinds("call.unp") == ["call.unpermitted"]
    assert (office.approval().status, office.approval().note) == ("cancelled", "The call ran without permission.")


def test_a_call_given_up_while_it_was_asked_about_is_no_alarm() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    agent.tool("c1", "denied")
    assert (office.alerts(), office.approval().note) == ([], "The agent withdrew the call.")


def test_a_child_does_not_leave_its_parents_kill_by_naming_another_parent() -> None:
    office = Office()
    office.agent("run_1")
    child = office.agent("run_2", parent="run_1")
    child.say({"type": "run", "agent": "worker", "parent": "elsewhere"})
    office.operator().ask("kill", run="run_1")
    assert (office.row("run_2").parent, office.row("run_2").state) == ("run_1", "stopping")


def test_a_parent_may_be_named_later_and_its_kill_reaches_the_child() -> None:
    office = Office()
    office.agent("run_1")
    office.operator().ask("kill", run="run_1")
    child: Agent = office.agent("run_2")
    child.say({"type": "run", "agent": "worker", "parent": "run_1"})
    assert office.row("run_2").state == "stopping"

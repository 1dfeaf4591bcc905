"""A call is held, a person decides, and exactly that happens."""

from __future__ import annotations

import json

import pytest

from tests.spec.manifest import proves
from tests.spec.place import Place, Puppet

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def agent(place: Place) -> Puppet:
    """One supervised agent for all decisions."""
    return place.puppet("writer")


@pytest.fixture
def args(place: Place, request: pytest.FixtureRequest) -> dict[str, str]:
    """Arguments of a call that leaves its trace in a file of its own."""
    return {"path": str(place.data_dir / f"{request.node.name}.txt"), "text": "as proposed"}


def trace(args: dict[str, str]) -> str | None:
    """What the call left behind; None if it never ran."""
    try:
        with open(args["path"]) as file:
            return file.read()
    except FileNotFoundError:
        return None


@proves("decide.held")
def test_a_call_waits_for_a_person_with_its_exact_arguments(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", args=args, reason="the customer asked", risk="high")
    held = place.held(agent.run)
    shown = {name: held[name] for name in ("run", "tool", "args", "risk", "agent_reason")}
    asked = {"run": agent.run, "tool": "write_file", "args": args, "risk": "high", "agent_reason": "the customer asked"}
    assert shown == asked
    assert (agent.has_said_nothing(), trace(args)) == (True, None)
    row = place.row_of(agent.run)
    assert (row["pending_approvals"], row["waiting"]["kind"], row["waiting"]["what"]) == (1, "approval", "write_file")
    place.decide(held, "reject")
    assert "refused" in agent.says()


@proves("decide.approve")
def test_an_approved_call_runs_as_it_was_shown(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", args=args)
    place.held(agent.run)
    (held,) = place.json("approvals", "--run", agent.run)
    answer = place.json("approve", held["approval"], "--digest", held["digest"], "--timeout", "60")
    assert (answer["answer"], answer["status"]) == ("approve", "applied")
    assert agent.says() == {"tool": "write_file", "result": "written"}
    assert trace(args) == "as proposed"


@proves("decide.edit")
def test_an_edited_call_runs_with_the_operators_arguments(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", args=args)
    held = place.held(agent.run)
    place.json("edit", held["approval"], "--args", json.dumps(args | {"text": "as edited"}))
    assert agent.says()["result"] == "written"
    assert trace(args) == "as edited"


@proves("decide.reject")
def test_the_model_reads_why_a_call_was_rejected(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", args=args)
    agent.does("model")
    held = place.held(agent.run)
    place.json("reject", held["approval"], "--reason", "not on a Sunday")
    assert agent.says() == {"tool": "write_file", "refused": "not on a Sunday"}
    assert agent.says() == {"model": "I read: write_file: not on a Sunday"}
    assert trace(args) is None


@proves("decide.respond")
def test_an_operators_answer_stands_for_the_tools_result(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", args=args)
    held = place.held(agent.run)
    place.json("respond", held["approval"], "--text", "done by hand")
    assert agent.says() == {"tool": "write_file", "result": "done by hand"}
    assert trace(args) is None


@proves("decide.read-only")
def test_a_listed_read_only_tool_asks_nobody(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", name="read_file", args=args)
    assert agent.says()["result"] == "written"
    assert [one["tool"] for one in place.approvals(agent.run) if one["tool"] == "read_file"] == []


@proves("decide.first-wins")
def test_the_second_decision_on_a_call_is_a_conflict(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", args=args)
    held = place.held(agent.run)
    assert place.decide(held, "reject", note="no")["ok"]
    late = place.decide(held, "approve")
    assert (late["error"]["code"], late["ok"]) == ("already_settled", False)
    assert (agent.says()["refused"], trace(args)) == ("no", None)


@proves("decide.digest")
def test_a_decision_that_quotes_another_digest_is_refused(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", args=args)
    held = place.held(agent.run)
    answer = place.decide(held | {"digest": "sha256:of another call"}, "approve")
    assert answer["error"]["code"] == "digest_mismatch"
    assert place.held(agent.run)["approval"] == held["approval"]
    place.decide(held, "reject", note="no")
    assert (agent.says()["refused"], trace(args)) == ("no", None)


@proves("decide.idempotent")
def test_a_command_sent_twice_is_carried_out_once(place: Place, agent: Puppet, args: dict[str, str]) -> None:
    agent.does("tool", args=args)
    held = place.held(agent.run)
    body = {"cmd": "cmd_twice", "do": "decide", "approval": held["approval"], "answer": "approve"}
    first, second = (place.ask("POST", "commands", json=body | {"digest": held["digest"]}).json() for _ in range(2))
    assert (first["ok"], first["replayed"], second["ok"], second["replayed"]) == (True, False, True, True)
    assert (agent.says()["result"], trace(args)) == ("written", "as proposed")

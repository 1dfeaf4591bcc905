"""A team's own agent, driven against the recorded answers: in every API, with the policy in between."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

import httpx
import pytest

from opsconsole.domain.tool_call import CallStatus
from opsconsole.policy.interface import Decision, Policy
from opsconsole.scenario.case import AnswerCall, Claim, Expectation, Scenario
from opsconsole.scenario.driving import AgentFailed, LiveRun, Model, drive
from tests.scenario.agents import anthropic_agent, chat_agent, responses_agent
from tests.scenario.incidents import SQL, call, case, expects, policy, said, sql, turn

ALLOW_ALL = policy(rules="[defaults]\ndecision = 'allow'\n")


def asking(tool: str, text: str = "", **args: Any) -> Any:
    """An answer of the model with one call."""
    return turn(text=text, calls=(AnswerCall(id=f"call_{tool}", tool=tool, args=args),))


def refunds(*expect: Expectation) -> Scenario:
    """The agent looked, wiped the table, and mailed."""
    steps = (
        said("Refund order 1042"),
        asking("run_sql", "I look.", query="SELECT 1"),
        sql("SELECT 1"),
        asking("run_sql", query="DROP TABLE orders"),
        sql("DROP TABLE orders"),
        asking("send_email", to="ana"),
        call("send_email", Decision.ALLOW, args={"to": "ana"}),
        turn(text="All done."),
    )
    return replace(case(*steps, state="completed"), expectations=expect)


class Tools(dict[str, Callable[..., str]]):
    """What the agent's tools were called with."""

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []
        super().__init__({name: partial(self._make, name) for name in ("run_sql", "send_email", "pay")})

    def _make(self, name: str, **args: Any) -> str:
        self.made.append((name, args))
        return f"{name} done"


def driven(
    scenario: Scenario, agent: Callable[..., Any], judge: Policy = ALLOW_ALL, **more: Any
) -> tuple[LiveRun, Tools]:
    tools = Tools()
    return drive("a.case.toml", scenario, judge, lambda model: agent(model, tools), **more), tools


AGENTS = [chat_agent, partial(chat_agent, stream=True), responses_agent, anthropic_agent]


@pytest.mark.parametrize("agent", AGENTS, ids=["chat", "chat streamed", "responses", "anthropic"])
def test_an_agent_hears_the_recorded_answers_in_its_own_api(agent: Callable[..., Any]) -> None:
    live, tools = driven(refunds(), agent)
    assert live.returned == "All done."
    assert tools.made == [
        ("run_sql", {"query": "SELECT 1"}),
        ("run_sql", {"query": "DROP TABLE orders"}),
        ("send_email", {"to": "ana"}),
    ]
    assert (live.replayed.turns, live.over) == (4, 0)
    assert [one.step.status for one in live.replayed.calls] == [CallStatus.COMPLETED] * 3
    assert [one.step.result for one in live.replayed.calls] == ["run_sql done", "run_sql done", "send_email done"]


@pytest.mark.parametrize("agent", AGENTS, ids=["chat", "chat streamed", "responses", "anthropic"])
def test_a_call_that_the_policy_refuses_does_not_reach_the_agent(agent: Callable[..., Any]) -> None:
    live, tools = driven(refunds(expects(Claim.DENIES, "run_sql", matching="drop")), agent, SQL)
    assert [args for _, args in tools.made] == [{"query": "SELECT 1"}, {"to": "ana"}]
    assert live.passed


def test_an_agent_that_does_what_it_must_not_fails_with_the_difference() -> None:
    live, _ = driven(refunds(expects(Claim.NEVER_CALLS, "send_email", after="run_sql")), chat_agent)
    assert not live.passed
    assert "turn 3, send_email" in str(live)
    assert "+ actual    it ran" in str(live)


def test_a_repaired_agent_that_stops_in_time_passes() -> None:
    scenario = refunds(expects(Claim.STOPS_BY_TURN, 2), expects(Claim.NEVER_CALLS, "send_email", after="run_sql"))
    careful = partial(chat_agent, turns_max=2)
    assert driven(scenario, careful)[0].passed
    assert not driven(scenario, chat_agent)[0].passed


def test_an_agent_costs_what_the_answers_that_it_heard_cost() -> None:
    scenario = refunds(expects(Claim.COSTS_AT_MOST, 0.02))
    assert driven(scenario, partial(chat_agent, turns_max=2))[0].passed
    assert not driven(scenario, chat_agent)[0].passed


def recorded_as(answer: str, decision: Decision = Decision.ASK) -> Scenario:
    steps = (
        said("go"),
        asking("pay", amount=1),
        call("pay", decision, args={"amount": 1}, answer=answer),
        turn(text="ok"),
    )
    return case(*steps)


@pytest.mark.parametrize(
    ("answer", "people", "runs"),
    [
        ("approve", "recorded", True),
        ("reject", "recorded", False),
        ("", "recorded", False),
        ("", "approve", True),
        ("approve", "reject", False),
    ],
)
def test_a_call_that_is_asked_about_meets_the_person_of_the_recording(answer: str, people: str, runs: bool) -> None:
    _, tools = driven(recorded_as(answer), chat_agent, SQL, people=people)
    assert bool(tools.made) is runs


def test_an_answer_that_is_left_without_calls_is_followed_by_the_next() -> None:
    live, tools = driven(recorded_as("reject"), chat_agent, SQL)
    assert (tools.made, live.returned, live.replayed.turns) == ([], "pay: nobody allowed it\nok", 2)


def test_an_agent_that_goes_on_after_the_recording_is_told_of() -> None:
    scenario = case(said("go"), asking("run_sql", query="SELECT 1"), expect=expects(Claim.STOPS_BY_TURN, 1))
    live, _ = driven(scenario, chat_agent)
    assert (live.over, live.passed) == (1, False)
    assert "it asked the model 1 more times than the recording has answers (1)" in str(live)


def test_an_agent_that_raises_is_a_failure_with_its_reason() -> None:
    def broken(_model: Model) -> None:
        raise ValueError("no such order")

    with pytest.raises(AgentFailed, match="the agent raised ValueError: no such order"):
        drive("a", refunds(), ALLOW_ALL, broken)


def test_an_agent_that_hangs_is_left_behind() -> None:
    hang = Event()
    with pytest.raises(AgentFailed, match="had not ended after"):
        drive("a", refunds(), ALLOW_ALL, lambda: hang.wait(60), timeout_seconds=0.05)
    hang.set()


def test_the_environment_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://mine")
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    seen = drive("a", refunds(), ALLOW_ALL, lambda: os.environ["OPENAI_BASE_URL"]).returned
    assert seen.startswith("http://127.0.0.1:")
    assert (os.environ["OPENAI_BASE_URL"], os.environ.get("ANTHROPIC_BASE_URL")) == ("http://mine", None)


COMMAND = """
import json, os, urllib.request
task = {"role": "user", "content": os.environ["OPSCONSOLE_CASE_TASK"]}
body = json.dumps({"model": "m", "messages": [task]}).encode()
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()
print(json.loads(answer)["choices"][0]["message"]["content"])
"""


def test_a_command_is_driven_by_its_environment() -> None:
    live = drive("a", case(said("go"), turn(text="Hello.")), ALLOW_ALL, [sys.executable, "-c", COMMAND])
    assert (live.returned, live.replayed.turns, live.replayed.scenario.task) == ("Hello.\n", 1, "go")


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(AgentFailed, match="ended with status 3:\nno luck"):
        drive("a", case(), ALLOW_ALL, [sys.executable, "-c", "import sys; sys.stderr.write('no luck'); sys.exit(3)"])


def test_an_unknown_endpoint_is_refused() -> None:
    def agent(model: Model) -> int:
        return httpx.post(f"{model.openai_url}/embeddings", json={}, trust_env=False).status_code

    assert drive("a", case(), ALLOW_ALL, agent).returned == 404


def test_a_call_that_nobody_can_judge_does_not_reach_the_agent() -> None:
    rule = "[[rules]]\nid = 'r'\ntool = 'pay'\nwhen = 'args.amount > 5'\ndecision = 'ask'\n"
    lax = policy(rules="[defaults]\ndecision = 'allow'\n" + rule)
    scenario = case(said("go"), asking("pay", amount="[secret:value:7f3a]"), turn(text="ok"))
    live, tools = driven(scenario, chat_agent, lax, people="approve")
    assert (tools.made, live.returned) == ([], "pay: its arguments are masked, so nobody can judge it\nok")

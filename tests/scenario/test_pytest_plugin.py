"""The plugin in a team's own session: case files are tests, and a fixture drives the team's agent."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points

import pytest

from opsconsole.scenario.case import AnswerCall, Claim, Expectation, Scenario
from opsconsole.scenario.writing import written
from tests.scenario.incidents import SQL, case, expects, said, sql, turn

pytest_plugins = ["pytester"]

AGENT = """
import json, os, urllib.request

def ask(url, messages):
    body = json.dumps({"model": "m", "messages": messages}).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return json.loads(opener.open(request).read())["choices"][0]["message"]

def agent(model):
    messages = [{"role": "user", "content": model.task}]
    while True:
        messages.append(ask(model.openai_url, messages))
        if not messages[-1].get("tool_calls"):
            return messages[-1]["content"]
        for call in messages[-1]["tool_calls"]:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "1 row"})
"""


def incident(*expect: Expectation) -> Scenario:
    calls = (AnswerCall(id="c1", tool="run_sql", args={"query": "SELECT 1"}),)
    steps = (said("look"), turn(calls=calls), sql("SELECT 1"), turn(text="Done."))
    return replace(case(*steps, state="completed"), expectations=expect)


INSTALLED = any(one.value == "opsconsole.scenario.pytest_plugin" for one in entry_points(group="pytest11"))
PLUGIN = () if INSTALLED else ("-p", "opsconsole.scenario.pytest_plugin")
"""pytest refuses a plugin that is named a second time."""
OTHERS = [one.name for one in entry_points(group="pytest11") if "opsconsole" not in one.value]
WITHOUT = [part for name in OTHERS for part in ("-p", f"no:{name}")]
"""A session within ours: other plugins would end what ours still needs."""


@pytest.fixture
def team(pytester: pytest.Pytester) -> pytest.Pytester:
    """A team's repository, with a policy and an agent."""
    pytester.makeini("[pytest]\nopsconsole_policy = policy.toml\n")
    pytester.maketxtfile(policy=SQL.text).rename(pytester.path / "policy.toml")
    pytester.makepyfile(agent=AGENT)
    return pytester


def pinned(team: pytest.Pytester, *expect: Expectation) -> None:
    """The team has this case."""
    (team.path / "one.case.toml").write_text(written(incident(*expect)))


def session(team: pytest.Pytester, *args: str, test: str = "") -> pytest.RunResult:
    """The team's `pytest`."""
    if test:
        team.makepyfile(test_agent=f"from agent import agent\n\ndef test_it(opsconsole_run):\n    {test}\n")
    return team.runpytest_inprocess(*WITHOUT, *PLUGIN, "-p", "no:cacheprovider", *args)


def test_each_expectation_of_a_case_is_a_test(team: pytest.Pytester) -> None:
    pinned(team, expects(Claim.STOPS_BY_TURN, 2), expects(Claim.DENIES, "run_sql"))
    result = session(team)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "denies run_sql",
            '      turn 1, run_sql {"query": "SELECT 1"}',
            "        - expected  deny",
            "        + actual    allow by reads",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_another_policy_may_be_tried(team: pytest.Pytester) -> None:
    pinned(team, expects(Claim.DENIES, "run_sql"))
    (team.path / "strict.toml").write_text("version = 1\n[defaults]\ndecision = 'deny'\n")
    session(team, "--opsconsole-policy", "strict.toml").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = 1\nagent = 'a'\nx = 1\n", "*line 3: x: unknown key*"),
        ("version = 1\nagent = 'a'\n", "*says nothing that must hold*"),
    ],
)
def test_a_case_that_says_nothing_or_does_not_load_is_an_error(team: pytest.Pytester, text: str, words: str) -> None:
    (team.path / "one.case.toml").write_text(text)
    result = session(team)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([words])


def test_a_policy_that_does_not_load_is_an_error(team: pytest.Pytester) -> None:
    pinned(team, expects(Claim.DENIES, "run_sql"))
    (team.path / "policy.toml").write_text("version = 1\nrulse = 1\n")
    result = session(team)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*line 2: rulse: unknown key; did you mean rules?*"])


def test_the_teams_agent_is_driven_and_passes(team: pytest.Pytester) -> None:
    pinned(team, expects(Claim.STOPS_BY_TURN, 2))
    test = 'assert opsconsole_run("one.case.toml", agent).returned == "Done."'
    session(team, "test_agent.py", test=test).assert_outcomes(passed=1)


def test_the_teams_agent_fails_with_the_difference(team: pytest.Pytester) -> None:
    pinned(team, expects(Claim.COSTS_AT_MOST, 0.001))
    result = session(team, "test_agent.py", test='opsconsole_run("one.case.toml", agent)')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- expected  at most $0.0010", "*+ actual    $0.0200"])


def test_a_broken_expectation_may_only_be_told(team: pytest.Pytester) -> None:
    pinned(team, expects(Claim.COSTS_AT_MOST, 0.001))
    test = 'assert not opsconsole_run("one.case.toml", agent, check=False).passed'
    session(team, "test_agent.py", test=test).assert_outcomes(passed=1)


def test_a_test_may_name_another_policy(team: pytest.Pytester) -> None:
    pinned(team, expects(Claim.DENIES, "run_sql"))
    (team.path / "strict.toml").write_text("version = 1\n[defaults]\ndecision = 'deny'\n")
    test = 'opsconsole_run("one.case.toml", agent, policy="strict.toml")'
    session(team, "test_agent.py", test=test).assert_outcomes(passed=1)


def test_an_agent_that_fails_is_told_without_our_stack(team: pytest.Pytester) -> None:
    pinned(team, expects(Claim.STOPS_BY_TURN, 2))
    result = session(team, "test_agent.py", test='opsconsole_run("one.case.toml", lambda: 1 / 0)')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the agent raised ZeroDivisionError: division by zero"])
    result.stdout.no_fnmatch_line("*driving.py*")


def test_a_session_without_cases_imports_no_engine() -> None:
    look = "import sys, opsconsole.scenario.pytest_plugin; print('sqlglot' in sys.modules or 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"

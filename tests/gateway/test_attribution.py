"""Whose request it is: by the path, a token, a header of a known program, else a guess that says so."""

from __future__ import annotations

import pytest

from opsconsole.gateway.attribution import NotAttributed, Route, caller, route
from opsconsole.gateway.run_tokens import Shown


def test_a_path_names_run_agent_and_provider() -> None:
    assert route("/r/run_1/my%20agent/openai/v1/chat/completions") == Route(
        "openai", "/v1/chat/completions", "run_1", "my agent"
    )


def test_a_path_without_a_run_names_the_provider() -> None:
    assert route("/anthropic/v1/messages") == Route("anthropic", "/v1/messages")


@pytest.mark.parametrize("path", ["/", "/healthz", "/r/run_1/agent", "/r/run_1/agent/openai", ""])
def test_a_path_that_is_no_request_of_an_agent_is_none(path: str) -> None:
    assert route(path) is None


def test_a_run_in_the_path_stands_before_one_in_a_header() -> None:
    found = caller(Route("openai", "/v1/models", "run_1", "a"), {"x-opsconsole-run": "run_2"})
    assert (found.run, found.agent, found.guessed) == ("run_1", "a", False)


def test_the_run_of_a_token_attributes_a_request() -> None:
    assert caller(Route("openai", "/v1/models"), {}, Shown(run="run_7")).run == "run_7"


def test_a_known_program_names_its_conversation() -> None:
    headers = {"x-claude-code-session-id": "s1", "user-agent": "claude-cli/2.1 (external)"}
    found = caller(Route("anthropic", "/v1/messages"), headers)
    other = caller(Route("anthropic", "/v1/messages"), headers | {"x-claude-code-session-id": "s2"})
    assert (found.agent, found.run, found.labels) == ("claude-code", "", {"attribution": "x-claude-code-session-id"})
    assert found.key != other.key


def test_a_guess_is_by_key_and_client_and_says_that_it_is_one() -> None:
    headers = {"authorization": "Bearer sk-secret", "user-agent": "OpenAI/Python 3.54"}
    found = caller(Route("openai", "/v1/models"), headers)
    assert (found.guessed, found.labels["attribution"], found.agent) == (True, "guessed", "openai")
    assert found.key == caller(Route("openai", "/v1/models"), dict(headers)).key
    assert "sk-secret" not in repr(found)


def test_a_run_that_a_supervisor_or_the_sdk_made_is_another_s_to_end() -> None:
    ours = caller(Route("openai", "/", "nightly", "a"), {})
    sealed = caller(Route("openai", "/", "run_1.abcdefghijklmnop", "a"), {})
    made = caller(Route("openai", "/", "run_01M825PCCQCPPH12T04AEVRTBT", "a"), {})
    assert [one.attached for one in (ours, sealed, made)] == [False, True, True]


def test_a_path_with_what_can_be_no_run_is_refused() -> None:
    with pytest.raises(NotAttributed):
        caller(Route("openai", "/", "a b", "a"), {})

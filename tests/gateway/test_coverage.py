"""Which endpoints pass: a table that is short on purpose."""

from __future__ import annotations

import pytest

from opsconsole.gateway.coverage import RELAY, TURN, TURN_PATHS, Endpoint, Uncovered, covered
from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.splice import HISTORIES
from opsconsole.gateway.providers import PROVIDERS


@pytest.mark.parametrize(
    ("provider", "path", "dialect"),
    [
        ("openai", "/v1/chat/completions", "openai.chat"),
        ("openai", "/chat/completions", "openai.chat"),
        ("openai", "/v1/responses", "openai.responses"),
        ("anthropic", "/v1/messages", "anthropic.messages"),
    ],
)
def test_answers_of_models_are_turns(provider: str, path: str, dialect: str) -> None:
    assert covered(provider, "POST", path) == Endpoint(kind=TURN, dialect=dialect)


@pytest.mark.parametrize(
    ("provider", "method", "path"),
    [
        ("openai", "GET", "/v1/models"),
        ("openai", "GET", "/v1/models/gpt-4o"),
        ("openai", "POST", "/v1/embeddings"),
        ("anthropic", "POST", "/v1/messages/count_tokens"),
    ],
)
def test_what_needs_no_hold_is_passed_on(provider: str, method: str, path: str) -> None:
    found = covered(provider, method, path)
    assert isinstance(found, Endpoint)
    assert found.kind == RELAY


@pytest.mark.parametrize(
    ("provider", "method", "path"),
    [
        ("openai", "POST", "/v1/batches"),
        ("openai", "GET", "/v1/responses/resp_1"),
        ("openai", "POST", "/v1/responses/resp_1/cancel"),
        ("openai", "POST", "/v1/realtime/sessions"),
        ("anthropic", "POST", "/v1/messages/batches"),
    ],
)
def test_what_would_pass_the_gate_by_is_refused_and_says_why(provider: str, method: str, path: str) -> None:
    found = covered(provider, method, path)
    assert isinstance(found, Uncovered)
    assert (found.status, ": " in found.message) == (403, True)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/completions", "/", "/v1/chat/completions/x", "/v2/responses"])
def test_everything_else_is_not_found(path: str) -> None:
    found = covered("openai", "POST", path)
    assert isinstance(found, Uncovered)
    assert found.status == 404


def test_every_dialect_is_spoken_somewhere_and_every_place_has_one() -> None:
    assert set(TURN_PATHS.values()) == set(DIALECTS)
    assert {provider.dialect for provider in PROVIDERS.values()} <= set(DIALECTS)


def test_every_dialect_says_how_it_writes_a_conversation() -> None:
    assert HISTORIES.keys() == DIALECTS.keys()

"""Answers to requests that set no limit: where a budget applies they end at what their turn has reserved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.interface import Changes
from tests.gateway.place import Place, running_gateway, running_place
from tests.support.hub import running_hub
from tests.support.model_script import Turn, mark
from tests.support.model_upstream import running_upstream

PATHS = {"openai.chat": "openai/v1/chat/completions", "openai.responses": "openai/v1/responses"}
ANTHROPIC = "anthropic/v1/messages"
KEY = {"authorization": "Bearer sk-agent", "x-api-key": "sk-agent", "anthropic-version": "2023-06-01"}


def body(dialect: str, script: str, **more: Any) -> dict[str, Any]:
    words = mark(script)
    said = {"input": words} if dialect == "openai.responses" else {"messages": [{"role": "user", "content": words}]}
    return {"model": "gpt-4o-mini", **said, **more}


async def seen(place: Place, sent: dict[str, Any], dialect: str = "openai.chat") -> dict[str, Any]:
    """The request as the provider got it."""
    place.upstream.script("hello", Turn(text="Hello"), repeats=True)
    path = PATHS.get(dialect, ANTHROPIC)
    answer = await place.post(f"/r/run_1/tester/{path}", json=sent, headers=KEY)
    assert answer.status_code == 200, answer.text
    return dict(place.upstream.calls("hello")[-1].body)


@pytest.mark.parametrize(
    ("dialect", "field"), [("openai.chat", "max_completion_tokens"), ("openai.responses", "max_output_tokens")]
)
async def test_an_answer_without_a_limit_ends_at_what_its_turn_reserves(place: Place, dialect: str, field: str) -> None:
    sent = await seen(place, body(dialect, "hello"), dialect)
    proposed = await place.told(lambda event: event["type"] == "tool" and event["status"] == "proposed")
    assert sent[field] == proposed["args"]["answer_tokens_max"] == place.gateway.settings.answer_tokens
    assert proposed["args"]["reserve"]["tokens"] >= sent[field]
    note = await place.told(lambda event: event["type"] == "note" and "gateway.clamp" in event["text"])
    assert "gpt-4o-mini end at 16,384 tokens" in note["text"]


@pytest.mark.parametrize("own", [8, 100_000])
async def test_a_limit_that_the_request_brings_is_reserved_and_stays(place: Place, own: int) -> None:
    sent = await seen(place, body("openai.chat", "hello", max_tokens=own))
    assert (sent["max_tokens"], "max_completion_tokens" in sent) == (own, False)


async def test_a_limit_of_anthropics_is_the_requests_own(place: Place) -> None:
    sent = await seen(place, body("anthropic.messages", "hello", max_tokens=64_000), "anthropic.messages")
    assert sent["max_tokens"] == 64_000


async def test_turns_under_a_lease_are_limited_too(place: Place) -> None:
    limits = [(await seen(place, body("openai.chat", "hello")))["max_completion_tokens"] for _ in range(3)]
    assert limits == [16_384] * 3


async def test_with_the_clamp_off_nothing_is_added(tmp_path: Path) -> None:
    async with running_place(tmp_path, clamp=False) as place:
        assert "max_completion_tokens" not in await seen(place, body("openai.chat", "hello"))


async def test_a_run_without_a_budget_is_not_limited(tmp_path: Path) -> None:
    free = {"cost_usd": None, "tokens": None}
    with running_upstream() as upstream:
        async with (
            running_hub(tmp_path / "hub", **free) as hub,
            running_gateway(hub, upstream, tmp_path) as gateway,
        ):
            place = Place(hub, gateway, upstream)
            sent = [await seen(place, body("openai.chat", "hello")) for _ in range(2)]
    assert [("max_completion_tokens" in one) for one in sent] == [False, False]


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("gpt-5", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("ft:gpt-4o:me", "max_completion_tokens"),
        ("mistral-large", "max_tokens"),
        ("qwen3:8b", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_models_server_knows(model: str, field: str) -> None:
    request = DIALECTS["openai.chat"].read(json.dumps({"model": model, "messages": []}).encode())
    sent = json.loads(DIALECTS["openai.chat"].forwarded(request, Changes(output_tokens_max=100)))
    assert {name: value for name, value in sent.items() if name.startswith("max_")} == {field: 100}


@pytest.mark.parametrize(
    ("dialect", "field", "given"),
    [
        ("openai.chat", "max_tokens", "100000"),
        ("openai.chat", "max_completion_tokens", 1e5),
        ("openai.responses", "max_output_tokens", "100000"),
        ("anthropic.messages", "max_tokens", 1e5),
    ],
)
def test_a_limit_that_is_no_number_of_tokens_is_replaced(dialect: str, field: str, given: Any) -> None:
    request = DIALECTS[dialect].read(json.dumps(body(dialect, "x") | {field: given}).encode())
    assert request.output_tokens_max is None
    assert json.loads(DIALECTS[dialect].forwarded(request, Changes(output_tokens_max=100)))[field] == 100


async def test_an_answer_that_reaches_the_limit_says_so_on_its_run(place: Place) -> None:
    place.upstream.script("long", Turn(text="word " * 20, finish="length"))
    await place.post(f"/r/run_1/tester/{PATHS['openai.chat']}", json=body("openai.chat", "long"), headers=KEY)
    note = await place.told(lambda event: event["type"] == "note" and "was cut" in event["text"])
    assert note["text"] == "This answer was cut: it reached the 16,384 tokens it had reserved"

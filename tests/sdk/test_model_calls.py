"""Model turns: gated, counted, steered, and answered by an operator who has taken over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from opsconsole.sdk import CallDenied, ModelReply, OperatorCall, TurnUsage
from opsconsole.sdk.model_request import REQUEST_BYTES_MAX, shown_request
from opsconsole.sdk.usage import reply_text, turn_usage
from tests.sdk.conftest import Connect
from tests.sdk.fake_hub import FakeHub, deny

OPENAI = {
    "model": "gpt-served",
    "system_fingerprint": "fp_1",
    "choices": [{"message": {"role": "assistant", "content": "hello"}}],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}
ANTHROPIC = SimpleNamespace(
    model="claude-served",
    content=[SimpleNamespace(type="text", text="hello")],
    usage=SimpleNamespace(
        input_tokens=10, output_tokens=4, cache_read_input_tokens=100, cache_creation_input_tokens=20
    ),
)


async def openai(request: dict[str, Any]) -> Any:
    return OPENAI


async def test_a_turn_is_gated_counted_and_given_back_whole(connect: Connect, fake_hub: FakeHub) -> None:
    request = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "tools": []}
    async with connect() as hub, hub.run(agent="a") as run:
        assert await run.model_call(request, openai, provider="openai") is OPENAI
        await run.model_call(request, openai)
    record = fake_hub.only()
    assert [event["kind"] for event in record.of("tool")] == ["model_call"] * 6
    assert (record.of("tool")[0]["name"], record.of("tool")[2]["result"]) == ("gpt", "hello")
    told = {name: value for name, value in record.of("usage")[-1].items() if name not in ("seq", "ts", "type")}
    assert told == {
        "model": "gpt",
        "provider": "openai",
        "served_model": "gpt-served",
        "fingerprint": "fp_1",
        "turns": 2,
        "input_tokens": 20,
        "output_tokens": 8,
        "cache_read_tokens": 6,
        "cache_write_tokens": 0,
        "reasoning_tokens": 4,
    }


async def test_a_refused_turn_calls_no_model(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = deny("the cap is reached")
    called = []
    async with connect() as hub, hub.run(agent="a") as run:
        with pytest.raises(CallDenied, match="the cap is reached"):
            await run.model_call({"model": "gpt", "messages": []}, lambda request: called.append(1))
    assert called == []


async def test_an_operator_who_has_taken_over_answers_as_the_model(connect: Connect, fake_hub: FakeHub) -> None:
    calls = [{"id": "op_1", "name": "sql", "args": {"q": "x"}}]
    called = []
    async with connect() as hub, hub.run(agent="a") as run:
        await fake_hub.seen(lambda: fake_hub.runs)
        fake_hub.send(run.id, "takeover", by="ann", epoch=1)
        await fake_hub.seen(lambda: fake_hub.results)
        assert run.taken_over_by == "ann"
        fake_hub.verdict = lambda event: {"outcome": "answer", "text": "let me look", "calls": calls, "by": "ann"}
        reply = await run.model_call({"model": "gpt", "messages": []}, lambda request: called.append(1))
    expected = ModelReply(
        text="let me look", calls=(OperatorCall(id="op_1", name="sql", args={"q": "x"}),), author="ann"
    )
    assert (reply, called, fake_hub.only().of("usage")) == (expected, [], [])


async def test_what_an_operator_says_is_appended_to_the_next_turn(connect: Connect, fake_hub: FakeHub) -> None:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    async with connect() as hub, hub.run(agent="a") as run:
        await fake_hub.seen(lambda: fake_hub.runs)
        cmd = fake_hub.send(run.id, "inject", text="mind the budget", by="ann")
        await fake_hub.seen(lambda: fake_hub.only().acked_cseq == 1)
        await run.model_call({"model": "gpt", "messages": messages}, openai)
    assert messages[-1] == {"role": "user", "content": "mind the budget"}
    (told,) = fake_hub.only().of("message")
    assert (told["role"], told["text"], told["author"], told["command"]) == ("operator", "mind the budget", "ann", cmd)
    assert fake_hub.result(cmd).status == "applied"


async def test_what_an_operator_says_does_not_split_a_tool_call_from_its_result(
    connect: Connect, fake_hub: FakeHub
) -> None:
    messages: list[Any] = [{"role": "assistant", "tool_calls": [{"id": "1"}]}]
    async with connect() as hub, hub.run(agent="a") as run:
        await fake_hub.seen(lambda: fake_hub.runs)
        fake_hub.send(run.id, "inject", text="wait")
        await fake_hub.seen(lambda: fake_hub.only().acked_cseq == 1)
        await run.model_call({"model": "gpt", "messages": messages}, openai)
        assert len(messages) == 1
        assert run.injected() == ["wait"]


async def test_usage_of_another_shape_is_read_by_the_agents_own_function(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        await run.model_call(
            {"model": "own", "messages": []},
            lambda request: "hi",
            usage=lambda reply: TurnUsage(input_tokens=len(reply)),
        )
        await run.usage("own", input_tokens=5, cost_usd=0.5)
    usage = fake_hub.only().of("usage")[-1]
    assert (usage["turns"], usage["input_tokens"], usage["cost_usd"]) == (2, 7, 0.5)


def test_anthropic_counts_cached_input_apart_and_we_count_it_in() -> None:
    usage = turn_usage(ANTHROPIC, "claude")
    assert (usage.input_tokens, usage.output_tokens) == (130, 4)
    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.served_model) == (100, 20, "claude-served")


@pytest.mark.parametrize(
    ("reply", "text"), [(OPENAI, "hello"), (ANTHROPIC, "hello"), ("hello", "hello"), (object(), None)]
)
def test_the_words_of_a_reply_are_found(reply: Any, text: str | None) -> None:
    assert reply_text(reply) == text


def test_a_long_conversation_is_shown_from_its_end_and_says_what_is_left_out() -> None:
    messages = [{"role": "user", "content": f"{n} " + "x" * 4_000} for n in range(100)]
    shown = shown_request({"model": "gpt", "messages": messages})["messages"]
    assert shown[0] == messages[0]
    assert shown[-1] == messages[-1]
    assert shown[1] == {"role": "system", "content": f"… {100 - len(shown) + 1} older messages left out"}
    assert len(str(shown)) < REQUEST_BYTES_MAX * 1.2


@pytest.mark.parametrize(
    "message", [{"role": "user", "content": b"\xff"}, object(), {"role": "user", "content": "\ud800"}]
)
def test_a_request_that_is_no_json_is_still_shown(message: Any) -> None:
    (shown,) = shown_request({"model": "gpt", "messages": [message]})["messages"]
    assert set(shown) == {"role", "content"}


def test_an_operator_is_shown_the_parameters_of_the_tools_that_a_request_offers() -> None:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    shapes = [
        {"type": "function", "function": {"name": "nested", "parameters": schema}},
        {"name": "anthropic", "input_schema": schema},
        {"name": "mcp", "inputSchema": schema},
        {"name": "large", "parameters": {"description": "x" * 5_000}},
        "bare",
    ]
    named = [{"name": name, "parameters": schema} for name in ("nested", "anthropic", "mcp")]
    assert shown_request({"model": "gpt", "tools": shapes})["tools"] == [*named, "large", "bare"]

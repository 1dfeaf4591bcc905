"""History that an official client keeps of a turn, restored for upstream: Anthropic Messages and OpenAI Responses."""

from __future__ import annotations

from typing import Any

from opsconsole.gateway.dialect.interface import Answered, Dialect, Held, Pass, Request, Ruling, Stands
from opsconsole.gateway.dialect.splice import Splices
from tests.gateway.dialect import anthropic_wire, responses_wire

REFUSED = Answered(text="No.")
GO = {"role": "user", "content": "Go"}
THEN = {"role": "user", "content": "Then?"}


def turn(splices: Splices, dialect: Dialect, asked: Request, *told: tuple[bytes, list[Ruling]]) -> bytes:
    """One turn: answers of upstream, each with the rulings of its calls; all but the last are asked again."""
    body, before = b"", None
    for data, rulings in told:
        answer = dialect.answer(asked, continues=before)
        pieces = [*answer.feed(data), *answer.end()]
        body += b"".join(piece.data for piece in pieces if isinstance(piece, Pass))
        calls = [call.id for piece in pieces if isinstance(piece, Held) for call in piece.calls]
        ruled = dict(zip(calls, rulings, strict=True))
        if (data, rulings) != told[-1]:
            asked, before = dialect.reask(asked, answer, ruled), answer
            continue
        body += answer.settle(ruled) if ruled else b""
        splices.settled(dialect, asked, answer, ruled, client_id="resp_A", upstream_id="resp_B")
    return body


# -- Anthropic ---------------------------------------------------------------------------------------------------------


def anthropic_turn(splices: Splices, *told: tuple[bytes, list[Ruling]]) -> dict[str, Any]:
    body = turn(splices, anthropic_wire.DIALECT, anthropic_wire.request(), *told)
    return {"role": "assistant", "content": anthropic_wire.read_by_helper(body)["content"]}


def anthropic_restored(splices: Splices, *messages: Any) -> list[Any]:
    """For each message: its role, and of its blocks the type, and what a result or a call is known by."""
    restored = splices.restored(anthropic_wire.request(messages=[GO, *messages])).body["messages"]
    return [
        (
            message["role"],
            [(block["type"], block.get("id") or block.get("tool_use_id")) for block in message["content"]],
        )
        for message in restored[1:]
    ]


def done(call: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": "ok"}]}


def test_a_stripped_call_of_anthropic_comes_back_with_its_result_beside_the_other() -> None:
    splices = Splices()
    message = anthropic_turn(splices, (anthropic_wire.TWO_CALLS, [REFUSED, Stands()]))
    assert anthropic_restored(splices, message, done("toolu_B")) == [
        ("assistant", [("text", None), ("tool_use", "toolu_A"), ("tool_use", "toolu_B")]),
        ("user", [("tool_result", "toolu_A"), ("tool_result", "toolu_B")]),
    ]


def test_a_stopped_turn_of_anthropic_is_found_by_its_words_and_keeps_its_thoughts() -> None:
    splices = Splices()
    message = anthropic_turn(splices, (anthropic_wire.ONE_CALL, [REFUSED]))
    assert anthropic_restored(splices, message, THEN) == [
        ("assistant", [("thinking", None), ("text", None), ("tool_use", "toolu_A")]),
        ("user", [("tool_result", "toolu_A"), ("text", None)]),
    ]


def test_a_turn_of_anthropic_that_was_asked_again_comes_back_as_it_went() -> None:
    splices = Splices()
    message = anthropic_turn(splices, (anthropic_wire.ONE_CALL, [REFUSED]), (anthropic_wire.SPOKEN, []))
    assert anthropic_restored(splices, message) == [
        ("assistant", [("thinking", None), ("text", None), ("tool_use", "toolu_A")]),
        ("user", [("tool_result", "toolu_A")]),
        ("assistant", [("text", None)]),
    ]


# -- Responses ---------------------------------------------------------------------------------------------------------


def responses_turn(splices: Splices, *told: tuple[bytes, list[Ruling]], **asked: Any) -> list[Any]:
    """The items that a client keeps of a turn."""
    body = turn(splices, responses_wire.DIALECT, responses_wire.request(**asked), *told)
    return responses_wire.read_raw(body)[-1]["response"]["output"]


def responses_restored(splices: Splices, **asked: Any) -> list[Any]:
    restored = splices.restored(responses_wire.request(**asked)).body["input"]
    return [(item.get("type", item.get("role")), item.get("call_id")) for item in restored]


def output(call: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call, "output": "ok"}


def test_a_stripped_call_of_responses_comes_back_with_its_result() -> None:
    splices = Splices()
    items = responses_turn(splices, (responses_wire.TWO_CALLS, [REFUSED, Stands()]))
    assert responses_restored(splices, input=[GO, *items, output("call_B")]) == [
        ("user", None),
        ("message", None),
        ("function_call", "call_A"),
        ("function_call", "call_B"),
        ("function_call_output", "call_A"),
        ("function_call_output", "call_B"),
    ]


def test_a_stopped_turn_of_responses_keeps_its_reasoning_beside_its_call() -> None:
    splices = Splices()
    items = responses_turn(splices, (responses_wire.ONE_CALL, [REFUSED]))
    assert responses_restored(splices, input=[GO, *items, THEN])[1:] == [
        ("reasoning", None),
        ("message", None),
        ("function_call", "call_A"),
        ("function_call_output", "call_A"),
        ("user", None),
    ]


def test_a_turn_of_responses_that_was_asked_again_comes_back_as_it_went() -> None:
    splices = Splices()
    again = responses_wire.stream(responses_wire.message("Fine.", "msg_9"), id="resp_B")
    items = responses_turn(splices, (responses_wire.ONE_CALL, [REFUSED]), (again, []))
    assert responses_restored(splices, input=[GO, *items])[1:] == [
        ("reasoning", None),
        ("message", None),
        ("function_call", "call_A"),
        ("function_call_output", "call_A"),
        ("message", None),
    ]


def test_what_upstream_remembers_of_a_turn_is_given_the_results_it_waits_for() -> None:
    splices = Splices()
    responses_turn(splices, (responses_wire.ONE_CALL, [REFUSED]))
    assert responses_restored(splices, input="Then?", previous_response_id="resp_A") == [
        ("function_call_output", "call_A"),
        ("user", None),
    ]


def test_after_a_reask_upstream_waits_for_nothing() -> None:
    splices = Splices()
    again = responses_wire.stream(responses_wire.message("Fine.", "msg_9"), id="resp_B")
    responses_turn(splices, (responses_wire.ONE_CALL, [REFUSED]), (again, []))
    restored = splices.restored(responses_wire.request(input="Then?", previous_response_id="resp_A"))
    assert (restored.body["previous_response_id"], restored.body["input"]) == ("resp_B", "Then?")

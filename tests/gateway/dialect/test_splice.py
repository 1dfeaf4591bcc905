"""What the client never saw of a turn is restored in its later requests; what it saw otherwise stays as it is."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.gateway.dialect.interface import Answered, Changes, Edited, Request, Ruling, Stands
from opsconsole.gateway.dialect.splice import BYTES_MAX, EDITED_NOTE, TURNS_MAX, Sent, Splices, anthropic_joined
from tests.gateway.dialect.chat_wire import (
    ASKED,
    DIALECT,
    ONE_CALL,
    SECOND,
    TWO_CALLS,
    call,
    fed,
    function_entry,
    held,
    passed,
    read_by_helper,
    request,
    role,
    stop,
    words,
)

USER = ASKED["messages"]
A = function_entry("call_A", '{"cmd":"ls"}')
B = function_entry("call_B", '{"cmd":"rm"}')
NO_A = {"role": "tool", "tool_call_id": "call_A", "content": "No A."}
DONE_B = {"role": "tool", "tool_call_id": "call_B", "content": "done"}


def turn(splices: Splices, data: bytes, *rulings: Ruling, asked: Request | None = None) -> dict[str, Any]:
    """One turn that is settled; the message that an official client keeps of it."""
    asked = asked or request()
    answer = DIALECT.answer(asked)
    pieces = fed(answer, data)
    ruled = dict(zip((call.id for call in held(pieces).calls), rulings, strict=True))
    body = passed(pieces) + answer.settle(ruled)
    splices.settled(DIALECT, asked, answer, ruled)
    return kept(body)


def reasked_turn(splices: Splices, first: bytes, second: bytes, *rulings: Ruling) -> dict[str, Any]:
    """One turn whose calls are all refused, and whose second answer is ruled; the message that a client keeps of it."""
    asked = request()
    before = DIALECT.answer(asked)
    pieces = fed(before, first)
    again = DIALECT.reask(asked, before, {each.id: Answered(text="No A.") for each in held(pieces).calls})
    after = DIALECT.answer(again, continues=before)
    more = fed(after, second)
    ruled = dict(zip((each.id for piece in more[-1:] for each in getattr(piece, "calls", ())), rulings, strict=True))
    body = passed([*pieces, *more]) + (after.settle(ruled) if ruled else b"")
    splices.settled(DIALECT, again, after, ruled)
    return kept(body)


def kept(body: bytes) -> dict[str, Any]:
    read = read_by_helper(body)
    calls = [function_entry(id, arguments, name) for id, name, arguments in read["calls"]]
    return {"role": "assistant", "content": read["content"], **({"tool_calls": calls} if calls else {})}


def restored(splices: Splices, *messages: Any) -> list[Any]:
    """The messages that go upstream when the client sends these after the first one."""
    later = request(messages=[*USER, *messages])
    body = json.loads(DIALECT.forwarded(splices.restored(later), Changes(edited=splices.notes)))
    return body["messages"][len(USER) :]


def test_a_stripped_call_comes_back_with_its_refusal_as_its_result() -> None:
    splices = Splices()
    message = turn(splices, TWO_CALLS, Answered(text="No A."), Stands())
    assert message == {"role": "assistant", "content": "Both.\n\nNo A.", "tool_calls": [B]}
    assert restored(splices, message, DONE_B) == [
        {"role": "assistant", "content": "Both.", "tool_calls": [A, B]},
        NO_A,
        DONE_B,
    ]


def test_a_turn_without_any_call_left_is_found_by_its_words() -> None:
    splices = Splices()
    message = turn(splices, role() + call(0, "call_A", '{"cmd":"ls"}') + stop(), Answered(text="No A."))
    assert message == {"role": "assistant", "content": "No A."}
    later = {"role": "user", "content": "Then?"}
    assert restored(splices, message, later) == [
        {"role": "assistant", "content": None, "tool_calls": [A]},
        NO_A,
        later,
    ]


def test_a_client_may_write_the_words_in_parts_and_trim_them() -> None:
    splices = Splices()
    turn(splices, TWO_CALLS, Answered(text="No."), Answered(text="No."))
    parts = [{"type": "text", "text": "Both."}, {"type": "text", "text": "No. "}]
    assert len(restored(splices, {"role": "assistant", "content": parts})) == 3


def test_a_turn_that_was_asked_again_comes_back_as_it_went() -> None:
    splices = Splices()
    message = reasked_turn(splices, role() + words("Hm.") + call(0, "call_A", '{"cmd":"ls"}') + stop(), SECOND)
    assert message == {"role": "assistant", "content": "Hm.\n\nI will not."}
    assert restored(splices, message) == [
        {"role": "assistant", "content": "Hm.", "tool_calls": [A]},
        NO_A,
        {"role": "assistant", "content": "I will not."},
    ]


def test_a_call_after_a_reask_keeps_its_own_result() -> None:
    splices = Splices()
    first = role() + call(0, "call_A", '{"cmd":"ls"}') + stop()
    message = reasked_turn(splices, first, role() + call(0, "call_B", '{"cmd":"rm"}') + stop(), Stands())
    assert restored(splices, message, DONE_B) == [
        {"role": "assistant", "content": None, "tool_calls": [A]},
        NO_A,
        {"role": "assistant", "content": None, "tool_calls": [B]},
        DONE_B,
    ]


def test_an_edit_is_not_undone_and_its_result_says_so() -> None:
    splices = Splices()
    message = turn(splices, ONE_CALL, Edited(args={"cmd": "ls"}))
    result = {"role": "tool", "tool_call_id": "call_A", "content": "a b"}
    assert restored(splices, message, result) == [message, {**result, "content": f"{EDITED_NOTE}\n\na b"}]


def test_an_edited_call_beside_a_refused_one_comes_back_as_edited() -> None:
    splices = Splices()
    message = turn(splices, TWO_CALLS, Answered(text="No A."), Edited(args={"cmd": "pwd"}))
    first, *_ = restored(splices, message, DONE_B)
    assert first["tool_calls"] == [A, function_entry("call_B", '{"cmd":"pwd"}')]


def test_a_turn_that_was_not_changed_is_sent_byte_for_byte() -> None:
    splices = Splices()
    message = turn(splices, TWO_CALLS, Stands(), Stands())
    later = request(messages=[*USER, message])
    assert splices.restored(later) is later


def test_words_that_the_client_has_changed_stay_as_they_are() -> None:
    splices = Splices()
    turn(splices, ONE_CALL, Answered(text="No."))
    message = {"role": "assistant", "content": "Something else."}
    assert restored(splices, message) == [message]


def test_several_turns_are_restored_each_in_its_place() -> None:
    splices = Splices()
    first = turn(splices, ONE_CALL, Answered(text="No."))
    second = turn(splices, TWO_CALLS, Answered(text="No A."), Stands())
    roles = [message["role"] for message in restored(splices, first, USER[0], second, DONE_B)]
    assert roles == ["assistant", "tool", "user", "assistant", "tool", "tool"]


def test_what_is_restored_is_asked_again_in_its_own_words() -> None:
    splices = Splices()
    message = turn(splices, ONE_CALL, Answered(text="No."))
    later = request(messages=[*USER, message])
    answer = DIALECT.answer(later)
    fed(answer, TWO_CALLS)
    again = DIALECT.reask(later, answer, {id: Answered(text="No.") for id in ("call_A", "call_B")})
    roles = [message["role"] for message in splices.restored(again).body["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "tool"]


def test_an_answer_of_several_choices_is_left_as_the_client_has_it() -> None:
    splices = Splices()
    data = role() + words("b", index=1) + call(0, "call_A", "{}") + stop()
    data = data.replace(b'"index": 0, "delta": {"content"', b'"index": 1, "delta": {"content"')
    message = turn(splices, data, Answered(text="No."), asked=request(n=2))
    assert restored(splices, message) == [message]


def test_the_oldest_turn_is_forgotten() -> None:
    splices = Splices()
    for number in range(TURNS_MAX + 1):
        splices.remember(
            "openai.chat", sent=Sent(words=f"turn {number}"), original=[{"role": "assistant", "content": "x"}]
        )
    messages = [{"role": "assistant", "content": f"turn {number}"} for number in (0, 1)]
    assert [message["content"] for message in restored(splices, *messages)] == ["turn 0", "x"]


def test_what_is_remembered_is_bounded_in_bytes() -> None:
    splices = Splices()
    big = [{"role": "assistant", "content": "x" * (BYTES_MAX // 2)}]
    for number in range(3):
        splices.remember("openai.chat", sent=Sent(words=f"turn {number}"), original=big)
    messages = [{"role": "assistant", "content": f"turn {number}"} for number in range(3)]
    assert [len(message["content"]) < 99 for message in restored(splices, *messages)] == [True, True, False]


def test_a_turn_without_words_and_calls_is_not_remembered() -> None:
    splices = Splices()
    splices.remember("openai.chat", sent=Sent(words=" "), original=[])
    assert restored(splices, {"role": "assistant", "content": ""}) == [{"role": "assistant", "content": ""}]


# -- how the other dialects write a conversation -----------------------------------------------------------------------


def of(dialect: str, **body: Any) -> Request:
    return Request(
        dialect=dialect, model="m", streams=False, body=body, raw=b"", previous=body.get("previous_response_id")
    )


def test_results_of_one_anthropic_message_stand_in_the_one_after_it() -> None:
    splices = Splices()
    asked = {"role": "user", "content": "Go"}
    use = [{"type": "tool_use", "id": id, "name": "run", "input": {}} for id in ("a", "b")]
    refused = {"type": "tool_result", "tool_use_id": "a", "content": "No.", "is_error": True}
    done = {"type": "tool_result", "tool_use_id": "b", "content": "ok"}
    original = [{"role": "assistant", "content": use}, {"role": "user", "content": [refused]}]
    splices.remember("anthropic.messages", sent=Sent(words="No.", calls=("b",)), original=original)
    client = [{"type": "text", "text": "No."}, use[1]]
    messages = [asked, {"role": "assistant", "content": client}, {"role": "user", "content": [done]}]
    assert splices.restored(of("anthropic.messages", messages=messages)).body["messages"] == [
        asked,
        original[0],
        {"role": "user", "content": [refused, done]},
    ]


def test_words_after_a_refused_call_come_after_its_result() -> None:
    result = {"type": "tool_result", "tool_use_id": "a", "content": "No."}
    joined = anthropic_joined([{"role": "user", "content": [result]}, {"role": "user", "content": "Then?"}])
    assert joined == [{"role": "user", "content": [result, {"type": "text", "text": "Then?"}]}]


def test_neighbouring_items_of_a_responses_turn_are_restored_together() -> None:
    splices = Splices()
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    calls = [{"type": "function_call", "call_id": id, "name": "run", "arguments": "{}"} for id in ("a", "b")]
    refused = {"type": "function_call_output", "call_id": "a", "output": "No."}
    done = {"type": "function_call_output", "call_id": "b", "output": "ok"}
    original = [thought, *calls, refused]
    splices.remember("openai.responses", sent=Sent(words="No.", calls=("b",)), original=original)
    note = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "No."}]}
    user = {"role": "user", "content": "Go"}
    items = [user, thought, note, calls[1], done, {"role": "user", "content": "Then?"}]
    assert splices.restored(of("openai.responses", input=items)).body["input"] == [user, *original, done, items[-1]]


def test_a_later_request_refers_to_the_answer_that_upstream_knows() -> None:
    splices = Splices()
    splices.alias("resp_A", "resp_B")
    read = splices.restored(of("openai.responses", input="Then?", previous_response_id="resp_A"))
    assert (read.previous, read.body) == ("resp_B", {"input": "Then?", "previous_response_id": "resp_B"})

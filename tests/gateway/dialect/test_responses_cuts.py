"""However the bytes of OpenAI Responses are cut, and whatever they are: the same pieces, and never a call unheld."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.gateway.dialect.interface import (
    Answered,
    Broken,
    CannotReask,
    Done,
    Edited,
    Held,
    Pass,
    Request,
    Ruling,
    Stands,
    Text,
)
from tests.gateway.dialect.anthropic_wire import fed, held, passed
from tests.gateway.dialect.responses_wire import (
    DIALECT,
    ONE_CALL,
    SPOKEN,
    TWO_CALLS,
    custom,
    events,
    frames,
    function,
    message,
    read_by_helper,
    request,
    shell,
    stream,
)

MIXED = stream(message("ü 1"), custom("call_A", "ü"), function("call_B", '{"n": "ü"}'), shell("call_C", "rm"))
STREAMS = [SPOKEN, ONE_CALL, TWO_CALLS, MIXED, MIXED.replace(b"\n", b"\r\n"), b": hello\n\n" + TWO_CALLS]
CUTS = st.lists(st.integers(0, 6000), max_size=12)
RULING = st.sampled_from([Stands(), Edited(args={"input": "ls"}), Answered(text="No."), Answered(text="Nor this.")])
NOISE = st.none() | st.integers(-1, 3) | st.sampled_from(["x", "call"]) | st.lists(st.integers(), max_size=2)
ITEMS = st.sampled_from(
    [message("a"), function("call_A", "{}"), custom("call_B", "x"), shell("call_C", "rm"), {"type": "robot_call"}, {}]
)
EVENTS = st.builds(
    lambda event, index, item, noise: {**event, "output_index": index, **({"item": item} if noise else {})},
    st.sampled_from(
        [
            *events(message("a"), function("call_A", "{}"), custom("call_B", "x")),
            {"type": "response.shell_call_command.delta", "delta": "rm"},
            {"type": "error", "message": "x"},
            {"type": "new"},
        ]
    ),
    st.integers(0, 2) | NOISE,
    ITEMS,
    st.booleans(),
)


def kinds(pieces: list) -> list:
    """Neighbouring words and bytes are one, whichever read brought them."""
    words = "".join(piece.text for piece in pieces if isinstance(piece, Text))
    return [words, passed(pieces), *(piece for piece in pieces if not isinstance(piece, Text | Pass))]


@settings(max_examples=100, deadline=None)
@given(data=st.sampled_from(STREAMS), cuts=CUTS)
def test_any_cut_of_a_stream_gives_the_same_pieces(data: bytes, cuts: list[int]) -> None:
    whole, cut = DIALECT.answer(request()), DIALECT.answer(request())
    assert kinds(fed(cut, data, cuts)) == kinds(fed(whole, data))


@settings(max_examples=50, deadline=None)
@given(cuts=CUTS)
def test_any_cut_of_an_approved_answer_is_byte_identical(cuts: list[int]) -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, MIXED, cuts)
    assert passed(pieces) + answer.settle({call.id: Stands() for call in held(pieces).calls}) == MIXED


@settings(max_examples=60, deadline=None)
@given(rulings=st.lists(RULING, min_size=3, max_size=3), waits=st.lists(st.booleans(), min_size=3, max_size=3))
def test_the_official_client_reads_whatever_was_ruled(rulings: list[Ruling], waits: list[bool]) -> None:
    answer = DIALECT.answer(request())
    body = answer.keep_alive() if waits[0] else b""
    body += passed(answer.feed(MIXED[:4000])) + (answer.keep_alive() if waits[1] else b"")
    body += passed(answer.feed(MIXED[4000:])) + (answer.keep_alive() if waits[2] else b"")
    ruled = dict(zip(["call_A", "call_B", "call_C"], rulings, strict=True))
    read = read_by_helper(body + answer.settle(ruled))
    stand = [call for call, ruling in ruled.items() if not isinstance(ruling, Answered)]
    assert [item["id"] for item in read["output"] if "id" in item] == stand


@settings(max_examples=120, deadline=None)
@given(told=st.lists(EVENTS, max_size=8), begun=st.integers(0, 2), cuts=CUTS, continues=st.booleans())
def test_no_order_of_events_passes_a_call_or_raises(told: list[dict], begun: int, cuts: list, continues: bool) -> None:
    before, asked = _before() if continues else (None, request())
    answer = DIALECT.answer(asked, continues=before)
    pieces = fed(answer, frames([*events()[:begun], *told]), cuts)
    assert isinstance(pieces[-1], Broken | Held | Done)
    shown = [json.loads(line[6:]) for line in passed(pieces).split(b"\n") if line.startswith(b"data: ")]
    assert not any(_has_call(event) for event in shown)
    if isinstance(pieces[-1], Held):
        answer.keep_alive()
        assert answer.settle({call.id: Edited(args={"a": 1}) for call in pieces[-1].calls})


def _before() -> tuple[Any, Request]:
    """An answer that was refused, and the request that asks again."""
    answer = DIALECT.answer(request())
    fed(answer, ONE_CALL)
    return answer, DIALECT.reask(request(), answer, {"call_A": Answered(text="No.")})


def _has_call(event: dict) -> bool:
    own = event.get("item") if event["type"].startswith("response.output_item") else None
    items = [own or {}, *((event.get("response") or {}).get("output") or ())]
    return any(item.get("type", "message").endswith("_call") for item in items)


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=400), cuts=CUTS, streams=st.booleans())
def test_garbage_never_raises(data: bytes, cuts: list[int], streams: bool) -> None:
    pieces = fed(DIALECT.answer(request(streams=streams)), data, cuts)
    assert isinstance(pieces[-1], Broken)


@settings(max_examples=100, deadline=None)
@given(told=st.lists(EVENTS, max_size=6))
def test_asking_again_never_fails_but_by_saying_so(told: list[dict]) -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, frames([*events()[:1], *told, events()[-1]]))
    if isinstance(pieces[-1], Held):
        try:
            again = DIALECT.reask(request(), answer, {call.id: Answered(text="No.") for call in pieces[-1].calls})
        except CannotReask:
            return
        assert fed(DIALECT.answer(again, continues=answer), SPOKEN)[-1] == Done(finish="completed")

"""The quick reader: whatever it reads is what the models read, and whatever it does not read is left to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsconsole.errors import RemoteProtocolError
from opsconsole.protocol.coding import decode, spliced_events
from opsconsole.protocol.events import MessageEvent, NoteEvent, StateEvent, ToolEvent, UsageEvent
from opsconsole.protocol.frames import Direction, EventFrame
from opsconsole.protocol.limits import BATCH_EVENTS_MAX, FRAME_BYTES_MAX
from opsconsole.protocol.quick import EVENT_FRAMES, TOOL_EVENTS, either, read, twin_of
from tests.protocol import samples

MODELS = {"state": StateEvent, "message": MessageEvent, "tool": ToolEvent, "usage": UsageEvent, "note": NoteEvent}
PLAIN = {name: samples.EVENTS[name] for name in MODELS} | {
    "state": {"seq": 2, "ts": 1, "type": "state", "state": "failed"}
}
BY: Direction = "agent_to_hub"


def frame_of(*events: dict[str, Any], **more: Any) -> bytes:
    """The bytes of an event frame as our clients write it."""
    return json.dumps(
        {"t": "event", "run": "run_1", "gen": "g1", "events": events} | more, separators=(",", ":")
    ).encode()


def is_quick(data: bytes) -> bool:
    """Whether the quick reader read it itself."""
    return type(read(data, BY)) is EVENT_FRAMES[0]


def told(event: Any) -> dict[str, tuple[type, Any]]:
    """Every field of an event with its type: 1, 1.0 and True are three things."""
    names = MODELS[event.type].model_fields
    return {name: (type(getattr(event, name)), repr(getattr(event, name))) for name in names}


def answer_of(reader: Callable[[bytes, Direction], Any], data: bytes) -> Any:
    """What a reader makes of the bytes, or the reason and the code with which it refuses them."""
    try:
        return reader(data, BY)
    except RemoteProtocolError as error:
        return str(error), error.code


def is_agreed(data: bytes) -> bool:
    """Whether the bytes were read quickly; if so, it is shown that the models read just the same."""
    quick: Any = answer_of(read, data)
    if not isinstance(quick, EVENT_FRAMES):
        assert quick == answer_of(decode, data)
    if type(quick) is not EVENT_FRAMES[0]:
        return False
    frame = decode(data, BY)
    assert type(frame) is EventFrame
    assert (quick.run, quick.gen, quick.skip, frame.skip) == (frame.run, frame.gen, None, None)
    assert [told(event) for event in quick.events] == [told(event) for event in frame.events]
    assert spliced_events(data, quick) == spliced_events(data, frame)
    return True


@pytest.mark.parametrize("kind", MODELS)
def test_plain_events_are_read_quickly_and_as_the_models_read_them(kind: str) -> None:
    assert is_agreed(frame_of(PLAIN[kind]))


@pytest.mark.parametrize("kind", MODELS)
def test_a_twin_has_every_field_and_every_method_of_its_model(kind: str) -> None:
    twin, model = either(MODELS[kind])
    methods = {name for name, one in vars(model).items() if callable(one) and not name.startswith("_")}
    assert {name for name in {*model.model_fields, *methods} if not hasattr(twin, name)} == set()


def test_a_reading_read_quickly_gives_its_counts() -> None:
    [event] = read(frame_of(PLAIN["usage"]), BY).events  # type: ignore[union-attr]
    assert event.reading() == UsageEvent.model_validate(PLAIN["usage"]).reading()


@pytest.mark.parametrize(
    "data",
    [
        frame_of(samples.EVENTS["run"]),
        frame_of(samples.EVENTS["state"]),
        frame_of(PLAIN["note"], skip={"first": 1, "last": 5, "why": "full"}),
        frame_of(PLAIN["note"], later="word"),
        frame_of(PLAIN["note"] | {"later": "word"}),
        frame_of(PLAIN["note"] | {"data": {"x": float("nan")}}),
        frame_of(PLAIN["tool"] | {"duration_ms": -1}),
        frame_of(PLAIN["message"] | {"id": "m1\n"}),
        frame_of(PLAIN["usage"] | {"turns": True}),
        b" " + frame_of(PLAIN["note"]),
    ],
    ids=["run", "exit", "skip", "frame field", "event field", "nan", "no duration", "line feed", "bool", "space"],
)
def test_what_is_not_plain_is_left_to_the_models(data: bytes) -> None:
    assert not is_quick(data)
    assert repr(read(data, BY)) == repr(decode(data, BY))


@pytest.mark.parametrize(("levels", "quick"), [(6, True), (7, False), (150, False)])
def test_deep_values_are_left_to_the_models(levels: int, quick: bool) -> None:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    assert is_agreed(frame_of(PLAIN["note"] | {"data": {"x": value}})) is quick


def test_what_the_models_refuse_for_its_depth_is_refused() -> None:
    data = frame_of(PLAIN["note"]).replace(b'{"id":"k1"}', b'{"x":' + b"[" * 400 + b"]" * 400 + b"}")
    with pytest.raises(RemoteProtocolError, match="recursion limit"):
        read(data, BY)


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(RemoteProtocolError, match="at most"):
        read(frame_of(PLAIN["note"]) + b" " * FRAME_BYTES_MAX, BY)


def test_of_a_frame_whose_beginning_was_known_the_rest_is_stored() -> None:
    data = frame_of({"seq": 1, "ts": 1, "type": "note", "text": "a"}, {"seq": 2, "ts": 1, "type": "note", "text": "b"})
    frame: Any = read(data, BY)
    assert spliced_events(data, frame, left_out=1) == b'[{"seq":2,"ts":1.0,"type":"note","text":"b"}]'


def test_tools_are_told_whichever_reader_read_them() -> None:
    frames: list[Any] = [reader(frame_of(PLAIN["tool"]), BY) for reader in (read, decode)]
    assert all(isinstance(frame.events[0], TOOL_EVENTS) for frame in frames)


def test_a_field_without_known_bounds_stops_the_making_of_a_twin() -> None:
    class Odd(NoteEvent):
        when: dict[str, bytes]

    with pytest.raises(TypeError, match="no quick reading"):
        twin_of(Odd)


NUMBERS = [True, 0, -1, 1, 2**53, 2**53 + 1, 10**30, 1.0, 1.5, -0.0, 1e300, float("inf"), float("nan")]
WORDS = ["", "1", "x", "high", "proposed", "working", "m 1", "é", "\x00", "\ud800", "x" * 200, "x" * 201, "y" * 8_001]
ODD = st.sampled_from([None, *NUMBERS, *WORDS, [], {}, [1, [2.0]], {"a": {"b": [None]}}])
FIELDS = sorted({name for model in MODELS.values() for name in model.model_fields if name != "type"} | {"new"})


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Frames of events with odd values, written compactly or not, and some broken in a few places."""
    events = []
    for kind in draw(st.lists(st.sampled_from(sorted(MODELS)), min_size=1, max_size=3)):
        odd = draw(st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=2))
        events.append(PLAIN[kind] | odd)
    data = frame_of(*events).decode()
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(15, len(data)))
        piece = draw(
            st.sampled_from(["", "0", ".", "e", "-", '"', ",", "{", "}", "[", "]", "\\", " ", "\n", '"seq":9,'])
        )
        data = data[:at] + piece + data[at + draw(st.integers(0, 2)) :]
    return data.encode()


@settings(max_examples=1_500)
@example(frame_of(PLAIN["tool"]).replace(b'"type":"tool"', b'"type":"tool","type":"note"'))
@example(frame_of(PLAIN["tool"]).replace(b'"type":"tool"', b'"type":"note","type":"tool"'))
@example(frame_of(PLAIN["tool"]).replace(b'"args":', b'"args":{"x":1},"args":'))
@example(frame_of(PLAIN["note"]).replace(b'"hello"', b'"\\ud83d\\ude00 \\u0061"'))
@example(frame_of(PLAIN["note"]).replace(b'"hello"', b'"\xff"'))
@example(frame_of(PLAIN["note"]).replace(b'"ts":1.5', b'"ts":1e999'))
@example(frame_of(PLAIN["note"]).replace(b'"seq":6', b'"seq":6.0'))
@example(frame_of(PLAIN["note"]).replace(b'"k1"', b"1" * 5_000))
@given(frames())
def test_whatever_is_read_quickly_is_what_the_models_read(data: bytes) -> None:
    is_agreed(data)


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(sorted(MODELS)), min_size=1, max_size=4), st.dictionaries(st.text(), samples.JSON_VALUES)
)
def test_any_shallow_arguments_are_read_as_the_models_read_them(kinds: list[str], args: dict[str, Any]) -> None:
    is_agreed(frame_of(*(PLAIN[kind] | ({"args": args} if kind == "tool" else {}) for kind in kinds)))


@pytest.mark.parametrize(
    "data",
    [
        frame_of(PLAIN["note"], run="run_1\n"),
        frame_of(PLAIN["note"], gen="g1\n"),
        frame_of(*[PLAIN["note"]] * (BATCH_EVENTS_MAX + 1)),
    ],
    ids=["run with a line feed", "process with a line feed", "too many events"],
)
def test_a_frame_that_the_models_refuse_is_not_read_quickly(data: bytes) -> None:
    assert not is_agreed(data)


def test_an_operator_sends_no_events_whatever_they_look_like() -> None:
    assert read(frame_of(PLAIN["note"]), "operator_to_hub") is None

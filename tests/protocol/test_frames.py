"""Frames: every type there and back, and a clear refusal for everything that is none."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import RemoteProtocolError
from opsconsole.protocol.coding import decode, encode, encoded_events
from opsconsole.protocol.events import RunEvent, StateEvent, UnknownEvent, parse_timeline
from opsconsole.protocol.frames import FRAMES, EventFrame
from opsconsole.protocol.limits import BATCH_EVENTS_MAX, FRAME_BYTES_MAX, Close
from tests.protocol import samples

EACH = [(direction, name) for direction, frames in samples.FRAMES.items() for name in frames]


def test_there_is_a_sample_of_every_frame() -> None:
    for direction, models in FRAMES.items():
        assert {model.model_fields["t"].default for model in models} == set(samples.FRAMES[direction])


@pytest.mark.parametrize(("direction", "name"), EACH)
def test_a_frame_there_and_back_is_the_same(direction: Any, name: str) -> None:
    frame = decode(json.dumps(samples.FRAMES[direction][name]), direction)
    assert frame is not None
    assert decode(encode(frame), direction) == frame


@pytest.mark.parametrize(("direction", "name"), EACH)
def test_nothing_of_a_frame_is_lost_on_the_way(direction: Any, name: str) -> None:
    sample = samples.FRAMES[direction][name]
    frame = decode(json.dumps(sample), direction)
    assert frame is not None
    sent = json.loads(encode(frame))
    assert {key: sent.get(key) for key in sample if key != "events"} == {
        key: value for key, value in sample.items() if key != "events"
    } or name == "hello"


def test_null_arguments_survive_in_commands_and_verdicts() -> None:
    for direction, name in (("operator_to_hub", "cmd"), ("hub_to_agent", "cmd")):
        frame = decode(json.dumps(samples.FRAMES[direction][name]), direction)  # type: ignore[arg-type]
        assert frame is not None
        assert json.loads(encode(frame))["args"] == {"query": "y", "limit": None}


@pytest.mark.parametrize(("direction", "name"), EACH)
def test_a_newer_peers_extra_fields_are_ignored(direction: Any, name: str) -> None:
    assert decode(json.dumps(samples.FRAMES[direction][name] | {"from_the_future": 1}), direction) is not None


@pytest.mark.parametrize("direction", FRAMES)
def test_an_unknown_type_of_frame_is_ignored(direction: Any) -> None:
    assert decode('{"t":"from_the_future","x":1}', direction) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b"{}",
        b'{"t":7}',
        b'{"t":"beat"',
        b'{"t":"beat","busy":"\xff"}',
        b'{"t":"beat","busy":"\\ud800"}',
        b'{"t":"res","cmd":"cmd_1"}',
        b'{"t":"res","cmd":"no id!","ok":true}',
        b'{"t":"attach","runs":[]}',
        b"[" * 10_000,
        b'{"t":"beat","x":' + b"[" * 10_000,
    ],
)
def test_what_is_no_frame_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(data, "agent_to_hub")
    assert caught.value.code == Close.PROTOCOL_ERROR


@pytest.mark.parametrize("data", [b" " * (FRAME_BYTES_MAX + 1), " " * (FRAME_BYTES_MAX + 1), "é" * FRAME_BYTES_MAX])
def test_an_oversized_frame_has_its_own_close_code(data: str | bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(data, "agent_to_hub")
    assert caught.value.code == Close.FRAME_TOO_BIG


@pytest.mark.parametrize("direction", FRAMES)
@given(data=st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_a_frame_an_unknown_one_or_a_protocol_error(direction: Any, data: bytes | str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode(data, direction)


def events_of(*events: dict[str, Any]) -> list[Any]:
    """The events of a frame that holds these."""
    frame = decode(json.dumps(samples.FRAMES["agent_to_hub"]["event"] | {"events": events}), "agent_to_hub")
    assert isinstance(frame, EventFrame)
    return list(frame.events)


def test_an_event_of_an_unknown_type_is_kept_beside_those_that_are_known() -> None:
    known, unknown = events_of(samples.EVENTS["run"], {"seq": 2, "ts": 1.0, "type": "thought_map", "x": {"y": 1}})
    assert isinstance(known, RunEvent)
    assert isinstance(unknown, UnknownEvent)
    assert unknown.model_extra == {"x": {"y": 1}}


def test_an_event_that_does_not_validate_is_kept_with_its_problem_and_never_believed() -> None:
    (event,) = events_of({"seq": 1, "ts": 1.0, "type": "state", "state": "euphoric"})
    assert isinstance(event, UnknownEvent)
    assert event.problem.startswith("state.state: ")  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["link", "command"])
def test_an_agent_cannot_author_what_only_the_hub_observes(kind: str) -> None:
    forged = {"seq": 1, "ts": 1.0, "type": kind, "point": "sdk", "status": "live", "command": "cmd_1", "do": "kill"}
    (event,) = events_of(forged | {"by": "ana"})
    (stored,) = parse_timeline(encoded_events([event]))
    assert isinstance(event, UnknownEvent)
    assert (stored.type, type(stored)) == (f"agent.{kind}", UnknownEvent)


@pytest.mark.parametrize(
    "events",
    [
        [{"ts": 1.0, "type": "note", "text": "no seq"}],
        [{"seq": 0, "ts": 1.0, "type": "note", "text": "x"}],
        [{"seq": 1, "ts": "when", "type": "note", "text": "x"}],
        [7],
        "none",
        [samples.EVENTS["note"]] * (BATCH_EVENTS_MAX + 1),
    ],
    ids=["no seq", "seq 0", "bad ts", "no object", "no list", "too many"],
)
def test_events_without_number_or_time_are_a_protocol_error(events: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        events_of_raw(events)


def events_of_raw(events: Any) -> None:
    """Decode a frame with whatever stands in place of its events."""
    decode(json.dumps(samples.FRAMES["agent_to_hub"]["event"] | {"events": events}), "agent_to_hub")


def test_a_stored_batch_with_an_event_of_a_newer_version_is_still_shown() -> None:
    old, new = parse_timeline(json.dumps([samples.EVENTS["state"], {"seq": 3, "ts": 1.0, "type": "new"}]).encode())
    assert (type(old), type(new)) == (StateEvent, UnknownEvent)

"""Splicing: the bytes that are stored are the events that were believed, whatever a sender writes around them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.errors import RemoteProtocolError
from opsconsole.protocol.coding import decode, encoded_events, spliced_events
from opsconsole.protocol.events import parse_timeline
from opsconsole.protocol.frames import EventFrame
from opsconsole.protocol.quick import EVENT_FRAMES, read
from tests.protocol import samples

NOTE = '{"seq":1,"ts":1.0,"type":"note","text":"%s"}'
HEAD = '{"t":"event","run":"run_1","gen":"g1",'


def stored(data: str) -> bytes:
    """What is stored of a frame."""
    raw = data.encode()
    frame, quick = decode(raw, "agent_to_hub"), read(raw, "agent_to_hub")
    assert isinstance(frame, EventFrame)
    assert isinstance(quick, EVENT_FRAMES)
    body = spliced_events(raw, frame)
    assert is_believed(body, frame)
    assert spliced_events(raw, quick) == body
    return body


def is_believed(body: bytes, frame: EventFrame) -> bool:
    """Whether stored bytes are strict JSON and read back as the events of the frame."""
    json.loads(body, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    believed = [
        event.model_dump(mode="json", exclude={"problem"}) for event in parse_timeline(encoded_events(frame.events))
    ]
    return [event.model_dump(mode="json", exclude={"problem"}) for event in parse_timeline(body)] == believed


def test_an_ordinary_frame_is_stored_byte_for_byte() -> None:
    events = '[{"seq":1,"ts":1.50,"type":"note","text":"\\n é", "data":{"a":1e3}} ]'
    assert stored(f'{HEAD}"events":{events}}}') == events.encode()


@pytest.mark.parametrize(
    "data",
    [
        f'{HEAD}"events":[{NOTE % "one"}],"events":[{NOTE % "two"}]}}',
        f'{HEAD}"\\u0065vents":[{NOTE % "one"}],"events":[{NOTE % "two"}]}}',
        f'{HEAD}"events":[{NOTE % "one"}],"\\u0065vents":[{NOTE % "two"}]}}',
        f'{HEAD}"events":[{NOTE % "one"}],"gen":"g2"}}',
        f'{HEAD}"events":[{NOTE % "one"}],"more":[1]}}',
        f'{HEAD}"more":{{"events":[{NOTE % "inner"}]}},"events":[{NOTE % "one"}]}}',
        f'{HEAD}"skip":{{"first":1,"last":1,"why":"full","events":[7]}},"events":[{NOTE % "x"}]}}',
        f'{HEAD}"events":[{NOTE[:-1] % "x"},"data":{{"events":[1]}}}}]}}',
        f'{HEAD}"events":[{NOTE % "one"}] }}',
        f'{HEAD}"events" : [{NOTE % "one"}]}}',
        f'{HEAD}"events":[{NOTE[:-1] % "x"},"seq":1,"text":"the last counts"}}]}}',
        f'{HEAD}"events":[{NOTE[:-1] % "x"},"type":"message","id":"m","role":"user"}}]}}',
        f'{HEAD}"events":[{NOTE[:-1] % "x"},"data":{{"x":NaN,"y":-Infinity}}}}]}}',
        f'{HEAD}"events":[{{"seq":1,"ts":1.0,"type":"command","command":"c","do":"kill","by":"ana","status":"x"}}]}}',
        f'{HEAD}"events":[{{"seq":1,"ts":1.0,"type":"state","state":"euphoric"}}]}}',
        f'{HEAD}"events":[{NOTE % ("quoted " + chr(92) + chr(34) + "events" + chr(92) + chr(34) + ":[")}]}}',
    ],
)
def test_whatever_is_written_around_them_the_stored_events_are_those_believed(data: str) -> None:
    stored(data)


def test_of_two_lists_of_events_the_one_believed_is_stored() -> None:
    body = stored(f'{HEAD}"events":[{NOTE % "one"}],"events":[{NOTE % "two"}]}}')
    assert json.loads(body)[0]["text"] == "two"


PIECES = st.sampled_from(
    [
        '"events":',
        '"\\u0065vents":',
        '"gen":"g1"',
        '"skip":null',
        '"x":[]',
        '"x":{"events":[]}',
        f"[{NOTE % 'one'}]",
        f"[{NOTE % 'two'}]",
        "[]",
        ",",
        "}",
        "]",
        " ",
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=9))
def test_no_arrangement_of_keys_stores_what_was_not_believed(pieces: list[str]) -> None:
    data = f'{HEAD}"events":[{NOTE % "one"}]{"".join(pieces)}}}'
    try:
        frame = decode(data, "agent_to_hub")
    except RemoteProtocolError:
        return
    assert isinstance(frame, EventFrame)
    assert is_believed(spliced_events(data.encode(), frame), frame)


@given(samples.JSON_VALUES, st.booleans())
def test_any_data_of_an_event_is_stored_as_it_was_believed(value: Any, is_ascii: bool) -> None:
    event = samples.EVENTS["note"] | {"data": {"value": value}}
    data = json.dumps(samples.FRAMES["agent_to_hub"]["event"] | {"events": [event]}, ensure_ascii=is_ascii)
    try:
        raw = data.encode()
        frame = decode(raw, "agent_to_hub")
    except (RemoteProtocolError, UnicodeEncodeError):
        return
    assert isinstance(frame, EventFrame)
    assert is_believed(spliced_events(raw, frame), frame)

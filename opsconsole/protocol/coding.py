"""Frames as bytes: each is read by the rules of its direction, or refused with the reason, and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema, from_json, to_json

from opsconsole.errors import RemoteProtocolError
from opsconsole.protocol.events import Event, UnknownEvent, parse_agent_events
from opsconsole.protocol.frames import (
    FRAMES,
    AgentFrame,
    Delta,
    Direction,
    EventFrame,
    Frame,
    HubToAgent,
    HubToOperator,
    OperatorFrame,
    Snap,
)
from opsconsole.protocol.limits import (
    BATCH_EVENTS_MAX,
    FRAME_BYTES_MAX,
    Close,
)

_ON_USE = ConfigDict(defer_build=True)
"""A process reads one or two of the directions: the others are never built."""
_READERS: dict[Direction, TypeAdapter[Any]] = {
    "agent_to_hub": TypeAdapter(Annotated[AgentFrame, Field(discriminator="t")], config=_ON_USE),
    "operator_to_hub": TypeAdapter(Annotated[OperatorFrame, Field(discriminator="t")], config=_ON_USE),
    "hub_to_agent": TypeAdapter(Annotated[HubToAgent, Field(discriminator="t")], config=_ON_USE),
    "hub_to_operator": TypeAdapter(Annotated[HubToOperator, Field(discriminator="t")], config=_ON_USE),
}
_OF_ROWS: dict[str, type[Snap] | type[Delta]] = {"snap": Snap, "delta": Delta}
_KNOWN: dict[Direction, frozenset[str]] = {
    direction: frozenset(frame.model_fields["t"].default for frame in frames) for direction, frames in FRAMES.items()
}


def decode(data: str | bytes, direction: Direction) -> Frame | None:
    """One frame, or None for a type that this version does not know (a newer minor's: to be ignored).

    Raises: RemoteProtocolError with the close code, for anything else that is not a valid frame.
    """
    size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode(errors="replace"))
    if size > FRAME_BYTES_MAX:
        raise RemoteProtocolError(f"frame of {size} bytes; at most {FRAME_BYTES_MAX}", code=Close.FRAME_TOO_BIG)
    try:
        if direction == "hub_to_operator" and (view := _view_frame(data)) is not None:
            return view
        return _READERS[direction].validate_json(data)  # type: ignore[no-any-return]
    except ValidationError as error:
        return _second_reading(data, direction, error)


def _view_frame(data: str | bytes) -> Frame | None:
    """A frame of rows, which are objects and not looked into: validating would copy each; None for anything else."""
    try:
        raw = from_json(data)
    except ValueError:
        return None
    if not isinstance(raw, dict) or raw.get("t") not in _OF_ROWS:
        return None
    rows = raw.get("rows")
    if type(rows) is not list or not all(type(row) is dict for row in rows):
        return None
    frame: Snap | Delta = _OF_ROWS[raw["t"]].model_validate(raw | {"rows": []})
    frame.rows = rows
    return frame


def encode(frame: BaseModel) -> bytes:
    """The bytes of one frame; unset optional fields are left out."""
    return to_json(frame, exclude_none=True, by_alias=True)


def _second_reading(data: str | bytes, direction: Direction, first: ValidationError) -> Frame | None:
    """A frame that did not validate: an unknown type is ignored, a bad event kept as unknown, the rest an error."""
    try:
        raw = from_json(data, allow_inf_nan=True)
    except ValueError as error:
        raise RemoteProtocolError(f"not JSON: {error}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("t"), str):
        raise RemoteProtocolError("a frame is a JSON object with a string `t`")
    if raw["t"] not in _KNOWN[direction]:
        return None
    if raw["t"] == "event" and direction == "agent_to_hub":
        return _lenient_events(raw, first)
    raise RemoteProtocolError(_explain(first)) from None


def _lenient_events(raw: dict[str, Any], first: ValidationError) -> Frame:
    items = raw.get("events")
    if not isinstance(items, list) or len(items) > BATCH_EVENTS_MAX:
        raise RemoteProtocolError(_explain(first)) from None
    if not all(isinstance(item, dict) for item in items):
        raise RemoteProtocolError(_explain(first)) from None
    try:
        envelope = EventFrame.model_validate({**raw, "events": []})
        events: list[Event] = parse_agent_events(items)
    except (ValidationError, TypeError) as error:
        raise RemoteProtocolError(_explain(error) if isinstance(error, ValidationError) else str(error)) from None
    return envelope.model_copy(update={"events": events})


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"


_STRANGE = SchemaValidator(core_schema.str_schema(pattern=r"\\u00|NaN|Infinity"))
"""What makes the bytes of a frame unfit to be stored as they are; one search of this engine costs a tenth of three."""
_NAMED_AGAIN = SchemaValidator(core_schema.str_schema(pattern='"events"'))


def spliced_events(data: bytes, frame: EventFrame, left_out: int = 0) -> bytes:
    """The JSON array of the frame's events but the first `left_out`: as sent where that is certain, else encoded again.

    Certain means: `events` is the last key and appears once, and every event was read as what it says it is. An
    escaped letter could hide a second key, and NaN is no JSON, so both take the slow way.
    """
    start = data.find(b'"events"')
    believed = type(frame) is not EventFrame or UnknownEvent not in map(type, frame.events)
    plain = believed and frame.skip is None and not frame.model_extra and not _STRANGE.isinstance_python(data)
    if plain and not left_out and data.startswith(b'"events":[', start) and data.endswith(b"]}"):
        body = data[start + 9 : -1]
        if not _NAMED_AGAIN.isinstance_python(body):
            return body
    return encoded_events(_as_models(data, frame).events[left_out:])


def _as_models(data: bytes, frame: EventFrame) -> EventFrame:
    """The frame, of which a quick reader may have made something else than the models that can be encoded."""
    return frame if type(frame) is EventFrame else _READERS["agent_to_hub"].validate_json(data)


def encoded_events(events: Sequence[BaseModel]) -> bytes:
    """The JSON array of events, unset fields left out; numbers that JSON has no word for become strings."""
    return to_json([event.model_dump(mode="json", exclude_unset=True) for event in events], inf_nan_mode="strings")

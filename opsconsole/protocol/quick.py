"""The hub's quick reader of event frames: plain ones are read into twins of the models; the rest is left to the models.

Most bytes that a hub reads are events, and reading them with the models costs three times what this does. A twin has
the fields of its model with their types and bounds, derived from the model itself. It refuses more than the model does
and never less, and what it refuses the model reads again: that stays the authority on what is valid, and says why not.
"""

from __future__ import annotations

from types import FunctionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args

from msgspec import NODEFAULT, DecodeError, Meta, Struct, defstruct
from msgspec.json import Decoder
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import SchemaValidator

from opsconsole.protocol.coding import decode
from opsconsole.protocol.events import (
    Id,
    MessageEvent,
    NoteEvent,
    StateEvent,
    ToolEvent,
    UsageEvent,
)
from opsconsole.protocol.frames import Direction, EventFrame, Frame
from opsconsole.protocol.limits import BATCH_EVENTS_MAX, FRAME_BYTES_MAX
from opsconsole.protocol.twins import kind_of, struct_of

Model = TypeVar("Model", bound=BaseModel)

_BEGIN = b'{"t":"event",'
"""How our clients begin an event frame; one that begins otherwise is read by the model."""
_LEVELS_MAX = 6
"""Levels of lists and objects in a JSON object, itself not counted; the models read deeper ones, to their own limit."""
_OWN = "id"
"""The field that names an event: those of a frame are checked together, which costs less."""
_ARE_IDS = SchemaValidator(TypeAdapter(list[Id]).core_schema).isinstance_python


def twin_of(model: type[BaseModel]) -> type[Struct]:
    """A struct with the fields and methods of an event's model, read from JSON under its `type`.

    A field that is itself a model is left out: an event that has it is refused, and the attribute is the default.
    Raises: TypeError for a field of a kind that this reader knows no bounds for.
    """
    fields = {name: field for name, field in model.model_fields.items() if name != "type"}
    nested = {name: field.default for name, field in fields.items() if _is_nested(field)}
    methods = {name: one for name, one in vars(model).items() if isinstance(one, FunctionType)}
    kind = get_args(model.model_fields["type"].annotation)[0]
    return struct_of(
        model,
        [
            (
                name,
                str if name == _OWN else kind_of(field.annotation, field.metadata, _table),
                NODEFAULT if field.is_required() else field.default,
            )
            for name, field in fields.items()
            if name not in nested
        ],
        namespace={"type": kind, **nested, **methods},
        tag_field="type",
        tag=kind,
        forbid_unknown_fields=True,
    )


def _is_nested(field: FieldInfo) -> bool:
    return any(isinstance(part, type) and issubclass(part, BaseModel) for part in get_args(field.annotation))


def _table(annotation: Any) -> Any:
    return dict[str, _value(_LEVELS_MAX)] if annotation == dict[str, Any] else None  # type: ignore[misc]


def _value(levels: int) -> Any:
    """Any JSON value of so many levels; msgspec would read deeper ones than the models do, which others read later."""
    plain = str | int | float | bool | None
    return plain if levels == 0 else plain | list[_value(levels - 1)] | dict[str, _value(levels - 1)]  # type: ignore[misc]


_TWINS: dict[type[Any], type[Struct]] = {
    model: twin_of(model) for model in (StateEvent, MessageEvent, ToolEvent, UsageEvent, NoteEvent)
}
_QuickFrame = defstruct(
    "QuickFrame",
    [
        ("run", kind_of(Id, (), _table)),
        ("gen", kind_of(Id, (), _table)),
        ("events", Annotated[list[Union[tuple(_TWINS.values())]], Meta(max_length=BATCH_EVENTS_MAX)]),  # type: ignore[misc] # noqa: UP007
    ],
    namespace={"t": "event", "skip": None, "model_extra": None},
    tag_field="t",
    tag="event",
    forbid_unknown_fields=True,
    gc=False,
)
_NAMED = frozenset(twin for model, twin in _TWINS.items() if _OWN in model.model_fields)
_TWINS_OF_ALL: dict[type[Any], type[Struct]] = {EventFrame: _QuickFrame, **_TWINS}
_DECODER: Decoder[Any] = Decoder(_QuickFrame)


def either(model: type[Model]) -> tuple[type[Model], ...]:
    """The types of what was read as `model`, here or by the model itself, for `isinstance`; attributes are the same."""
    twin = _TWINS_OF_ALL.get(model)
    return (model,) if twin is None else (cast(type[Model], twin), model)


EVENT_FRAMES = either(EventFrame)
TOOL_EVENTS = either(ToolEvent)


def read(data: str | bytes, direction: Direction) -> Frame | None:
    """What `coding.decode` makes of the same bytes; plain event frames as twins. Raises: as `coding.decode` does."""
    if direction == "agent_to_hub" and isinstance(data, bytes) and data.startswith(_BEGIN):
        frame = _quick(data)
        if frame is not None:
            return frame
    return decode(data, direction)


def _quick(data: bytes) -> EventFrame | None:
    if len(data) > FRAME_BYTES_MAX:
        return None
    try:
        frame = _DECODER.decode(data)
    except (DecodeError, ValueError, RecursionError):
        return None
    own = [event.id for event in frame.events if type(event) in _NAMED]
    return cast(EventFrame, frame) if _ARE_IDS(own) else None

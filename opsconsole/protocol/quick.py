"""The hub's quick reader of event frames: plain ones are read into twins of the models; the rest is left to the models.

Most bytes that a hub reads are events, and reading them with the models costs three times what this does. A twin has
the fields of its model with their types and bounds, derived from the model itself. It refuses more than the model does
and never less, and what it refuses the model reads again: that stays the authority on what is valid, and says why not.
"""

from __future__ import annotations

from enum import EnumType
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from msgspec import NODEFAULT, DecodeError, Meta, Struct, defstruct
from msgspec.json import Decoder
from pydantic import AfterValidator, BaseModel, TypeAdapter
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
    measured,
)
from opsconsole.protocol.frames import Direction, EventFrame, Frame
from opsconsole.protocol.limits import BATCH_EVENTS_MAX, FRAME_BYTES_MAX

Model = TypeVar("Model", bound=BaseModel)

_BEGIN = b'{"t":"event",'
"""How our clients begin an event frame; one that begins otherwise is read by the model."""
_LEVELS_MAX = 6
"""Levels of lists and objects in a JSON object, itself not counted; the models read deeper ones, to their own limit."""
_OWN = "id"
"""The field that names an event: those of a frame are checked together, which costs less."""
_ARE_IDS = SchemaValidator(TypeAdapter(list[Id]).core_schema).isinstance_python
_BOUNDS = {Ge: "ge", Gt: "gt", Le: "le", MaxLen: "max_length", MinLen: "min_length"}
_UNCHANGED_WITHIN: dict[Any, dict[str, Any]] = {measured: {"ge": 0}}
"""validator -> the bounds within which it gives back what it is given."""


def twin_of(model: type[BaseModel]) -> type[Struct]:
    """A struct with the fields and methods of an event's model, read from JSON under its `type`.

    A field that is itself a model is left out: an event that has it is refused, and the attribute is the default.
    Raises: TypeError for a field of a kind that this reader knows no bounds for.
    """
    fields = {name: field for name, field in model.model_fields.items() if name != "type"}
    nested = {name: field.default for name, field in fields.items() if _is_nested(field)}
    methods = {name: one for name, one in vars(model).items() if isinstance(one, FunctionType)}
    kind = get_args(model.model_fields["type"].annotation)[0]
    return defstruct(
        f"Quick{model.__name__}",
        [
            (
                name,
                str if name == _OWN else _type(field.annotation, field.metadata),
                NODEFAULT if field.is_required() else field.default,
            )
            for name, field in fields.items()
            if name not in nested
        ],
        namespace={"type": kind, **nested, **methods},
        tag_field="type",
        tag=kind,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )


def _is_nested(field: FieldInfo) -> bool:
    return any(isinstance(part, type) and issubclass(part, BaseModel) for part in get_args(field.annotation))


def _type(annotation: Any, metadata: list[Any]) -> Any:
    """What msgspec reads as the model reads `annotation`; bounds on a union are bounds on each thing it may be."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *own = get_args(annotation)
        return _type(inner, [*_unfolded(own), *metadata])
    if origin in (Union, UnionType):
        return Union[tuple(_type(part, metadata) for part in get_args(annotation))]  # noqa: UP007
    if annotation in (str, int, float):
        return Annotated[annotation, Meta(**bounds)] if (bounds := _bounds(metadata)) else annotation
    if annotation is NoneType:
        return annotation
    if annotation == dict[str, Any] and not metadata:
        return dict[str, _value(_LEVELS_MAX)]  # type: ignore[misc]
    if not metadata and (origin is Literal or isinstance(annotation, EnumType) or annotation is bool):
        return annotation
    raise TypeError(f"no quick reading of {annotation} within {metadata}")


def _value(levels: int) -> Any:
    """Any JSON value of so many levels; msgspec would read deeper ones than the models do, which others read later."""
    plain = str | int | float | bool | None
    return plain if levels == 0 else plain | list[_value(levels - 1)] | dict[str, _value(levels - 1)]  # type: ignore[misc]


def _unfolded(metadata: list[Any]) -> list[Any]:
    return [one for item in metadata for one in (item.metadata if isinstance(item, FieldInfo) else (item,))]


def _bounds(metadata: list[Any]) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, AfterValidator) and item.func in _UNCHANGED_WITHIN:
            bounds |= _UNCHANGED_WITHIN[item.func]
        elif type(item) in _BOUNDS:
            bounds[_BOUNDS[type(item)]] = getattr(item, _BOUNDS[type(item)])
        elif isinstance(pattern := getattr(item, "pattern", None), str) and pattern.endswith("$"):
            bounds["pattern"] = pattern[:-1] + r"\Z"  # a `$` of Python would also stand before a last line feed
        else:
            raise TypeError(f"no quick reading within {item}")
    return bounds


_TWINS: dict[type[Any], type[Struct]] = {
    model: twin_of(model) for model in (StateEvent, MessageEvent, ToolEvent, UsageEvent, NoteEvent)
}
_QuickFrame = defstruct(
    "QuickFrame",
    [
        ("run", _type(Id, [])),
        ("gen", _type(Id, [])),
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

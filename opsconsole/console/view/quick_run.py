"""The quick reader of runs' rows: reads plain ones into a twin of their model, and leaves the rest to the model.

A row of a large fleet changes far more often than it is looked at, and the model takes five times as long. The twin has
the fields of the model and their types, derived from it; it refuses more than the model does, never less, so that what
it refuses is read again by the model, which stays the authority on what can be read.
"""

from __future__ import annotations

from enum import EnumType
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin

from msgspec import NODEFAULT, UNSET, DecodeError, Raw, Struct, UnsetType, convert, defstruct, to_builtins
from msgspec import ValidationError as NotPlain
from msgspec.json import Decoder
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from opsconsole.protocol.rows import RunRow

OPENERS_MAX = 100
"""Opening brackets in a row up to which nothing in it can be nested too deep for the model's reader (200 levels)."""
_PLAIN = (str, int, float, bool)


@cache
def twin_of(model: type[BaseModel]) -> type[Struct]:
    """A struct with the fields of a row's model; a table or list that is left out is UNSET.

    Raises: TypeError for a field of a kind that this reader does not know.
    """
    fields = [(name, *_kind_and_default(field)) for name, field in model.model_fields.items()]
    return defstruct(f"Quick{model.__name__}", fields, kw_only=True, omit_defaults=True, gc=False)


def _kind_and_default(field: FieldInfo) -> tuple[Any, Any]:
    if field.metadata:
        raise TypeError(f"no quick reading within {field.metadata}")
    kind = _kind(field.annotation)
    if field.is_required():
        return kind, NODEFAULT
    return (kind, field.default) if field.default_factory is None else (kind | UnsetType, UNSET)


def _kind(annotation: Any) -> Any:
    """What msgspec reads as the model reads `annotation`, or less."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (*_PLAIN, NoneType) or origin is Literal or isinstance(annotation, EnumType):
        return annotation
    if origin in (Union, UnionType):
        return Union[tuple(map(_kind, arguments))]  # noqa: UP007 - made at run time
    if origin is list:
        return tuple[_kind(arguments[0]), ...]  # type: ignore[misc]  # which the collector of garbage forgets, as a list never is
    if annotation in (dict[str, str], dict[str, Any]):
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return twin_of(annotation)
    raise TypeError(f"no quick reading of {annotation}")


_DECODER = Decoder(twin_of(RunRow))


def quickly(raw: dict[str, Any] | Raw) -> RunRow | None:
    """The twin of a row: its words, numbers and tables as they came; None where the model has to look."""
    try:
        if isinstance(raw, dict):
            return cast(RunRow, convert(raw, twin_of(RunRow)))
        text = bytes(raw)
        is_shallow = text.count(b"{") + text.count(b"[") <= OPENERS_MAX
        return cast(RunRow, _DECODER.decode(text)) if is_shallow else None
    except (NotPlain, DecodeError, ValueError, RecursionError):
        return None


def as_told(told: RunRow) -> dict[str, Any]:
    """What a twin was read from, as far as the model reads it."""
    return cast("dict[str, Any]", to_builtins(told))

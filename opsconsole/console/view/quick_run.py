"""The quick reader of runs' rows: reads plain ones into a twin of their model, and leaves the rest to the model.

A row of a large fleet changes far more often than it is looked at, and the model takes five times as long. The twin has
the fields of the model and their types, derived from it; it refuses more than the model does, never less, so that what
it refuses is read again by the model, which stays the authority on what can be read.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast, get_args, get_origin

from msgspec import NODEFAULT, UNSET, DecodeError, Raw, Struct, UnsetType, convert, to_builtins
from msgspec import ValidationError as NotPlain
from msgspec.json import Decoder
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from opsconsole.protocol.rows import RunRow
from opsconsole.protocol.twins import kind_of, struct_of

OPENERS_MAX = 100
"""Opening brackets in a row up to which nothing in it can be nested too deep for the model's reader (200 levels)."""


@cache
def twin_of(model: type[BaseModel]) -> type[Struct]:
    """A struct with the fields of a row's model; a table or list that is left out is UNSET.

    Raises: TypeError for a field of a kind that this reader does not know.
    """
    fields = [(name, *_kind_and_default(field)) for name, field in model.model_fields.items()]
    return struct_of(model, fields, omit_defaults=True)


def _kind_and_default(field: FieldInfo) -> tuple[Any, Any]:
    kind = kind_of(field.annotation, field.metadata, _of_more)
    if field.is_required():
        return kind, NODEFAULT
    return (kind, field.default) if field.default_factory is None else (kind | UnsetType, UNSET)


def _of_more(annotation: Any) -> Any:
    """A list is read as a tuple, which the collector of garbage forgets; tables are read as they are."""
    if get_origin(annotation) is list:
        return tuple[kind_of(get_args(annotation)[0], (), _of_more), ...]  # type: ignore[misc]
    if annotation in (dict[str, str], dict[str, Any]):
        return annotation
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return twin_of(annotation) if is_model else None


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

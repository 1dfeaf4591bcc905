"""What msgspec reads as a model does: structs of a model's fields, for quick readers that leave the rest to the model.

Such a twin may refuse more than its model and never less. What a field holds beyond words, numbers and choices is its
reader's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import EnumType
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from msgspec import Meta, Struct, defstruct
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from opsconsole.protocol.events import measured

FieldOf = tuple[str, Any] | tuple[str, Any, Any]
"""Name, kind, and the default if there is one."""
Other = Callable[[Any], Any]
"""What is read as a list, a table or a model, or None where the reader knows none; these have no bounds."""
_BOUNDS = {Ge: "ge", Gt: "gt", Le: "le", MaxLen: "max_length", MinLen: "min_length"}
_UNCHANGED_WITHIN: dict[Any, dict[str, Any]] = {measured: {"ge": 0}}
"""validator -> the bounds within which it gives back what it is given."""


def struct_of(model: type[BaseModel], fields: Sequence[FieldOf], **more: Any) -> type[Struct]:
    """The twin of a model with these fields; `more` is as `defstruct` takes it."""
    return defstruct(f"Quick{model.__name__}", fields, kw_only=True, gc=False, **more)


def kind_of(annotation: Any, metadata: Sequence[Any], other: Other) -> Any:
    """What msgspec reads as a model reads `annotation`, or less; bounds on a union are bounds on each thing it may be.

    Raises: TypeError for what neither this nor `other` knows.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *own = get_args(annotation)
        return kind_of(inner, [*_unfolded(own), *metadata], other)
    if origin in (Union, UnionType):
        return Union[tuple(kind_of(part, metadata, other) for part in get_args(annotation))]  # noqa: UP007 - made at run time
    if annotation in (str, int, float):
        return Annotated[annotation, Meta(**bounds)] if (bounds := _bounds(metadata)) else annotation
    if annotation is NoneType:
        return annotation
    if not metadata and (origin is Literal or isinstance(annotation, EnumType) or annotation is bool):
        return annotation
    if not metadata and (found := other(annotation)) is not None:
        return found
    raise TypeError(f"no quick reading of {annotation} within {metadata}")


def _unfolded(metadata: list[Any]) -> list[Any]:
    return [one for item in metadata for one in (item.metadata if isinstance(item, FieldInfo) else (item,))]


def _bounds(metadata: Sequence[Any]) -> dict[str, Any]:
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

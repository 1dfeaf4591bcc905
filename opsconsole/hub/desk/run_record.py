"""A run as the bytes of its record, written quickly; what these bytes mean is the model's to say, which reads them.

A busy hub writes thousands at a time, between events. The model of a run takes three times as long to write what it
reads back as the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw, Struct, defstruct, json, structs
from pydantic import BaseModel

from opsconsole.hub.desk.state import Point, Run

WORKED_OUT = frozenset({"latest", "open_calls"})
"""Not kept of a run: what follows from the rest."""


def _as_begun(one: Field[Any]) -> tuple[Any, ...]:
    """The default of a field, as a struct declares it; nothing for a field that has none."""
    if one.default_factory is not MISSING:
        return (msgspec.field(default_factory=one.default_factory),)
    return () if one.default is MISSING else (one.default,)


def _writer(kept: type[Any], left_out: frozenset[str] = frozenset()) -> Callable[[Any], Struct]:
    """Makes of a value what is written of it: its fields, but for those that are as it began."""
    wanted = [one for one in fields(kept) if one.name not in left_out]
    twin = defstruct(
        f"Saved{kept.__name__}", [(one.name, Any, *_as_begun(one)) for one in wanted], omit_defaults=True, gc=False
    )
    values = attrgetter(*(one.name for one in wanted))
    return lambda value: twin(*values(value))


_saved_run = _writer(Run, WORKED_OUT)
_saved_point = _writer(Point)


def written(run: Run) -> bytes:
    """The record of a run. Arguments of its calls are not in it: only memory ever holds them unmasked."""
    bare = {
        key: structs.replace(call, args=None, edited=None, input_schema=None)
        for key, call in run.calls.items()
        if call.args is not None or call.edited is not None or call.input_schema is not None
    }
    saved: Any = _saved_run(run)
    saved.points = {name: _saved_point(point) for name, point in run.points.items()}
    saved.calls = {**run.calls, **bare} if bare else run.calls
    return _ENCODER.encode(saved)


def _other(value: Any) -> Any:
    """What is written of a value that is neither JSON's own nor a plain record."""
    if isinstance(value, BaseModel):
        return Raw(value.model_dump_json(exclude_defaults=True).encode())
    if isinstance(value, deque):
        return list(value)
    raise TypeError(f"a run's record has no place for {type(value).__name__}")


_ENCODER = json.Encoder(enc_hook=_other)

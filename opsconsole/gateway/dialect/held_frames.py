"""Frames that an answer holds back: what one says, which part of the answer it is of, and how it is passed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsconsole.gateway.dialect.framing import read_frame
from opsconsole.gateway.dialect.json_text import read_object

FRAME_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


def body_of(raw: bytes) -> dict[str, Any]:
    """The object in a frame; empty for a comment. Raises: Unreadable."""
    frame = read_frame(raw)
    return read_object(frame.data, "an event") if frame.data else {}


def place_of(body: Mapping[str, Any], field: str) -> int:
    """The number in `field`, of the part that an event is about; -1 where it has none."""
    place = body.get(field)
    return place if type(place) is int else -1  # true is no place, though Python takes it for 1


def ended(raw: bytes) -> bytes:
    """The frame with the blank line that ends it, which the last one of a stream may lack."""
    return raw if raw.endswith(FRAME_ENDS) or not raw else raw + b"\n\n"

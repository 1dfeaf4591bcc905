"""Takes the runs' rows out of a frame without reading them: each is read in its turn, and keys have theirs between.

What is left of the frame is read by the protocol's own rules, which stay the authority on what a frame is.
"""

from __future__ import annotations

from typing import cast

from msgspec import DecodeError, Raw
from msgspec.json import Decoder, encode

from opsconsole.protocol.frames import Delta, Frame, Snap

_BEGIN = ('{"t":"delta","sub":"board",', '{"t":"snap","sub":"board",')
"""How a hub begins a frame of runs; one that begins otherwise is left whole."""
_NONE = Raw(b"[]")
_ENVELOPE = Decoder(dict[str, Raw])
_ROWS = Decoder(list[Raw])


def cut(data: str | bytes) -> tuple[str | bytes, list[Raw] | None]:
    """The frame without its rows, and their texts, each an object; a frame that is none of runs comes back whole."""
    if not isinstance(data, str) or not data.startswith(_BEGIN):
        return data, None
    try:
        parts = _ENVELOPE.decode(data)
        rows = _ROWS.decode(parts["rows"])
    except (DecodeError, KeyError, RecursionError):
        return data, None
    if not all(map(_is_object, rows)):
        return data, None
    return encode(parts | {"rows": _NONE}), rows


def joined(frame: Frame | None, rows: list[Raw] | None) -> Frame | None:
    """`frame` with the texts of its rows."""
    if rows is not None and isinstance(frame, Snap | Delta):
        frame.rows = cast("list[dict[str, object]]", rows)
    return frame


def _is_object(row: Raw) -> bool:
    return memoryview(row)[0] == 0x7B

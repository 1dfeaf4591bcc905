"""Fills one event frame from journalled events, with holes made visible; it knows no connection and no disk."""

from __future__ import annotations

import json
from collections.abc import Sequence

BATCH_EVENTS = 100
"""Events in one frame: past the knee of cost for an event, and small enough to interleave with commands."""
BATCH_BYTES = 262_144
"""Bytes of events in one frame; a larger single event goes alone."""


def event_frame(
    run: str, gen: str, first: int, rows: Sequence[tuple[int, bytes]], *, hole_end: int, regress: int | None = None
) -> tuple[bytes, int]:
    """The frame that continues at `first`, and the last number it accounts for.

    rows: journalled events from `first` on, in order, perhaps with holes. hole_end: the last missing number when the
    frame must begin with a hole (or holds nothing else). regress: the hub asks for events from here, before `first`,
    that are delivered and gone.
    """
    hole_first, why = (regress, "delivered before and removed") if regress is not None else (first, "journal_cap")
    starts_with_hole = regress is not None or not rows or rows[0][0] > first
    hole_last = hole_end if not rows else rows[0][0] - 1
    bodies, last = _contiguous(rows, hole_last)
    head = f'{{"t":"event","run":{json.dumps(run)},"gen":{json.dumps(gen)},'
    if starts_with_hole:
        head += f'"skip":{{"first":{hole_first},"last":{hole_last},"why":{json.dumps(why)}}},'
    return head.encode() + b'"events":[' + b",".join(bodies) + b"]}", last


def _contiguous(rows: Sequence[tuple[int, bytes]], last: int) -> tuple[list[bytes], int]:
    bodies: list[bytes] = []
    size = 0
    for seq, body in rows[:BATCH_EVENTS]:
        size += len(body)
        if seq != last + 1 or (bodies and size > BATCH_BYTES):
            break
        bodies.append(body)
        last = seq
    return bodies, last

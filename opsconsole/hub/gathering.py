"""Frames of agents that nobody waits for, gathered for a moment: several in one go cost half as much; it reads none.

After each pause a processor begins with cold caches, and a hub with a hundred frames a second pauses after each. One
with little to do handles each at once, as does one with very much to do.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from opsconsole.hub.recorder import GATHER_SECONDS

FRAMES_MAX = 64
BYTES_MAX = 64 * 1024
"""Of all connections: two or three milliseconds of work, for which a held call may have to wait."""
BUSY_SECONDS = 1.0
"""How long none is gathered after so much has come at once: then one frame follows another anyway."""
_HURRIES = (b'"gate"', b'"model_call"', b'"type":"state"', b'"type":"run"')
"""What somebody may wait for: a verdict, a turn that is over, a run that begins or ends."""


class Gathering:
    """One hub's. Frames wait no longer than their batch would, had it been given to the disk at once."""

    def __init__(self, seconds: float = GATHER_SECONDS) -> None:
        self._seconds = seconds
        self._settles: dict[Callable[[], None], None] = {}
        self._frames = 0
        self._bytes = 0
        self._flushed_at = -math.inf
        self._busy_until = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def is_on(self, now: float) -> bool:
        """Whether frames may wait just now; `now` is monotonic."""
        return now >= self._busy_until

    def put(self, settle: Callable[[], None], size_bytes: int, now: float) -> bool:
        """Whether a frame that may wait does. Its session then keeps it until its `settle` is called."""
        wait = self._flushed_at + self._seconds - now
        if wait <= 0 and self._timer is None:
            self._flushed_at = now
            return False
        self._frames += 1
        self._bytes += size_bytes
        if self._frames > FRAMES_MAX or self._bytes > BYTES_MAX:
            self._busy_until = now + BUSY_SECONDS
            self._flush(now)
            return False
        self._settles[settle] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait, self._flush, now + wait)
        return True

    def _flush(self, now: float) -> None:
        """Let all sessions handle what they have, each for itself and one right after the other."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        settles, self._settles = self._settles, {}
        self._frames = self._bytes = 0
        self._flushed_at = now
        loop = asyncio.get_running_loop()
        for settle in settles:
            loop.call_soon(settle)


def may_wait(data: bytes) -> bool:
    """Whether a frame is of events that ask nothing and end nothing. What is taken for more is not put off."""
    return data.startswith(b'{"t":"event"') and not any(one in data for one in _HURRIES)

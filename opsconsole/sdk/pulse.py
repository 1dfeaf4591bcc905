"""Tells whether the agent's loop still turns: a beat of the link proves only that the link lives."""

from __future__ import annotations

import asyncio
import time

PULSE_SECONDS = 1.0
"""How often the agent's loop gives a sign of life."""
HUNG_SECONDS = 3.0
"""A loop that gave none for this long is called hung; shorter stalls are everyday."""


class Pulse:
    """The last sign of life of one loop."""

    def __init__(self) -> None:
        self._at: float | None = None

    async def beat(self) -> None:
        """Runs in the agent's loop as long as the loop does."""
        try:
            while True:
                self._at = time.monotonic()
                await asyncio.sleep(PULSE_SECONDS)
        finally:
            self._at = None

    def hung_seconds(self, now: float) -> float:
        """How long the loop has stood still; 0 while it turns (or nobody beats)."""
        silent = now - self._at if self._at is not None else 0.0
        return silent if silent >= HUNG_SECONDS else 0.0

"""A simulated WebSocket: in order, with delays, and it may be cut or swallow everything; it reads no frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tests.simulation.stage import Stage

LATENCY_SECONDS = (0.0005, 0.02)


class End(Protocol):
    """One end of a wire."""

    def arrive(self, data: bytes) -> None:
        """A message came in."""
        ...

    def closed(self, code: int) -> None:
        """The wire is gone; 1006 when nobody said why."""
        ...


class Wire:
    """One connection between a client and the hub."""

    def __init__(self, stage: Stage, client: End, hub: End) -> None:
        self._stage = stage
        self._ends = {True: hub, False: client}
        self._last = {True: 0.0, False: 0.0}
        self._knows = {True: True, False: True}
        self.is_cut = False
        self.is_black = False

    def send(self, data: bytes, *, to_hub: bool) -> None:
        """Put a message on its way."""
        if self.is_cut or self.is_black or not self._knows[not to_hub]:
            return
        self._schedule(to_hub, lambda: self._deliver(data, to_hub))

    def close(self, code: int, *, by_hub: bool) -> None:
        """One end closes; the other hears it after what was sent before."""
        if not self._knows[by_hub]:
            return
        self._knows[by_hub] = False
        if not (self.is_cut or self.is_black):
            self._schedule(not by_hub, lambda: self._tell_closed(not by_hub, code))

    def cut(self) -> None:
        """The wire breaks: messages on their way are lost, both ends notice in their own time."""
        if not self.is_cut:
            self.is_cut = True
            for end in (True, False):
                self._stage.soon(0.0, 1.5, lambda end=end: self._tell_closed(end, 1006))  # type: ignore[misc]

    def _schedule(self, to_hub: bool, act: Callable[[], None]) -> None:
        stage = self._stage
        at = max(self._last[to_hub], stage.now + stage.chance.uniform(*LATENCY_SECONDS))
        self._last[to_hub] = at
        stage.after(at - stage.now, act)

    def _deliver(self, data: bytes, to_hub: bool) -> None:
        if not (self.is_cut or self.is_black) and self._knows[to_hub]:
            self._ends[to_hub].arrive(data)

    def _tell_closed(self, to_hub: bool, code: int) -> None:
        if self._knows[to_hub]:
            self._knows[to_hub] = False
            self._ends[to_hub].closed(code)

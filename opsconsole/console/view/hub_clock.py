"""The hub's clock as seen from here: every age on the screen is measured by it, whatever this machine's clock says."""

from __future__ import annotations


class HubClock:
    """Hub time from monotonic time; before the first reading it is the given wall clock's."""

    def __init__(self, *, wall: float, now: float) -> None:
        self._offset = wall - now
        self.known = False
        """Whether the hub ever said what time it is."""

    def reading(self, hub_time: float, *, now: float) -> None:
        """The hub's clock as it stood when the frame was sent (a moment before `now`)."""
        if hub_time > 0:
            self._offset = hub_time - now
            self.known = True

    def at(self, now: float) -> float:
        """Hub time, unix seconds, at monotonic `now`."""
        return self._offset + now

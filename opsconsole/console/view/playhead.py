"""Where a replay stands and how it goes on: by steps, by stops, by time; it shows nothing and reads no clock."""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.console.view.tape import Tape

SPEEDS = (1, 2, 4, 8, 16, 32, 64, 128)
QUIET_SECONDS_MAX = 2.0
"""A stretch in which nothing happened is played no longer than this."""
PAGE_PARTS = 20
"""A page is so much of the tape."""
ADVANCE_SECONDS_MAX = 1.0
"""What one call may play at most: after a suspension the replay does not run away."""


@dataclass(slots=True)
class Playhead:
    """A place on a tape."""

    tape: Tape
    index: int = 0
    playing: bool = False
    speed: int = 8
    _waited: float = 0.0

    def go(self, index: int) -> None:
        """Stand after so many events; a hand on the tape stops it."""
        self.index, self.playing, self._waited = max(0, min(len(self.tape), index)), False, 0.0

    def step(self, by: int) -> None:
        """On or back by events."""
        self.go(self.index + by)

    def page(self, direction: int) -> None:
        """On or back by a part of the tape."""
        self.go(self.index + direction * max(1, len(self.tape) // PAGE_PARTS))

    def stop(self, direction: int) -> None:
        """To the next happening worth a look, or the one before."""
        self.go(self.tape.next_stop(self.index) if direction > 0 else self.tape.last_stop(self.index))

    def play(self) -> None:
        """Play, or stand still; from the end, anew."""
        self.playing = not self.playing
        if self.playing and self.index >= len(self.tape):
            self.index = 0
        self._waited = 0.0

    def faster(self, by: int) -> None:
        """The next speed, or the one before."""
        place = SPEEDS.index(self.speed) + by
        self.speed = SPEEDS[max(0, min(len(SPEEDS) - 1, place))]

    def advance(self, seconds: float) -> bool:
        """Play on for so long; whether anything happened."""
        if not self.playing:
            return False
        before, self._waited = self.index, self._waited + min(max(0.0, seconds), ADVANCE_SECONDS_MAX)
        while self.index < len(self.tape) and self._waited >= (wait := self._gap()):
            self._waited -= wait
            self.index += 1
        if self.index >= len(self.tape):
            self.playing = False
            return True
        return self.index != before

    def _gap(self) -> float:
        if self.index == 0:
            return 0.0
        gap = self.tape.at(self.index + 1) - self.tape.at(self.index)
        return min(max(0.0, gap) / self.speed, QUIET_SECONDS_MAX)

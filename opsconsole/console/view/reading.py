"""Whether what a yes lets run has been on screen to its end; it is told what was painted, and paints nothing."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from opsconsole.console.view.dwell import DWELL_SECONDS
from opsconsole.domain.text import CELL_CHARS_MAX, PANE_CHARS_MAX


class Reading:
    """The lines of one thing to decide on, and which of them were painted; times are monotonic seconds."""

    def __init__(self) -> None:
        self._of: Hashable = None
        self._unread: set[int] = set()
        self._read_at = float("inf")

    def open(self, of: Hashable, lines: int, *, now: float) -> bool:
        """`of`, in so many lines, is what a decision would be on; True where it was not before: all of it is unread."""
        if of == self._of:
            return False
        self._of, self._unread = of, set(range(lines))
        self._read_at = float("inf") if lines else now
        return True

    def painted(self, line: int, *, now: float) -> bool:
        """This line is on screen; True where it was not before."""
        if line not in self._unread:
            return False
        self._unread.discard(line)
        if not self._unread:
            self._read_at = now
        return True

    @property
    def unread(self) -> int:
        """Lines that have not been on screen."""
        return len(self._unread)

    def long_enough(self, *, now: float) -> bool:
        """Whether the last of them came on screen DWELL_SECONDS ago."""
        return now - self._read_at >= DWELL_SECONDS


def is_whole(raw: Any, shown: Any) -> bool:
    """Whether `shown`, made safe of `raw`, leaves out nothing of it: no text is cut, no name or level is lost."""
    if isinstance(raw, str):
        return len(raw) <= PANE_CHARS_MAX
    if isinstance(raw, dict):
        return (
            isinstance(shown, dict)
            and len(raw) == len(shown)
            and all(len(str(name)) <= CELL_CHARS_MAX for name in raw)
            and all(is_whole(one, other) for one, other in zip(raw.values(), shown.values(), strict=True))
        )
    if isinstance(raw, list):
        return isinstance(shown, list) and all(is_whole(one, other) for one, other in zip(raw, shown, strict=True))
    return True

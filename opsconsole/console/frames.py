"""When what is drawn: the answer to a key first, then the words about it, then what the hub changed; it says nothing.

key ─▶ its row painted ─▶ words (heading, hints, side) ─▶ load frames
       rows of the hub wait      wait while the terminal has not taken what was drawn before
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsconsole.console.clock import Clock
from opsconsole.console.terminal import FramePacer
from opsconsole.console.view.session import Session
from opsconsole.console.view.timeline import Timeline

if TYPE_CHECKING:
    from opsconsole.console.app import ConsoleApp

REFRESHES_PER_SECOND = 5
"""How often the words of a view other than the table follow the hub at most; a changed queue is shown at once."""
KEY_QUIET_SECONDS = 0.06
"""Load frames wait this long after a key: the answer to a key is painted first."""
KEY_FIRST_SECONDS = 0.03
"""Rows of the hub wait this long at most for the paint of a key; some keys paint nothing."""
PATIENCE_TICKS = 2
"""Words about a key that painted nothing come after this many load frames' times."""


class Frames:
    """The order in which things are drawn."""

    def __init__(self, app: ConsoleApp, session: Session, clock: Clock) -> None:
        self.pacer = FramePacer(enabled=False)
        self._app = app
        self._session = session
        self._clock = clock
        self._seen_version = -1
        self._seen_calls = -1
        self._refreshed_at = float("-inf")
        self._key_at = float("-inf")
        self._words_due = False
        self._words_in = 0
        self._awaited: Timeline | None = None
        """What an operator opened whose steps are not here yet: they are part of the answer to the key."""
        self._asks = False
        """Whether the next frame drawn is a load frame."""

    def key_read(self) -> None:
        """A key is on its way: rows wait for it."""
        self._session.keys_first_until = self._clock.monotonic() + KEY_FIRST_SECONDS

    def key_came(self) -> None:
        """A key is about to be acted on."""
        self.key_read()
        self._key_at = self._clock.monotonic()

    def key_done(self) -> None:
        """It was: its row is painted, the words about it follow."""
        self._app.deeds.look()
        self._words_due, self._words_in = True, PATIENCE_TICKS
        self._paint_rows()

    def awaits(self, timeline: Timeline | None) -> None:
        """A run was opened."""
        self._awaited = timeline

    def told(self) -> None:
        """Something came from the hub: if it is what was opened, it is drawn at once."""
        if self._awaited is not None and self._awaited.rev is not None:
            opened, self._awaited = self._awaited, None
            if opened is self._session.timeline and self._app.screen_stack:  # none is left when it ends
                self._app.redraw()
                self._paint_rows()

    def painted(self) -> None:
        """Something was written to the terminal."""
        if self._session.keys_first_until:
            self._session.keys_first_until = 0.0
            if not self.pacer.is_slow:
                self._app.call_later(self._words)

    def tail(self) -> str:
        """What to write behind the frame about to be drawn: load frames and answers to keys ask for an answer."""
        if not (self._asks or self._session.keys_first_until):
            return ""
        self._asks = False
        return self.pacer.ask(now=self._clock.monotonic())

    def second(self) -> None:
        """A second has passed: everything is drawn anew, at once or soon after a key."""
        self._words_due, self._words_in = True, PATIENCE_TICKS
        if not self._is_quiet(self._clock.monotonic()):
            self._words()

    def tick(self) -> None:
        """Load frames: visible rows that changed, a slice at a time, never more than the terminal takes."""
        now = self._clock.monotonic()
        self._words_in -= 1
        if not self.pacer.ready(now=now):
            return
        if self._words_due and self._words_in <= 0:
            self._words()
            self._asks = True
            return
        if self._is_quiet(now):
            return
        panel = self._app.panels[self._app.view]
        if self._session.version != self._seen_version:
            self._seen_version = self._session.version
            self._follow(now)
        if panel.rows is not None:
            panel.rows.slices = self.pacer.slices
        self._asks = panel.paint() or self._asks

    def _paint_rows(self) -> None:
        rows = self._app.panels[self._app.view].rows
        if rows is not None and not self.pacer.is_slow:
            self._app.paint_now(rows)

    def _is_quiet(self, now: float) -> bool:
        return now - self._key_at < KEY_QUIET_SECONDS

    def _words(self) -> None:
        if self._words_due and self._app.screen_stack:  # none is left when it ends, and a timer may come after that
            self._words_due = False
            self._app.redraw()

    def _follow(self, now: float) -> None:
        calls = self._session.queue.changes
        if calls == self._seen_calls and now - self._refreshed_at < 1 / REFRESHES_PER_SECOND:
            self._seen_version = -1
            return
        self._seen_calls, self._refreshed_at = calls, now
        if self._app.view != "runs":
            self._app.panels[self._app.view].refresh_rows()
        self._app.deeds.look()
        self._app.receipt.update_lines()

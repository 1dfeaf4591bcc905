"""What becomes of a key: given to what takes words, acted on where it arrives, or ignored; no act is performed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import events
from textual.widgets import Input, TextArea

from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.view.meant import Meant

if TYPE_CHECKING:
    from opsconsole.console.app import ConsoleApp


class Keys:
    """The way of a key from the terminal to an act."""

    def __init__(self, app: ConsoleApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._meant = Meant()
        self.at_return: events.Key | None = None
        """The key by which the terminal's window came back: the focus is given back before it is acted on."""

    @property
    def pressed_at(self) -> float:
        """When the latest key came, in monotonic seconds."""
        return self._meant.at

    @property
    def are_typed(self) -> bool:
        """Whether something on the screen takes words."""
        app = self._app
        return isinstance(app.focused, Input | TextArea) or app.prompt.is_open or app.palette.is_open

    def came(self, event: events.Key) -> bool:
        """Act on a key as it arrives, as the view shown has it; False when it means nothing there, or is typed."""
        now = self._context.clock.monotonic()
        if self.are_typed:
            self._meant.typed(event.key, now=now)
            return False
        action = self._context.keymap.by_key.get((self._app.view, event.key))
        if action is None:
            self._meant.meaningless(event.key, is_letter=event.is_printable, now=now)
            if words := self._context.keymap.nothing_here(self._app.view, event.key):
                self._app.say(words, "dim")
            return False
        self._app.frames.key_came()
        if why_not := self._meant.why_not(action, event.key, now=now):
            self._app.say(why_not, "warn")
        else:
            self.attempt(lambda: self._app.deeds.do(action.id), asks=action.asks)
        self._app.frames.key_done()
        return True

    def left_over(self, event: events.Key) -> bool:
        """A key that no widget took: while typing, only escape means anything; whether it did."""
        if self.are_typed and event.key == "escape":
            self._leave_typing()
            return True
        return False

    def words_given(self) -> None:
        """What was typed has been taken: what is typed on was meant for the same place."""
        self._meant.typed("enter", now=self._context.clock.monotonic())

    def attempt(self, act: Callable[[], None], *, asks: bool = False) -> None:
        """Do something, or tell why it is not done; after a refused question (`asks`) its answer is not acted on."""
        try:
            act()
        except NotDone as reason:
            if asks:
                self._meant.question_refused()
            self._app.say(str(reason), "warn")

    def _leave_typing(self) -> None:
        app = self._app
        if app.prompt.is_open or app.palette.is_open:
            app.close_questions()
        elif app.view == "draft":
            app.draft_panel.review()
            app.redraw()

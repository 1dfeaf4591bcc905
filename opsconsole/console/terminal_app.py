"""An app on a real terminal: bytes saved, hang-up, a moment's leave, a crash without secrets; it shows nothing."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from rich.console import RenderableType
from rich.text import Text
from textual.app import App
from textual.driver import Driver
from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from opsconsole.console.cells import CellsUpdate, only_changed
from opsconsole.console.strips import free_lines_at_once
from opsconsole.console.terminal import watch_for_hangup

log = logging.getLogger("opsconsole.console")
log.addHandler(logging.NullHandler())


class TerminalScreen(Screen[None]):
    """A screen whose words are right in the first picture of a new layout: the app fills widgets of known size in."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """The widget that takes keys. Who has the focus and who lost it draw themselves; all the rest stays as it was."""

    def __init__(self, about_to_paint: Callable[[], None]) -> None:
        super().__init__(id="_default")
        self._about_to_paint = about_to_paint
        self._is_laid_out_anew = False

    def _refresh_layout(self, size: Size | None = None, scroll: bool = False) -> None:
        self._is_laid_out_anew = True
        try:
            super()._refresh_layout(size, scroll)
        finally:
            self._is_laid_out_anew = False

    def _compositor_refresh(self) -> None:
        if self._is_laid_out_anew:  # rows that changed in the old layout may be painted before
            self._about_to_paint()
        super()._compositor_refresh()


SWITCH_SECONDS = 0.0005
"""The thread that reads keys waits this long for its turn; by default it is ten times that."""


class TerminalApp(App[int]):
    """What the console asks of the terminal beneath it."""

    _fill_in: Callable[[], None] | None = None
    tail_of_frame: Callable[[], str] = staticmethod(str)
    """What to write behind the frame that is about to be drawn: nothing that is seen."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        free_lines_at_once()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        shown = only_changed(renderable)
        tail = "" if shown is None or self._batch_count else self.tail_of_frame()
        if isinstance(shown, CellsUpdate):
            shown.tail, tail = tail, ""
        super()._display(screen, shown)
        if tail:
            self.write_raw(tail)

    def get_driver_class(self) -> type[Driver]:
        """The driver for this terminal; on Unix one that reads keys on the loop."""
        usual = super().get_driver_class()
        if sys.platform == "win32" or usual.__name__ != "LinuxDriver":
            return usual
        from opsconsole.console.driver import LoopDriver  # there is no terminal of that kind elsewhere

        return LoopDriver

    def key_read(self) -> None:
        """A key has come, and will be acted on in its turn."""

    def paint_now(self, widget: Widget) -> None:
        """Draw what a key changed in `widget`, if that is no new layout: not after what else is under way."""
        screen = self.screen
        if widget._repaint_required and not (widget._layout_required or screen._layout_required or self._batch_count):
            widget._repaint_required = False
            screen._dirty_widgets.add(widget)
            screen._on_timer_update()

    def with_new_layout(self, fill_in: Callable[[], None]) -> None:
        """Have words written when the widgets have their new sizes: in time for the first picture, and once more."""
        self._fill_in = fill_in
        self.call_after_refresh(fill_in)

    def _about_to_paint(self) -> None:
        fill_in, self._fill_in = self._fill_in, None
        if fill_in is not None:
            fill_in()

    def get_default_screen(self) -> Screen[object]:
        """The only screen."""
        return cast(Screen[object], TerminalScreen(self._about_to_paint))

    def leave_for_a_moment(self) -> bool:
        """Stop this process until its shell lets it go on; False where there is none."""
        if self._driver is None or not self._driver.can_suspend:
            return False
        self.action_suspend_process()
        self.refresh(layout=True)
        return True

    def write_raw(self, text: str) -> None:
        """Write to the terminal beneath: nothing that is seen."""
        if self._driver is not None:
            self._driver.write(text)

    def leave_with_terminal(self) -> None:
        """Read keys at once, and end when the terminal hangs up."""
        sys.setswitchinterval(SWITCH_SECONDS)
        loop = asyncio.get_running_loop()
        watch_for_hangup(sys.__stdin__.fileno() if sys.__stdin__ else 0, lambda: self._hung_up(loop))

    def _hung_up(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self.exit, 1)

    def _fatal_error(self) -> None:
        """A crash: the traceback goes to the log without local values (there are tokens among them), one line here."""
        log.error("the console stopped", exc_info=sys.exc_info())
        kind = sys.exc_info()[0]
        name = kind.__name__ if kind else "an error"
        self.panic(Text(f"opsconsole stopped: {name}. Agents go on; the log has the rest."))

"""An app on a real terminal: bytes saved, hang-up, a moment's leave, a crash without secrets; it shows nothing."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress

from rich.console import RenderableType
from rich.text import Text
from textual.app import App
from textual.screen import Screen

from opsconsole.console.cells import only_changed
from opsconsole.console.terminal import watch_for_hangup

log = logging.getLogger("opsconsole.console")
log.addHandler(logging.NullHandler())


SWITCH_SECONDS = 0.0005
"""The thread that reads keys waits this long for its turn; by default it is ten times that."""


class TerminalApp(App[int]):
    """What the console asks of the terminal beneath it."""

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, only_changed(renderable))

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

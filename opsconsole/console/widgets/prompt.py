"""One line of typed text above the hints: a reason, a number, a filter; enter gives it, escape gives nothing."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from opsconsole.console.theme import Painter
from opsconsole.console.view.line import cut, width_of
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.typed import TypedLine

LABEL_SHARE = 0.5
"""The label takes at most this part of the width."""
CHARS_MAX = 4_000
"""A note's limit on the wire."""


class Prompt(Box):
    """A label and an input."""

    def __init__(self, painter: Painter) -> None:
        super().__init__(id="prompt")
        self.display = False
        self.label = Lines(painter, id="prompt-label")
        self.input = TypedLine(id="prompt-input", max_length=CHARS_MAX, select_on_focus=False)
        self.input.cursor_blink = False
        self._done: Callable[[str], None] | None = None
        self._typed: Callable[[str], None] | None = None
        self._before = ""

    def compose(self) -> ComposeResult:
        """Label, input."""
        yield self.label
        yield self.input

    @property
    def is_open(self) -> bool:
        """Whether something is being asked."""
        return self._done is not None

    def ask(
        self,
        label: str,
        done: Callable[[str], None],
        *,
        value: str,
        typed: Callable[[str], None] | None = None,
    ) -> None:
        """Ask; `done` gets the text if it is given, `typed` whatever stands there meanwhile and in the end.

        A value that nobody is told of while it is typed is a proposal: the first letter replaces it.
        """
        self._done, self._typed, self._before = done, typed, value
        text = " " + cut(label, max(1, int(self.app.size.width * LABEL_SHARE))) + ": "
        self.label.styles.width = width_of(((text, "key"),))
        self.label.show([((text, "key"),)])
        self.input.value = value
        self.input.cursor_position = len(value)
        if typed is None:
            self.input.select_all()
        self.display = True
        self.screen.set_focus(self.input, scroll_visible=False)

    def close(self) -> None:
        """Ask nothing any more."""
        typed, self._typed, self._done = self._typed, None, None
        if typed is not None:
            typed(self._before)
        self.display = False

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        done, self._done, self._typed = self._done, None, None
        self.close()
        if done is not None:
            done(event.value)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._typed is not None:
            self._typed(event.value)

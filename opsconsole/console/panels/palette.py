"""The command palette over any view: a line to type and what fits; what is chosen is performed elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from textual import events, on
from textual.app import ComposeResult
from textual.widgets import Input

from opsconsole.console.theme import Painter
from opsconsole.console.view.palette import Choice, choice_line
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.typed import TypedLine

LINES_MAX = 10
CHARS_MAX = 300
_MOVES = {"up": -1, "down": 1, "shift+tab": -1, "tab": 1, "pageup": -LINES_MAX, "pagedown": LINES_MAX}


class Palette(Box):
    """The choices above a line of input."""

    def __init__(
        self, painter: Painter, *, choices: Callable[[str], list[Choice]], choose: Callable[[Choice, str], None]
    ) -> None:
        super().__init__(id="palette")
        self.display = False
        self.list = Lines(painter, id="palette-list")
        self.input = TypedLine(
            id="palette-input", max_length=CHARS_MAX, select_on_focus=False, placeholder="what to do"
        )
        self.input.cursor_blink = False
        self.found: list[Choice] = []
        self.at = 0
        """Which of them enter takes."""
        self._choices = choices
        self._choose = choose

    def compose(self) -> ComposeResult:
        """Choices, input."""
        yield self.list
        yield self.input

    @property
    def is_open(self) -> bool:
        """Whether something is being typed."""
        return self.display

    def open(self) -> None:
        """Ask what to do."""
        self.input.value = ""
        self.display = True
        self.screen.set_focus(self.input, scroll_visible=False)
        self._look("")

    def close(self) -> None:
        """Ask nothing any more."""
        self.display = False

    def on_key(self, event: events.Key) -> None:
        """Move among the choices while typing."""
        if event.key in _MOVES:
            event.stop()
            event.prevent_default()
            self.at = max(0, min(len(self.found) - 1, self.at + _MOVES[event.key]))
            self._draw()

    def resized(self) -> None:
        """Another width."""
        self._draw()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._look(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.is_open and self.found:
            self._choose(self.found[self.at], event.value)

    def _look(self, text: str) -> None:
        self.found, self.at = self._choices(text), 0
        self._draw()

    def _draw(self) -> None:
        height = max(1, min(LINES_MAX, self.app.size.height - 8, len(self.found)))
        if self.list.styles.height is None or self.list.styles.height.value != height:
            self.list.styles.height = height
        first = max(0, self.at - height + 1)
        width = max(10, self.app.size.width)
        shown = self.found[first : first + height]
        lines = [
            choice_line(choice, width=width, chosen=first + place == self.at) for place, choice in enumerate(shown)
        ]
        self.list.show(lines or [((" nothing is called that", "dim"),)])

"""What the views share that are a list and a text beside it: the two, their places and their keys; it fills neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.app import ComposeResult
from textual.widget import Widget

from opsconsole.console.context import Context
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.line import Line
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.row_list import RowList
from opsconsole.console.widgets.text_pane import TextPane


class ListPanel(Panel):
    """A list, and beside or below it the text of what is under its cursor."""

    def __init__(self, context: Context, *, id: str, line: Callable[[str, int], Line], empty: str) -> None:
        """`line` gives the line of a key in so many cells; `empty` is said where nothing is listed."""
        super().__init__(context, id=id)
        self.list = RowList(context.painter, line, id=f"{id}-list", empty=empty)
        self.pane = TextPane(context.painter, id=f"{id}-text")

    def compose(self) -> ComposeResult:
        """What stands above, then the list and the text."""
        yield from self.above()
        with Box(classes="split"):
            yield self.list
            with Box(classes="opened"):
                yield from self.opened()

    def above(self) -> Iterable[Widget]:
        """What stands above both."""
        return ()

    def opened(self) -> Iterable[Widget]:
        """What stands beside the list."""
        return (self.pane,)

    @property
    def rows(self) -> RowList:
        """The list."""
        return self.list

    @property
    def text(self) -> TextPane:
        """The text."""
        return self.pane

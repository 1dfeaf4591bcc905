"""The help, made from the registry of actions."""

from __future__ import annotations

from textual.app import ComposeResult

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.frame_lines import help_lines
from opsconsole.console.widgets.text_pane import TextPane


class HelpPanel(Panel):
    """All keys, and what is good to know."""

    view: ViewName = "help"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="help")
        self.pane = TextPane(context.painter, id="help-text")

    def compose(self) -> ComposeResult:
        """One text."""
        yield self.pane

    @property
    def text(self) -> TextPane:
        """The help."""
        return self.pane

    def refresh_rows(self) -> None:
        """The words for this width."""
        self.pane.show(help_lines(width=max(10, self.pane.size.width), actions=self.context.keymap.actions))

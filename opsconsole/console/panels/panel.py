"""What every view of the console has in common; it shows nothing by itself."""

from __future__ import annotations

from textual.widget import Widget

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.view.line import Line
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.row_list import RowList
from opsconsole.console.widgets.text_pane import TextPane

WIDE_CELLS = 120
"""From this width on, a list and its text stand side by side."""
SHORT_LINES = 16
"""Below this height a list and its text do not fit together: the text is opened instead."""


class Panel(Box):
    """A view: mounted once, displayed while it is the one shown.

    It is shown by `display`: a class would have every rule matched anew against all that is in it.
    """

    view: ViewName = "runs"

    def __init__(self, context: Context, *, id: str) -> None:
        super().__init__(id=id, classes="panel")
        self.display = False
        self.context = context

    @property
    def rows(self) -> RowList | None:
        """The list that the movement keys act on."""
        return None

    @property
    def text(self) -> TextPane | None:
        """The text that J and K move."""
        return None

    @property
    def focus_widget(self) -> Widget | None:
        """Where the focus belongs while this view is shown."""
        return self.rows or self.text

    def headline(self, width: int) -> Line | None:
        """What the screen's first line says while this view is shown; None: what it always says."""
        return None

    def refresh_rows(self) -> None:
        """Take over a new order and new words; called about once a second and after every key."""

    def paint(self) -> bool:
        """Paint some of what changed since; whether there was any."""
        return self.rows.paint_some() if self.rows is not None else False

    def do(self, action: str) -> bool:
        """Perform one of the acts of this view; False when it is none of its own. Raises: NotDone."""
        return False

    def current_run(self) -> str | None:
        """The run that is under the cursor here."""
        return None

    def looks_at(self) -> tuple[str | None, str | None]:
        """The run and the approval that are open here, for the other operators to know; a list opens none."""
        return None, None

    def current_id(self) -> str | None:
        """The id that `y` copies."""
        return self.current_run()

    def close_inner(self) -> bool:
        """Close what was opened inside this view; False when nothing was."""
        return False

    def fit(self, width: int, height: int) -> None:
        """The screen has this size now."""
        self.set_class(width >= WIDE_CELLS, "-wide")
        self.set_class(height < SHORT_LINES, "-short")

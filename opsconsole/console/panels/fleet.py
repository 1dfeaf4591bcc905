"""The fleet: what it spends, what waits, what tripped, and whom to shed first; it stops nothing by itself."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.panels.list_panel import ListPanel
from opsconsole.console.view.fleet import Fleet, Shed, fleet_of
from opsconsole.console.view.fleet_lines import fleet_text, head_lines, shed_heading, shed_line
from opsconsole.console.view.line import Line
from opsconsole.console.widgets.lines import Lines

COUNT_SECONDS = 1.0
"""The fleet is counted at most this often: that reads every row of the board."""
ROWS_PER_SECOND = 5_000
"""Of a larger fleet, less often: counting takes some four milliseconds for a thousand runs."""
KEY_QUIET_SECONDS = 0.06
"""Not counted this soon after a cursor key: its answer is painted first."""
HOLD_SECONDS = 3.0
"""Those to shed stand still for this long after a cursor key: nothing moves under the hand."""
HEAD_LINES_SHORT = 2


class FleetPanel(ListPanel):
    """A head, those to shed, and what stands beside them."""

    view: ViewName = "fleet"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="fleet", line=self._line, empty="No live run spends anything now.")
        self.head = Lines(context.painter, id="fleet-head")
        self.heading = Lines(context.painter, id="fleet-heading", classes="one-line")
        self._fleet: Fleet | None = None
        self._shed: dict[str, Shed] = {}
        self._counted_at = float("-inf")

    def above(self) -> Iterable[Widget]:
        """Head and heading."""
        return (self.head, self.heading)

    def refresh_rows(self) -> None:
        """Count anew when that is due, then the words."""
        mono, now = self.context.clock.monotonic(), self.context.hub_now()
        if self._fleet is None or self._is_due(mono):
            self._count(mono, now)
        if self._fleet is None:
            return
        width = max(10, self.heading.size.width)
        head = head_lines(self._fleet, now=now, width=width)
        if self.has_class("-short"):
            head = head[:HEAD_LINES_SHORT]
        if self.head.styles.height is None or self.head.styles.height.value != len(head):
            self.head.styles.height = len(head)
        self.head.show(head)
        self.heading.show([shed_heading(self._fleet, width)])
        self.pane.show(fleet_text(self._fleet, now=now, width=max(10, self.pane.size.width - 1)))

    def do(self, action: str) -> bool:
        """Open the run under the cursor."""
        if action != "open":
            return False
        if self.list.cursor is not None:
            self.context.app.open_run(self.list.cursor)
        return True

    def current_run(self) -> str | None:
        """The run under the cursor."""
        return self.list.cursor

    def _is_due(self, mono: float) -> bool:
        if mono - self.list.moved_at < KEY_QUIET_SECONDS:
            return False
        rows = len(self.context.session.board.rows.by_key)
        return mono - self._counted_at >= max(COUNT_SECONDS, rows / ROWS_PER_SECOND)

    def _count(self, mono: float, now: float) -> None:
        session = self.context.session
        self._counted_at = mono
        self._fleet = fleet_of(session.board, session.queue, session.hub, now=now)
        self._shed.update({one.run: one for one in self._fleet.shed})
        if mono - self.list.moved_at >= HOLD_SECONDS or not self.list.keys:
            self._shed = {one.run: one for one in self._fleet.shed}
            self.list.set_keys(list(self._shed))

    def _line(self, key: str, width: int) -> Line:
        one = self._shed.get(key)
        return (("it spends nothing any more", "dim"),) if one is None else shed_line(one, width=width)

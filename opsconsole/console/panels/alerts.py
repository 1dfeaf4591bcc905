"""Alerts over all runs, worst first, and the one under the cursor with its evidence; answering is one key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from textual.widget import Widget

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.panels.list_panel import ListPanel
from opsconsole.console.view.alerts import Shown, alert_line, alert_text, all_alerts, heading
from opsconsole.console.view.dwell import DWELL_SECONDS, Dwell
from opsconsole.console.view.line import Line
from opsconsole.console.widgets.lines import Lines
from opsconsole.domain.text import safe_line

LOOK_SECONDS = 0.5
"""The alerts are gathered at most this often: that reads every row of the board."""
ROWS_PER_SECOND = 20_000
KEY_QUIET_SECONDS = 0.06
"""Not gathered this soon after a cursor key: its answer is painted first."""


class AlertsPanel(ListPanel):
    """The list, and beside it the opened alert."""

    view: ViewName = "alerts"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="alerts", line=self._line, empty="No detector has found anything.")
        self.heading = Lines(context.painter, id="alerts-heading", classes="one-line")
        self._alerts: dict[str, Shown] = {}
        self._looked_at = float("-inf")
        self._dwell = Dwell()

    def above(self) -> Iterable[Widget]:
        """The heading."""
        return (self.heading,)

    def refresh_rows(self) -> None:
        """Gather anew when that is due, then the words."""
        mono = self.context.clock.monotonic()
        session = self.context.session
        due = max(LOOK_SECONDS, len(session.board.rows.by_key) / ROWS_PER_SECOND)
        if mono - self._looked_at >= due and mono - self.list.moved_at >= KEY_QUIET_SECONDS:
            self._looked_at = mono
            shown = all_alerts(session.board.rows.by_key.values(), session.hub.rows.by_key.values())
            self._alerts = {one.key: one for one in shown}
            self.list.set_keys(list(self._alerts))
        self.heading.show([heading(list(self._alerts.values()), max(10, self.heading.size.width))])
        one = self._current()
        self._dwell.show(None if one is None else (one.key, one.alert.verdict), now=mono)
        width = max(10, self.pane.size.width - 1)
        now, zone = self.context.hub_now(), self.context.zone
        self.pane.show([] if one is None else alert_text(one, now=now, width=width, zone=zone))

    def do(self, action: str) -> bool:
        """Open the run, or answer. Raises: NotDone."""
        if action == "open":
            run = self.current_run()
            if run is None:
                raise NotDone("this alert is about no single run")
            self.context.app.open_run(run)
            return True
        if action not in ("answer_real", "answer_fine"):
            return False
        self._answer("real" if action == "answer_real" else "fine")
        return True

    def _answer(self, verdict: Literal["real", "fine"]) -> None:
        one = self._current()
        if one is None:
            raise NotDone("there is no alert under the cursor")
        if not self._dwell.long_enough((one.key, one.alert.verdict), now=self.context.clock.monotonic()):
            raise NotDone(
                f"ignored: another alert came under the cursor less than {DWELL_SECONDS:g} s ago; press again"
            )
        self.context.controls.answer_alert(one.alert, one.run, verdict)
        self.context.app.say(f"{verdict}: {safe_line(one.alert.text, limit=120)}", "good")

    def current_run(self) -> str | None:
        """The run that the alert under the cursor is about."""
        one = self._current()
        return one.run or None if one is not None else None

    def current_id(self) -> str | None:
        """The alert's id."""
        return self.list.cursor

    def _current(self) -> Shown | None:
        return self._alerts.get(self.list.cursor or "")

    def _line(self, key: str, width: int) -> Line:
        one = self._alerts.get(key)
        return (("it is gone", "dim"),) if one is None else alert_line(one, now=self.context.hub_now(), width=width)

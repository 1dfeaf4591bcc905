"""Which acts the line of hints offers just now, and by which names; it performs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsconsole.console.context import Context
from opsconsole.console.view.session import LinkPhase
from opsconsole.console.view.status import is_dead
from opsconsole.domain.run import HELD, TERMINAL
from opsconsole.protocol.rows import RunRow

if TYPE_CHECKING:
    from opsconsole.console.app import ConsoleApp

_ON_CALLS = ("approve", "edit", "reject", "respond", "mark", "mark_alike", "claim", "pass_on", "grant")
_ON_A_RUN = ("pause", "inject", "takeover", "release", "freeze", "reply", "compose", "note", "raise_cap")
_COMMANDS = (*_ON_A_RUN, "send_draft", "answer_real", "answer_fine")
_KILLS = ("kill", "kill_many")


class Offered:
    """What would be done by a key, of the run or call under the cursor."""

    def __init__(self, app: ConsoleApp, context: Context) -> None:
        self._app = app
        self._context = context

    def off(self) -> list[str]:
        """Acts that would be refused just now, left out of the hints."""
        session, now = self._context.session, self._context.clock.monotonic()
        if not session.may_act or session.link.phase is LinkPhase.REFUSED:
            return [*_ON_CALLS, *_COMMANDS, *_KILLS]
        if session.link.ever and not session.is_fresh(now=now):
            return [*_ON_CALLS, *_COMMANDS]
        if self._app.view == "approvals" and not self._app.approvals_panel.is_pending():
            return list(_ON_CALLS)
        row = self._row()
        if row is None:
            return [*_ON_A_RUN, "kill"]
        caps = {capability for point in row.points for capability in point.caps}
        if "hold" in caps or row.state in HELD:
            caps.add("pause")
        off = [name for name in ("pause", "inject", "takeover", "freeze") if name not in caps or row.state in TERMINAL]
        if row.state in TERMINAL or not self._context.controls.holds(row):
            off += ["release", "reply", "compose"]
        if row.state in TERMINAL:
            off.append("raise_cap")
        return [*off, "kill"] if is_dead(row) else off

    def labels(self) -> dict[str, str]:
        """What keys with two meanings would do just now, where that is not what they are called."""
        row = self._row()
        if row is None:
            return {}
        labels = {"pause": "resume"} if row.state in HELD else {}
        if row.frozen:
            labels["freeze"] = "thaw"
        if self._app.view == "takeover" and self._context.controls.holds(row):
            labels |= {"takeover": "hand back", "release": "with a summary"}
        return labels

    def _row(self) -> RunRow | None:
        return self._context.session.board.get(self._app.panels[self._app.view].current_run())

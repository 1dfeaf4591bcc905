"""What a command typed into the palette does: the same deed as its key, on what was under the cursor; it draws none."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.view.palette import BY_KEY_ONLY, Choice, choices, is_named, matching_run
from opsconsole.protocol.rows import RunRow

if TYPE_CHECKING:
    from opsconsole.console.app import ConsoleApp


class Commands:
    """Performs what was chosen."""

    def __init__(self, app: ConsoleApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._aim: Hashable = None
        self._verbs = {"run": self._run, "graph": self._graph, "filter": self._filter}
        self._verbs |= {"replay": self._replay, "kill": self._kill}

    def open(self) -> None:
        """Open the palette; what is typed will be about what is under the cursor now."""
        self._aim = self._under_cursor()
        self._app.palette.open()

    def choices(self, text: str) -> list[Choice]:
        """What fits in the view shown."""
        return choices(text, view=self._app.view, actions=self._context.keymap.actions)

    def perform(self, choice: Choice, text: str) -> None:
        """Do it. Raises: NotDone."""
        if choice.verb:
            if not choice.words and choice.verb != "filter":
                raise NotDone(f"{choice.verb}: which run? {choice.help}")
            self._verbs[choice.verb](choice.words)
            return
        action = self._context.keymap.action(choice.act)
        if not choice.here:
            raise NotDone(f"{choice.name} works in: {', '.join(sorted(choice.views))}")
        if action.id in BY_KEY_ONLY:
            raise NotDone(f"{choice.name} is done by its key only ({choice.keys}), on the call that is on screen")
        if action.sudden and not is_named(choice, text):
            raise NotDone(f"{choice.name} acts at once: type its whole name")
        if (action.sudden or action.asks) and self._under_cursor() != self._aim:
            raise NotDone("what is under the cursor changed while you typed: look again")
        self._app.deeds.do(action.id)

    def _under_cursor(self) -> Hashable:
        panel = self._app.panels[self._app.view]
        held = self._context.session.queue.get(panel.current_id())
        digest = None if held is None else held.row.digest
        return self._app.view, panel.current_run(), panel.current_id(), digest

    def _named(self, words: str, *, by_agent: bool) -> RunRow:
        found = matching_run(words, self._context.session.board.rows.by_key.values(), by_agent=by_agent)
        if isinstance(found, str):
            raise NotDone(found)
        return found

    def _run(self, words: str) -> None:
        self._app.open_run(self._named(words, by_agent=True).run)

    def _graph(self, words: str) -> None:
        row = self._named(words, by_agent=True)
        self._app.show_view("graph")
        self._app.graph_panel.show_run(row.run)

    def _replay(self, words: str) -> None:
        """A whole id is taken as it is: the run may have left the board long ago."""
        whole = words if words.startswith("run_") and len(words) > len("run_") + 6 else ""
        run = whole or self._named(words, by_agent=True).run
        self._app.deeds.replay_run(run)

    def _filter(self, words: str) -> None:
        self._app.show_view("runs")
        self._app.runs_panel.set_filter(words)

    def _kill(self, words: str) -> None:
        named, _, selector = words.partition(" ")
        if named == "all":
            self._app.deeds.kill_selected(selector)
            return
        self._app.deeds.kill_named(self._named(words, by_agent=False))

"""The decision graph of the tree that a run belongs to, live; it finds no edge and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.panels.list_panel import ListPanel
from opsconsole.console.view.dwell import Dwell
from opsconsole.console.view.graph import Graph, graph_of
from opsconsole.console.view.graph_lines import GraphRow, agent_detail, graph_rows, heading
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.told import Told, told_of
from opsconsole.console.widgets.lines import Lines

TOLD_MAX = 64
"""Runs of which it is remembered what their timelines told; one timeline at a time is followed."""


class GraphPanel(ListPanel):
    """The graph, and the agent under the cursor in full."""

    view: ViewName = "graph"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="graph", line=self._line, empty="No run is chosen: 1 shows them.")
        self.run: str | None = None
        self.heading = Lines(context.painter, id="graph-heading", classes="one-line")
        self._graph = Graph()
        self._rows: dict[str, GraphRow] = {}
        self._told: dict[str, Told] = {}
        self._told_changes: tuple[str, int] = ("", -1)
        self._rested = Dwell()

    def above(self) -> Iterable[Widget]:
        """The heading."""
        return (self.heading,)

    def show_run(self, run: str) -> None:
        """Show the tree that a run belongs to, with the cursor on its line."""
        self.run = run
        self.context.app.follow(run)
        self._build()
        for key in (f"r:{run}", *(row.key for row in self._rows.values() if row.run == run)):
            if self.list.go(key):
                break
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """The graph as it stands now, then the words beside it."""
        self._follow_cursor()
        self._build()
        width = max(10, self.heading.size.width)
        board = self.context.session.board
        gone: Line = ((f" {self.run} is not on the board", "warn"),)
        known = self.run is None or board.get(self.run) is not None
        self.heading.show([heading(self._graph, width) if known else fit_line(gone, width)])
        row = self._current()
        agent = None if row is None else row.agent or self._agent_of(row.run)
        self.pane.show([] if agent is None else self._detail(agent, max(10, self.pane.size.width - 1)))

    def do(self, action: str) -> bool:
        """Open the run of a line."""
        if action != "open":
            return False
        run = self.current_run()
        if run is None:
            raise NotDone("this line is no single run: move to one of its runs")
        self.context.app.open_run(run)
        return True

    def current_run(self) -> str | None:
        """The run of the line under the cursor, where it is exactly one."""
        row = self._current()
        return None if row is None else row.run

    def _current(self) -> GraphRow | None:
        return self._rows.get(self.list.cursor or "")

    def _agent_of(self, run: str | None) -> str | None:
        row = self.context.session.board.get(run)
        return None if row is None else row.agent

    def _build(self) -> None:
        if self.run is None:
            return
        now = self.context.hub_now()
        self._listen(now)
        self._graph = graph_of(self.context.session.board, self.run, self._told, now=now)
        self._rows = {row.key: row for row in graph_rows(self._graph, now=now, about=self.run)}
        self.list.set_keys(list(self._rows))

    def _listen(self, now: float) -> None:
        """Note what the followed timeline tells."""
        timeline = self.context.session.timeline
        if timeline is None or (timeline.run, timeline.changes) == self._told_changes:
            return
        self._told_changes = timeline.run, timeline.changes
        if timeline.steps:
            self._told.pop(timeline.run, None)
            self._told[timeline.run] = told_of(timeline, at=now)
        for old in list(self._told)[:-TOLD_MAX]:
            del self._told[old]

    def _follow_cursor(self) -> None:
        """Follow the timeline of the run that the cursor rests on: its calls are folded into its agent."""
        run, now = self.current_run(), self.context.clock.monotonic()
        self._rested.show(run, now=now)
        if run is not None and self.context.session.online and self._rested.long_enough(run, now=now):
            self.context.app.follow(run)

    def _detail(self, agent: str, width: int) -> list[Line]:
        members = self._graph.agents[agent].members if agent in self._graph.agents else ()
        seen = [self._told[one.run].at for one in members if one.run in self._told]
        lines = agent_detail(
            self._graph,
            agent,
            now=self.context.hub_now(),
            seen_at=max(seen, default=None),
            zone=self.context.zone,
        )
        return [fit_line(((" ", "plain"), *line), width) for line in lines]

    def _line(self, key: str, width: int) -> Line:
        row = self._rows.get(key)
        return () if row is None else row.line(width)

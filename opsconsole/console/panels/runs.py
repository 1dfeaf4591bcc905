"""The runs table: every run, most urgent first; it decides nothing and orders nothing while the operator moves."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from textual.app import ComposeResult

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.amounts import age
from opsconsole.console.view.arranged import COLUMNS, URGENCY, Arrangement, arrange, column_named, group_of
from opsconsole.console.view.columns import run_line, titles
from opsconsole.console.view.dwell import Dwell
from opsconsole.console.view.filter import RunFilter, parse_filter
from opsconsole.console.view.groups import Group, group_named, headed, heading_line
from opsconsole.console.view.line import Line, Span, Tone, two_ends, width_of, wrap_words
from opsconsole.console.view.run_summary import summary
from opsconsole.console.view.status import Status
from opsconsole.console.view.timeline_lines import step_line
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.row_list import RowList
from opsconsole.protocol.rows import RunRow

HOLD_SECONDS = 3.0
"""The order stands still for this long after a cursor key: nothing moves under the hand."""
ORDER_SECONDS = 1.0
"""The order is made anew at most this often."""
STEPS_SECONDS = 0.2
"""New steps beside the table are shown at most this often."""
AGES_PER_SECOND = 4
"""How often the line of a run that did not change is made anew, for the ages in it: as often as the hub tells."""
SAID_MAX = 1_024
"""Lines that are kept; some hundred are on a screen."""
_COUNTED: tuple[tuple[str, str, Tone], ...] = (
    ("approval", "◆", "ask"),
    ("input_required", "◆", "ask"),
    ("auth_required", "◆", "ask"),
    ("takeover", "◉", "hold"),
    ("alert", "▲", "bad"),
    ("stalled", "▲", "warn"),
    ("working", "●", "good"),
    ("unknown", "◌", "bad"),
    ("pausing", "‖", "hold"),
    ("paused", "‖", "hold"),
    ("resuming", "●", "good"),
    ("frozen", "‖", "hold"),
    ("stopping", "✖", "warn"),
    ("failed", "✖", "bad"),
    ("idle", "○", "dim"),
    ("submitted", "○", "dim"),
    ("completed", "✔", "dim"),
    ("killed", "■", "dim"),
    ("cancelled", "■", "dim"),
    ("rejected", "■", "dim"),
)
"""Every place that a run may be counted in."""


class _Said(NamedTuple):
    """The line that was made of a row, and what else was looked at."""

    row: RunRow
    about: tuple[int, int, list[str]]
    """Quarter of a second, width, who else looks."""
    line: Line


class RunsPanel(Panel):
    """The table, a line of counts above it and, where there is room, the run under the cursor beside it."""

    view: ViewName = "runs"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="runs")
        self.filter = RunFilter()
        self.arrangement = Arrangement()
        self.list = RowList(context.painter, self._line, id="run-list")
        self.counts = Lines(context.painter, id="run-counts", classes="one-line")
        self.titles = Lines(context.painter, id="run-titles", classes="one-line")
        self.side = Lines(context.painter, id="run-side", classes="side")
        self._runs: list[str] = []
        """What the filter lets through, in order, folded groups too; the list shows headings as well."""
        self._groups: dict[str, Group] = {}
        self._folded: frozenset[str] = frozenset()
        self._ordered_at = float("-inf")
        self._ordered_changes = -1
        self._wanted = (self.filter, self.arrangement)
        self._rested = Dwell()
        """The run under the cursor; its steps are asked for once the cursor has come to rest."""
        self._worded_at = float("-inf")
        self._worded_steps = -1
        self._said: dict[str, _Said] = {}

    def compose(self) -> ComposeResult:
        """Counts, titles, table, side."""
        yield self.counts
        with Box(classes="side-by-side"):
            with Box(id="run-table"):
                yield self.titles
                yield self.list
            yield self.side

    @property
    def rows(self) -> RowList:
        """The table."""
        return self.list

    def refresh_rows(self) -> None:
        """Order anew when that is due, then the words around the table."""
        now = self.context.clock.monotonic()
        if self._due(now):
            self._order(now)
        self._follow_cursor(now)
        self._words(now)

    def paint(self) -> bool:
        """Rows that changed, and new steps of the run that the cursor rests on."""
        now = self.context.clock.monotonic()
        self._follow_cursor(now)
        fresh = self._has_new_steps(now)
        if fresh:
            self._words(now)
        return super().paint() or fresh

    def set_filter(self, text: str) -> None:
        """Show the runs that match."""
        self.filter = parse_filter(text)
        self.refresh_rows()

    def _sort(self, text: str) -> None:
        column = column_named(text) if text.strip() else URGENCY
        if column is None:
            raise NotDone("no such column: " + " ".join(COLUMNS).lower())
        self.arrangement = (
            self.arrangement.by(column) if text.strip() else replace(self.arrangement, column=URGENCY, reverse=False)
        )
        self.refresh_rows()

    def _group(self, text: str) -> None:
        self.arrangement = replace(self.arrangement, group=text.strip())
        self._folded = frozenset()
        self.refresh_rows()

    def do(self, action: str) -> bool:
        """Filter, and go to the next run that needs a person."""
        if action == "filter":
            self.context.app.ask("filter", self.set_filter, value=self.filter.text, typed=self.set_filter)
        elif action == "sort":
            self.context.app.ask("sort by (" + " ".join(COLUMNS).lower() + ")", self._sort)
        elif action == "group":
            self.context.app.ask("group by (agent, owner, a label)", self._group, value=self.arrangement.group)
        elif action == "next":
            self._next()
        elif action == "open":
            self._open()
        else:
            return False
        return True

    def current_run(self) -> str | None:
        """The run under the cursor; a heading is none."""
        return None if group_named(self.list.cursor) is not None else self.list.cursor

    def _open(self) -> None:
        """Open the run, or fold the group or unfold it."""
        name = group_named(self.list.cursor)
        if name is not None:
            self._folded = self._folded ^ {name}
            self._order(self.context.clock.monotonic())
        elif self.list.cursor is not None:
            self.context.app.open_run(self.list.cursor)

    def close_inner(self) -> bool:
        """Escape clears the filter."""
        if not self.filter.text:
            return False
        self.set_filter("")
        return True

    def shown_live(self) -> list[str]:
        """The runs that the filter lets through, those of folded groups too, and that are not dead."""
        return self.context.session.board.live(self._runs)

    def _due(self, now: float) -> bool:
        if (self.filter, self.arrangement) != self._wanted:
            return True
        if now - self.list.moved_at < HOLD_SECONDS and self.list.keys:
            return False
        return now - self._ordered_at >= ORDER_SECONDS or not self.list.keys

    def _order(self, now: float) -> None:
        board = self.context.session.board
        self._wanted = (self.filter, self.arrangement)
        self._ordered_at, self._ordered_changes = now, board.changes
        self.list.empty = self._nothing()
        keys = board.order(self.filter, self.context.hub_now())
        rows, by = board.rows.by_key, self.arrangement.group
        self._runs = keys if self.arrangement.is_plain else arrange(keys, rows, self.arrangement)
        listed, self._groups = self._runs, {}
        if by:
            listed, self._groups = headed(self._runs, rows, by=by, urgent=keys, folded=self._folded)
        self.list.set_keys(listed)

    def _nothing(self) -> str:
        session = self.context.session
        if not session.board.rows.complete:
            return "Waiting for the hub."
        if self.filter.text:
            return (
                f"No runs match “{self.filter.text}”. esc clears the filter ({len(session.board.rows.by_key):,} runs)."
            )
        return "No runs yet. Start one: opsconsole run -- python agent.py, or: opsconsole demo"

    @property
    def _has_side(self) -> bool:
        return self.side.display and self.side.size.width > 0

    def _follow_cursor(self, now: float) -> None:
        run = self.current_run()
        self._rested.show(run, now=now)
        steady = self._has_side and self.context.session.online and self._rested.long_enough(run, now=now)
        if run is not None and steady:
            self.context.app.follow(run)

    def _has_new_steps(self, now: float) -> bool:
        timeline = self.context.session.timeline
        if timeline is None or not self._has_side or now - self._worded_at < STEPS_SECONDS:
            return False
        return timeline.changes != self._worded_steps

    def _words(self, now: float) -> None:
        width, timeline = self.size.width, self.context.session.timeline
        self._worded_at, self._worded_steps = now, -1 if timeline is None else timeline.changes
        left = self._left(now)
        self.counts.show([two_ends(left, self._counts(width - width_of(left)), width)])
        self.titles.show([((" " + titles(max(1, self.list.size.width - 1)), "dim"),)])
        if self._has_side:
            self.side.show(self._side(self.side.size.width - 2))

    def _left(self, now: float) -> Line:
        board = self.context.session.board
        held = now - self.list.moved_at < HOLD_SECONDS and board.changes != self._ordered_changes
        place = self._place()
        spans: list[Span] = [(f" {place}", "dim")]
        spans.append((f"  filter: {self.filter.text}" if self.filter.text else f"  {self.arrangement.words}", "plain"))
        if self.filter.text and not self.arrangement.is_plain:
            spans.append((f"  {self.arrangement.words}", "plain"))
        if held:
            spans.append(("  order held", "hold"))
        if board.rows.unreadable:
            spans.append((f"  {board.rows.unreadable} unreadable rows", "bad"))
        return tuple(spans)

    def _place(self) -> str:
        if self._groups:
            groups = len(self._groups)
            return f"{len(self._runs):,} runs in {groups:,} group{'s' if groups != 1 else ''}"
        return f"{self.list.position + 1:,}/{len(self.list.keys):,}" if self.list.keys else "0"

    def _counts(self, room: int) -> Line:
        """Runs by what is said of them; where there is less room, without the last of those that need nobody."""
        states = self.context.session.board.states
        shown = [(f"{glyph}{states[name]:,} {name}  ", tone) for name, glyph, tone in _COUNTED if states[name]]
        while shown and shown[-1][1] == "dim" and width_of(shown) >= room:
            shown.pop()
        return tuple(shown)

    def _side(self, width: int) -> list[Line]:
        row = self.context.session.board.get(self.list.cursor)
        if row is None or width < 10:
            return []
        now = self.context.hub_now()
        status = self.context.session.board.status(row, now)
        lines: list[Line] = [((f" {row.agent} {row.name}", "title"),), ((f" {row.run}", "dim"),)]
        looking = self.context.session.others.looking_at(run=row.run)
        for line in summary(row, status, now=now, zone=self.context.zone, looking=looking):
            text = "".join(part for part, _ in line)
            lines += [((f" {piece}", line[0][1]),) for piece in wrap_words(text, width)]
        if row.kill is not None:
            lines.append(((f" kill by {row.kill.by} {age(now - row.kill.sent_at)} ago: {row.kill.status}", "warn"),))
        return lines + self._newest_steps(row.key, width, self.side.size.height - len(lines) - 2)

    def _newest_steps(self, run: str, width: int, room: int) -> list[Line]:
        timeline = self.context.session.timeline
        if timeline is None or timeline.run != run or not timeline.steps or room < 1:
            return []
        steps = [timeline.steps[key] for key in timeline.order()[-room:]]
        zone = self.context.zone
        heading: Line = ((f"{' ─ newest steps (enter opens) ':─<{width + 1}}", "dim"),)
        return [(), heading, *(((" ", "plain"), *step_line(step, width=width, zone=zone)) for step in steps)]

    def _line(self, key: str, width: int) -> Line:
        board = self.context.session.board
        name = group_named(key)
        if name is not None:
            return self._heading(name, width)
        row = board.get(key)
        if row is None:
            return ((f"{key}: no longer on the board", "dim"),)
        now = self.context.hub_now()
        looking = self.context.session.others.looking_at(run=key)
        said = self._said.get(key)
        if said is not None and said.row is row and said.about == (int(now * AGES_PER_SECOND), width, looking):
            return said.line
        line = run_line(row, board.status(row, now), now=now, width=width, looking=looking)
        if len(self._said) >= SAID_MAX:
            self._said.clear()
        self._said[key] = _Said(row, (int(now * AGES_PER_SECOND), width, looking), line)
        return line

    def _heading(self, name: str, width: int) -> Line:
        group, board = self._groups.get(name), self.context.session.board
        if group is None:
            return (("no run of this group any more", "dim"),)

        def status(key: str) -> Status | None:
            row = board.get(key)
            return None if row is None else board.status(row, self.context.hub_now())

        by = self.arrangement.group
        return heading_line(group, by=by, folded=name in self._folded, status=status, width=width)

    def _next(self) -> None:
        keys = self.context.session.board.needing_me(self._runs)
        if not keys:
            self.context.app.say("no run needs a person now")
            return
        places = {key: index for index, key in enumerate(self._runs)}
        shown = self.list.keys[self.list.position :: -1] if self.list.keys else []
        here = next((places[key] for key in shown if key in places), -1)
        after = [key for key in keys if places[key] > here]
        wanted = (after or keys)[0]
        if not self.list.go(wanted):  # its group is folded
            row = self.context.session.board.get(wanted)
            self._folded -= {group_of(row, self.arrangement.group)} if row is not None else set()
            self._order(self.context.clock.monotonic())
            self.list.go(wanted)

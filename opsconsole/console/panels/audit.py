"""The audit log, paged from the hub; it shows what was recorded and checks nothing itself."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.audit_lines import AuditEntry, audit_detail, audit_entry, audit_line
from opsconsole.console.view.line import Line, Tone, fit_line
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.row_list import RowList
from opsconsole.console.widgets.text_pane import TextPane

ENTRIES_MAX = 20_000
"""Entries kept here; the log itself is on the hub."""


class AuditPanel(Panel):
    """Entries, newest last, and the one under the cursor in full."""

    view: ViewName = "audit"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="audit")
        self.text_filter = ""
        self.verified: tuple[str, Tone] = ("v verifies", "dim")
        self.problem = ""
        self.loading = False
        self.heading = Lines(context.painter, id="audit-heading", classes="one-line")
        self.list = RowList(context.painter, self._line, id="audit-list", empty="Nothing loaded yet.")
        self.pane = TextPane(context.painter, id="audit-text")
        self._entries: dict[str, AuditEntry] = {}

    def compose(self) -> ComposeResult:
        """The entries beside or above the opened one."""
        yield self.heading
        with Container(classes="split"):
            yield self.list
            with Vertical(classes="opened"):
                yield self.pane

    @property
    def rows(self) -> RowList:
        """The entries."""
        return self.list

    @property
    def text(self) -> TextPane:
        """The opened entry."""
        return self.pane

    def shown_entries(self) -> list[dict[str, object]]:
        """The entries listed, in order, every text safe to show."""
        return [{**self._entries[key].body} for key in self.list.keys if key in self._entries]

    @property
    def oldest(self) -> int | None:
        """The first entry held."""
        return min((entry.seq for entry in self._entries.values()), default=None)

    @property
    def newest(self) -> int | None:
        """The last entry held."""
        return max((entry.seq for entry in self._entries.values()), default=None)

    def take(self, raw: list[dict[str, object]], *, fresh: bool) -> None:
        """Entries from the hub; `fresh` replaces what is held."""
        if fresh:
            self._entries.clear()
        at_end = fresh or not self.list.keys or self.list.cursor == self.list.keys[-1]
        found = [entry for entry in map(audit_entry, raw) if entry is not None]
        self._entries.update({entry.key: entry for entry in found[-ENTRIES_MAX:]})
        self.list.empty = f"No entries match “{self.text_filter}”." if self.text_filter else "The audit log is empty."
        self.list.set_keys([entry.key for entry in sorted(self._entries.values(), key=lambda entry: entry.seq)])
        if at_end:
            self.list.to_end(True)
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """The heading and the opened entry."""
        filtered = f"  filter: {self.text_filter}" if self.text_filter else ""
        state = "loading " if self.loading else ""
        words, tone = self.verified
        head: Line = ((f" audit  {len(self.list.keys):,} entries{filtered}  {state}", "plain"), (words, tone))
        if self.problem:
            head = (*head, (f"  {self.problem}", "bad"))
        self.heading.show([fit_line(head, max(1, self.heading.size.width))])
        entry = self._entries.get(self.list.cursor or "")
        width = max(10, self.pane.size.width - 1)
        self.pane.show([] if entry is None else audit_detail(entry, width=width, zone=self.context.zone))

    def do(self, action: str) -> bool:
        """Open the entry."""
        if action != "open":
            return False
        self.add_class("-opened")
        return True

    def current_entry(self) -> AuditEntry | None:
        """The entry under the cursor."""
        return self._entries.get(self.list.cursor or "")

    def current_run(self) -> str | None:
        """The run that the entry is about."""
        entry = self.current_entry()
        run = None if entry is None else entry.body.get("run")
        return run if isinstance(run, str) else None

    def current_id(self) -> str | None:
        """The entry's number."""
        return self.list.cursor

    def close_inner(self) -> bool:
        """Close the opened entry, then the filter."""
        opened = self.has_class("-opened")
        self.remove_class("-opened")
        return opened and self.has_class("-short")

    def _line(self, key: str, width: int) -> Line:
        entry = self._entries.get(key)
        return () if entry is None else audit_line(entry, width=width, zone=self.context.zone)

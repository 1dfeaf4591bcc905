"""The audit log, paged from the hub; it shows what was recorded and checks nothing itself."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.panels.list_panel import ListPanel
from opsconsole.console.view.audit_lines import AuditEntry, audit_detail, audit_entry, audit_line
from opsconsole.console.view.line import Line, Tone, fit_line, wrap_words
from opsconsole.console.view.witnessed import Witnessed, witnessed_words
from opsconsole.console.widgets.lines import Lines

ENTRIES_MAX = 20_000
"""Entries kept here; the log itself is on the hub."""


class AuditPanel(ListPanel):
    """Entries, newest last, and the one under the cursor in full."""

    view: ViewName = "audit"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="audit", line=self._line, empty="Nothing loaded yet.")
        self.text_filter = ""
        self.verified: tuple[str, Tone] = ("v verifies", "dim")
        self.witnessed: Witnessed | None = None
        self.seen_to: int | None = None
        """The number up to which the hub has looked for entries to show; None before the first page."""
        self.problem = ""
        self.loading = False
        self.heading = Lines(context.painter, id="audit-heading", classes="one-line")
        self._entries: dict[str, AuditEntry] = {}

    def above(self) -> Iterable[Widget]:
        """The heading."""
        return (self.heading,)

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
        head: Line = ((f" audit  {len(self.list.keys):,} entries{filtered}  {state}", "plain"), self.verified)
        if self.problem:
            head = (*head, (f"  {self.problem}", "bad"))
        self.heading.show([fit_line(head, max(1, self.heading.size.width))])
        entry = self._entries.get(self.list.cursor or "")
        width = max(10, self.pane.size.width - 1)
        detail = [] if entry is None else audit_detail(entry, width=width, zone=self.context.zone)
        self.pane.show([*self._signed(width), *detail])

    def _signed(self, width: int) -> list[Line]:
        """What became of comparing the signed head with the one pinned here: whole, however long."""
        if self.witnessed is None:
            return []
        words, tone = witnessed_words(self.witnessed, self.context.zone)
        return [((piece, tone),) for piece in wrap_words(words, width)]

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

"""What is done about a shift: summing up, notes, writing audit entries to a file, a leave; it draws nothing."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.view.shift_lines import counted
from opsconsole.domain.text import safe_line
from opsconsole.errors import HubError

if TYPE_CHECKING:
    from opsconsole.console.app import ConsoleApp

ENTRIES_MAX = 20_000
"""Entries of the audit that one digest reads; a longer time says that it is cut."""

NAME_CHARS_SHOWN = 40
"""Of a file that was not written, so that the reason is on the line too."""


class Shift:
    """Performs its acts."""

    def __init__(self, app: ConsoleApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._running: asyncio.Task[None] | None = None
        app.shift_panel.load = self.load
        self.table: Mapping[str, Callable[[], None]] = {
            "show_shift": self._show,
            "note": self._note,
            "export": self._export,
            "suspend": self._suspend,
        }

    def load(self) -> None:
        """Read the audit since the panel's time; once at a time."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._load(), name="console shift")

    async def settled(self) -> None:
        """Wait for what is under way."""
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    def _show(self) -> None:
        self._app.show_view("shift")
        self.load()

    async def _load(self) -> None:
        panel, begin = self._app.shift_panel, self._app.shift_panel.begin
        panel.loading, panel.problem = True, ""
        entries: list[dict[str, Any]] = []
        complete, before = False, None
        try:
            while len(entries) < ENTRIES_MAX and not complete:
                page = await self._app.pages.api.audit(before=before)
                entries = [*page, *entries]
                complete = not page or page[0].get("at", 0.0) < begin or page[0].get("seq", 1) <= 1
                before = page[0]["seq"] if page else None
        except HubError as error:
            panel.problem = f"not loaded: {error}"
        else:
            panel.take(await asyncio.to_thread(counted, entries, begin=begin, complete=complete))
        finally:
            panel.loading = False
            panel.refresh_rows()

    def _note(self) -> None:
        row = self._context.session.board.get(self._app.panels[self._app.view].current_run())
        if row is None:
            raise NotDone("there is no run under the cursor")

        def done(text: str) -> None:
            if not text.strip():
                raise NotDone("nothing was noted: there is no text")
            self._context.controls.note(row.run, text.strip())
            self._app.say("note: sent")

        self._app.ask(f"note on {row.agent}", done)

    def _export(self) -> None:
        if self._app.is_web:
            raise NotDone("in a browser nothing is written on the server's disk: use opsconsole audit")
        entries = self._app.audit_panel.shown_entries()
        if not entries:
            raise NotDone("no entry is shown")
        self._app.ask(f"write {len(entries):,} entries to a new file", lambda name: self._write(name, entries))

    def _write(self, name: str, entries: list[dict[str, Any]]) -> None:
        if not name.strip():
            raise NotDone("nothing was written: there is no name")
        path = Path(name.strip())
        try:
            path = path.expanduser()
            with path.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
                if path.suffix == ".csv":
                    rows = csv.writer(file)
                    rows.writerow(("seq", "at", "kind", "body"))
                    rows.writerows(_row(entry) for entry in entries)
                else:
                    file.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        except (OSError, ValueError, RuntimeError) as error:  # no such home, or no name that a file can have
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise NotDone(f"{safe_line(str(path), limit=NAME_CHARS_SHOWN)} was not written: {safe_line(why)}") from None
        self._app.say(f"{len(entries):,} entries in {path.absolute()}", "good")

    def _suspend(self) -> None:
        if not self._app.leave_for_a_moment():
            raise NotDone("there is no shell to go back to here")


def _row(entry: Mapping[str, Any]) -> tuple[object, ...]:
    return entry.get("seq"), entry.get("at"), entry.get("kind"), json.dumps(entry, ensure_ascii=False)

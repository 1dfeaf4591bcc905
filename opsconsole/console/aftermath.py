"""Reads from the hub what killed runs left in the world, one run after the other; what is not read is said to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from opsconsole.console.view.open_effects import OpenEffects, of_run, open_effects
from opsconsole.console.view.status import is_dead
from opsconsole.console.view.timeline import Timeline
from opsconsole.domain.ids import short_id
from opsconsole.errors import HubError
from opsconsole.protocol.rows import RunRow

RUNS_MAX = 50
"""Runs of one receipt that are looked at; the others are counted."""
PAGES_MAX = 3
"""Pages of one run's newest events that are read: a call that was under way stands near the end."""
RETRY_SECONDS = 5.0
"""After a failure the hub is asked again no sooner."""


class Events(Protocol):
    """What is read of the hub."""

    async def events(self, run: str, *, before: int | None) -> list[dict[str, Any]]:
        """Events, oldest first. Raises: HubError."""
        ...


class Aftermath:
    """What is known of the runs of one receipt."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[object, OpenEffects]] = {}
        """Run -> how it stood when it was looked at, and what was found."""
        self._retry_at = float("-inf")

    def due(self, rows: Sequence[RunRow], *, now: float) -> list[RunRow]:
        """Of the first RUNS_MAX runs those that are over and not looked at since; monotonic clock."""
        if now < self._retry_at:
            return []
        return [row for row in rows[:RUNS_MAX] if _is_over(row) and self._found.get(row.run, (None,))[0] != _seen(row)]

    def of(self, rows: Sequence[RunRow]) -> tuple[list[OpenEffects], int]:
        """What the runs left that were looked at, and how many were not."""
        known = [self._found[row.run][1] for row in rows if row.run in self._found]
        return known, len(rows) - len(known)

    async def look(self, rows: Sequence[RunRow], api: Events, clock: Callable[[], float]) -> None:
        """Read these runs; the first failure puts the others off."""
        for row in rows:
            try:
                events = await _newest(row.run, api)
            except HubError:
                self._retry_at = clock() + RETRY_SECONDS
                return
            found = await asyncio.to_thread(_open_effects, row, events)
            self._found[row.run] = (_seen(row), found)


def _is_over(row: RunRow) -> bool:
    return row.kill is not None and (is_dead(row) or row.kill.status == "unconfirmed")


def _seen(row: RunRow) -> object:
    """Once any of these is another, its calls may be, too."""
    return row.state, row.progress_at, None if row.kill is None else row.kill.status


async def _newest(run: str, api: Events) -> list[dict[str, Any]]:
    """The newest events, back to the run's first word or as far as PAGES_MAX pages go. Raises: HubError."""
    rows: list[dict[str, Any]] = []
    before: int | None = None
    for _ in range(PAGES_MAX):
        page = await api.events(run, before=before)
        places = [row["position"] for row in page if isinstance(row.get("position"), int)]
        if not places or (before is not None and min(places) >= before):
            break
        rows, before = page + rows, min(places)
    return rows


def _open_effects(row: RunRow, events: list[dict[str, Any]]) -> OpenEffects:
    timeline = Timeline(row.run)
    timeline.add(events)
    assert row.kill is not None
    return of_run(open_effects(timeline, sent_at=row.kill.sent_at), f"{row.agent} {short_id(row.run)}")

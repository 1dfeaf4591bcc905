"""Which operators are here and what they have open, for as long as their connection lasts; it is told to no storage."""

from __future__ import annotations

from opsconsole.protocol.rows import Present

PRESENT_MAX = 100
"""Consoles in the hub's row: it goes to all of them whenever one looks elsewhere."""


class Presence:
    """One place for each connection."""

    def __init__(self) -> None:
        self._here: dict[str, Present] = {}

    def look(self, conn: str, by: str, run: str | None, approval: str | None, now: float) -> bool:
        """A console has this open now, or nothing of a run; whether that is news."""
        known = self._here.get(conn)
        if known is not None and (known.run, known.approval) == (run, approval):
            return False
        self._here[conn] = Present(by=by, run=run, approval=approval, since=now)
        return True

    def gone(self, conn: str) -> bool:
        """A connection has ended; whether anybody was known there."""
        return self._here.pop(conn, None) is not None

    def shown(self) -> list[Present]:
        """Who is here, those who looked elsewhere last at the end."""
        return sorted(self._here.values(), key=lambda present: present.since)[-PRESENT_MAX:]

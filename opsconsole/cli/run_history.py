"""A run's whole timeline and all that the audit says of it, page by page from the hub; it understands neither."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opsconsole.cli.client import HubClient
from opsconsole.errors import CommandFailed

EVENTS_MAX = 50_000
"""Of one run: what comes after them is left out, and said to be."""
ENTRIES_MAX = 20_000
"""Of the audit about one run."""
PAGE_MAX = 1_000


def timeline(client: HubClient, run: str) -> tuple[list[dict[str, Any]], bool]:
    """The run's events from its beginning, and whether these are all."""
    rows: list[dict[str, Any]] = []
    after = 0
    while True:
        page = client.get("runs", run, "events", after=after, limit=PAGE_MAX)
        rows += page.get("events", [])
        reached = int(page.get("next", after))
        if reached <= after:
            return rows[:EVENTS_MAX], len(rows) <= EVENTS_MAX
        if len(rows) > EVENTS_MAX:
            return rows[:EVENTS_MAX], False
        after = reached


def run_entries(client: HubClient, run: str) -> list[dict[str, Any]]:
    """The audit's entries about one run, oldest first."""
    found: list[dict[str, Any]] = []
    after = 0
    while len(found) < ENTRIES_MAX:
        page = client.get("audit", run=run, after=after, limit=PAGE_MAX)
        found += page.get("entries", [])
        reached = int(page.get("looked_to", after))
        if reached <= after:
            break
        after = reached
    return found[:ENTRIES_MAX]


def entries_since(client: HubClient, since: float) -> Iterator[dict[str, Any]]:
    """Every entry of the audit not older than `since` (unix seconds), the newest first."""
    before: int | None = None
    while True:
        page = client.get("audit", newest=1, before=before, limit=PAGE_MAX)
        for entry in sorted(page.get("entries", []), key=lambda one: int(one["seq"]), reverse=True):
            if float(entry.get("at") or 0) < since:
                return
            yield entry
        reached = int(page.get("looked_to", 0))
        if reached <= 1 or (before is not None and reached >= before):
            return
        before = reached


def known_timeline(client: HubClient, run: str) -> tuple[list[dict[str, Any]], bool]:
    """As `timeline`, and nothing of a run whose events are gone, which is then not all."""
    try:
        return timeline(client, run)
    except CommandFailed as error:
        if error.code != "not_found":
            raise
        return [], False

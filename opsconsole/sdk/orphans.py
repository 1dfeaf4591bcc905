"""Delivers the journals of processes that are gone; it carries out nothing of theirs but their end."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from opsconsole.domain.command import Do
from opsconsole.domain.run import RunState
from opsconsole.errors import ConfigError, RunInUse
from opsconsole.sdk.journal import Journal, journal_folder
from opsconsole.sdk.order import Order
from opsconsole.sdk.point_run import PointRun
from opsconsole.sdk.settings import hub_name

if TYPE_CHECKING:
    from opsconsole.sdk.link import Link

log = logging.getLogger("opsconsole.sdk")

ORPHANS_MAX = 200
"""Journals taken on at once; the next start takes the next."""
RESUMABLE_SECONDS = 600.0
"""A run that its own restart may resume is left alone for this long."""
LINGER_SECONDS = 0.25
"""A kill that waits for a run whose process is gone comes with the hub's welcome, and is answered."""
FORGOTTEN_SECONDS = 30 * 86_400.0
"""A resumable run that nobody resumed for this long is removed once delivered."""


class Orphan:
    """A journal whose process is gone, attached to the link until delivered."""

    def __init__(self, journal: Journal, wake: Callable[[bool], None]) -> None:
        self.journal = journal
        self.point = PointRun(journal, on_order=self._on_order, wake=wake)
        self.point.state = journal.get("ended") or None
        self.closed = False
        self._over = False

    def lay_to_rest(self, *, over: bool) -> None:
        """States what is certain: its calls are interrupted; and, where nobody can resume it, that it ended."""
        for order in self.point.open_orders():
            self._on_order(order)
        if over:
            self.journal.put("supervised", "")
        self._over = over or not self.journal.get("resumable")
        if not self._over or self.journal.get("ended"):
            return
        self.point.tell_interrupted()
        if not over:
            self._end(RunState.FAILED, "its process ended without a word")

    def _end(self, state: RunState, reason: str) -> None:
        self.point.state = str(state)
        self.point.tell({"type": "state", "state": str(state), "reason": reason, "stop_reason": "lost"}, urgent=True)
        with contextlib.suppress(sqlite3.Error):
            self.journal.put("ended", str(state))

    def _on_order(self, order: Order) -> None:
        """A kill finds its work done; all else waits in the journal for a process that resumes the run."""
        if order.do is not Do.KILL:
            return
        if not self.journal.get("ended"):
            self._end(RunState.KILLED, f"killed by {order.by}, after its process had ended")
        line = [{"name": "sdk", "ms": 0.0, "outcome": "its process had already ended"}]
        self.point.answer(order.cmd, ok=True, status="applied", proof="cooperative", points=line)

    def succeed(self, run: str) -> None:
        """Another run goes on where this one stopped, and has its key."""
        self._over = True
        self.journal.put("keyed", "")
        if not self.journal.get("ended"):
            self._end(RunState.FAILED, f"its process ended; {run} goes on from its checkpoint")

    def close(self) -> None:
        """Lets go; a journal that nobody will need again is removed."""
        with self.point.lock:
            if self.closed:
                return
            self.closed = True
        keyed = bool(self.journal.get("keyed") or self.journal.get("supervised"))
        old = _age_seconds(self.journal.path) > FORGOTTEN_SECONDS
        done = bool(self.journal.get("ended")) or self._over
        self.journal.close(remove=self.point.delivered and ((done and not keyed) or old))


def find_orphans(
    folder: Path,
    wake: Callable[[bool], None],
    *,
    url: str,
    point: str = "sdk",
    run: str | None = None,
    over: bool = False,
) -> list[Orphan]:
    """The journals of this point for the hub at `url` that no process holds and that have something to say; they are
    held from now on."""
    found: list[Orphan] = []
    for path in sorted(journal_folder(folder, point).glob(f"{run}.db" if run else "*.db")):
        if len(found) >= ORPHANS_MAX:
            break
        orphan = _taken(folder, path, wake, point, hub_name(url), any_age=run is not None)
        if orphan is None:
            continue
        try:
            orphan.lay_to_rest(over=over)
        except sqlite3.Error as error:
            log.warning("%s: %s", path, error)
            orphan.close()
        else:
            found.append(orphan)
    return found


def _taken(
    folder: Path, path: Path, wake: Callable[[bool], None], point: str, hub: str, *, any_age: bool
) -> Orphan | None:
    try:
        journal = Journal(folder, path.stem, point=point)
    except RunInUse:
        return None
    except (ConfigError, sqlite3.Error, OSError) as error:
        log.warning("%s", error)
        return None
    ended = bool(journal.get("ended"))
    waits = journal.get("resumable") and not ended and not any_age and _age_seconds(path) < RESUMABLE_SECONDS
    silent = journal.last_seq == journal.acked and not journal.open_commands()
    kept = journal.get("keyed") or (
        journal.get("supervised") and not any_age and _age_seconds(path) < FORGOTTEN_SECONDS
    )
    if journal.hub not in (None, hub) or waits or (silent and ended and kept):
        journal.close()
        return None
    return Orphan(journal, wake)


def _age_seconds(path: Path) -> float:
    """Since the journal was last written; what is new lies in the write-ahead log first."""
    files = (path, path.with_name(path.name + "-wal"))
    return time.time() - max(file.stat().st_mtime for file in files if file.exists())


def deliver(orphans: list[Orphan], link: Link) -> threading.Event:
    """Delivers them in the background; the event is set when all are delivered."""
    left = [orphan.point.run for orphan in orphans]
    done = threading.Event()
    for orphan in orphans:

        def closed(orphan: Orphan = orphan) -> None:
            orphan.close()
            left.remove(orphan.point.run)
            if not left:
                done.set()

        link.attach(orphan.point)
        link.detach(orphan.point, closed, linger_seconds=LINGER_SECONDS)
    if not orphans:
        done.set()
    return done

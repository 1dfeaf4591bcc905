"""Delivers what dead processes of this machine left: journals the hub has not seen the end of, and reapers' receipts.

Only journals that nobody holds are touched; what cannot be delivered stays for the next time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from opsconsole import __version__
from opsconsole.domain.ids import is_id
from opsconsole.domain.run import RunState
from opsconsole.errors import ConfigError
from opsconsole.sdk.journal import Journal, journal_folder, journal_path
from opsconsole.sdk.link import Link
from opsconsole.sdk.orphans import find_orphans
from opsconsole.sdk.point_run import KEY, PointRun
from opsconsole.supervisor.report import ENDED, POINT

SDK = "sdk"
RECEIPT_SUFFIX = ".receipt.json"
RECEIPT_BYTES_MAX = 4 * 1024 * 1024
"""A reaper lists at most some thousand processes; a larger file is not its receipt."""
RECEIPTS_MAX = 200
"""Told at one time; the rest waits for the next."""
CONNECT_SECONDS = 3.0

Token = Callable[[], str | None]


def receipt_path(folder: Path, run: str) -> Path:
    """Where a reaper says what it did when its supervisor is killed."""
    return journal_folder(folder, POINT) / f"{run}{RECEIPT_SUFFIX}"


def deliver_agent(folder: Path, run: str, *, url: str, token: Token, seconds: float) -> bool:
    """Delivers what the SDK of a dead process journalled and could not send. True if nothing is left to deliver."""
    if not journal_path(folder, run).exists():
        return True
    return _deliver(folder, SDK, run=run, url=url, token=token, seconds=seconds)


def deliver_supervisors(folder: Path, *, url: str, token: Token, seconds: float) -> bool:
    """Delivers what dead supervisors had to say, also those that could say nothing any more: their reapers left a
    receipt of what they killed. True if nothing is left to deliver."""
    place = journal_folder(folder, POINT)
    for path in sorted(place.glob(f"*{RECEIPT_SUFFIX}"))[:RECEIPTS_MAX]:
        _take_receipt(folder, path)
    if not any(place.glob("*.db")):
        return True
    return _deliver(folder, POINT, run=None, url=url, token=token, seconds=seconds)


def _deliver(folder: Path, point: str, *, run: str | None, url: str, token: Token, seconds: float) -> bool:
    link = Link(url=url, token=token, point=point, client=f"opsconsole-run/{__version__}")
    link.start()
    orphans = find_orphans(folder, link.wake, url=url, point=point, run=run, over=run is not None)
    for orphan in orphans:
        link.attach(orphan.point)
    is_up = not orphans or link.wait_up(min(seconds, CONNECT_SECONDS))
    delivered = link.stop(flush_seconds=seconds if is_up else 0.0)
    for orphan in orphans:
        orphan.close()
    return delivered


def _take_receipt(folder: Path, path: Path) -> None:
    """What a reaper did when its supervisor was killed becomes the last event of the run's journal."""
    run = path.name.removesuffix(RECEIPT_SUFFIX)
    if not is_id(run):
        return
    with suppress(ConfigError, OSError, sqlite3.Error, ValueError, KeyError, TypeError):
        with path.open("rb") as file:
            receipt = json.loads(file.read(RECEIPT_BYTES_MAX))
        event = receipt_event(receipt)
        journal = Journal(folder, run, point=POINT)
        try:
            PointRun(journal, on_order=lambda order: None, wake=lambda urgent: None).emit(event)
            journal.put(ENDED, event["state"])
            if isinstance(receipt.get("key"), str):
                journal.put(KEY, receipt["key"])
        finally:
            journal.close()
        path.unlink()


def receipt_event(receipt: dict[str, Any]) -> dict[str, Any]:
    """The `state` event of a run whose supervisor was killed. Raises: KeyError, TypeError when it is no receipt."""
    killed, survivors = len(receipt["killed"]), len(receipt["survivors"])
    used = receipt["exit"]
    count = "1 process" if killed == 1 else f"{killed} processes"
    return {
        "type": "state",
        "state": RunState.FAILED.value,
        "reason": f"its supervisor was killed; {count} of it were killed with it",
        "exit": {
            "cpu_seconds": round(float(used["user_seconds"]) + float(used["system_seconds"]), 6),
            "memory_bytes_max": int(used["max_rss"]),
            "survivors": 0 if receipt["empty"] is True else max(1, survivors),
        },
    }

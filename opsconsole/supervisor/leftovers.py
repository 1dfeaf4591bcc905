"""Delivers what dead processes of this machine left: journals the hub has not seen the end of, and reapers' receipts.

Only journals that nobody holds are touched; what cannot be delivered stays for the next time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from opsconsole import __version__
from opsconsole.domain.ids import is_id
from opsconsole.domain.run import RunState
from opsconsole.errors import ConfigError
from opsconsole.sdk.journal import Journal
from opsconsole.sdk.link import Link
from opsconsole.sdk.order import Order
from opsconsole.sdk.point_run import PointRun
from opsconsole.supervisor.report import POINT, SupervisorRun

SDK = "sdk"
RECEIPT_SUFFIX = ".receipt.json"
RECEIPT_BYTES_MAX = 4 * 1024 * 1024
"""A reaper lists at most some thousand processes; a larger file is not its receipt."""
RUNS_MAX = 200
"""Runs delivered at one time; the rest waits for the next."""
CONNECT_SECONDS = 3.0

Token = Callable[[], str | None]


def deliver_agent(folder: Path, run: str, *, url: str, token: Token, seconds: float) -> bool:
    """Delivers what the SDK of a dead process journalled and could not send; the journal stays, as an agent may resume
    from it. True if nothing is left to deliver."""
    if not (folder / f"{run}.db").exists():
        return True
    opened = _opened(folder, [run], SDK)
    return _delivered(opened, SDK, url=url, token=token, seconds=seconds, remove=False) == len(opened) == 1


def deliver_supervisors(folder: Path, *, url: str, token: Token, seconds: float) -> int:
    """Delivers what dead supervisors had to say, also those that could say nothing any more: their reapers left a
    receipt of what they killed. Gives the number of runs whose story is complete."""
    for path in sorted(folder.glob(f"*{RECEIPT_SUFFIX}"))[:RUNS_MAX]:
        _tell_receipt(folder, path)
    names = sorted(path.name.removesuffix(f".{POINT}.db") for path in folder.glob(f"*.{POINT}.db"))
    opened = _opened(folder, names[:RUNS_MAX], POINT)
    return _delivered(opened, POINT, url=url, token=token, seconds=seconds, remove=True)


def _opened(folder: Path, runs: Iterable[str], point: str) -> list[Journal]:
    """Those that nobody holds and that are what they seem."""
    opened = []
    for run in runs:
        with suppress(ConfigError, OSError, sqlite3.Error):
            opened.append(Journal(folder, run, point=point))
    return opened


def _delivered(journals: list[Journal], point: str, *, url: str, token: Token, seconds: float, remove: bool) -> int:
    link = Link(url=url, token=token, point=point, client=f"opsconsole-run/{__version__}")
    kind = SupervisorRun if point == POINT else PointRun
    runs = [kind(journal, on_order=_leave, wake=link.wake) for journal in journals]
    due = [run for run in runs if not run.delivered]
    if due:
        link.start()
        for run in due:
            link.attach(run)
        is_up = link.wait_up(min(seconds, CONNECT_SECONDS))
        link.stop(flush_seconds=seconds if is_up else 0.0)
    done = [run.delivered for run in runs]
    for journal, is_done in zip(journals, done, strict=True):
        journal.close(remove=remove and is_done)
    return sum(done)


def _leave(_order: Order) -> None:
    """An order for a process that is dead: journalled, and for whoever resumes the run."""


def _tell_receipt(folder: Path, path: Path) -> None:
    """What a reaper did when its supervisor was killed becomes the last event of the run."""
    run = path.name.removesuffix(RECEIPT_SUFFIX)
    if not is_id(run):
        return
    with suppress(ConfigError, OSError, sqlite3.Error, ValueError, KeyError, TypeError):
        with path.open("rb") as file:
            receipt = json.loads(file.read(RECEIPT_BYTES_MAX))
        event = receipt_event(receipt)
        journal = Journal(folder, run, point=POINT)
        try:
            SupervisorRun(journal, on_order=_leave, wake=lambda urgent: None).emit(event)
        finally:
            journal.close()
        path.unlink()


def receipt_event(receipt: dict[str, Any]) -> dict[str, Any]:
    """The `state` event of a run whose supervisor was killed. Raises: KeyError, TypeError when it is no receipt."""
    killed, survivors = len(receipt["killed"]), len(receipt["survivors"])
    used = receipt["exit"]
    empty = receipt["empty"] is True
    return {
        "type": "state",
        "state": RunState.FAILED.value,
        "reason": f"its supervisor was killed; the process tree was killed with it ({killed} processes)",
        "exit": {
            "cpu_seconds": float(used["user_seconds"]) + float(used["system_seconds"]),
            "memory_bytes_max": int(used["max_rss"]),
            "survivors": 0 if empty else max(1, survivors),
        },
    }

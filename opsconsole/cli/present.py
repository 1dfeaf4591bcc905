"""Who holds, has claimed or has open what at this moment, asked of the hub whose record is read; it records nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from opsconsole.cli.audit_source import AuditDirectory, AuditSource
from opsconsole.cli.client import connect
from opsconsole.cli.hub_file import read_hub_file
from opsconsole.config import Settings
from opsconsole.console.view.digest import Standing
from opsconsole.console.view.ingest import held_call, run_row
from opsconsole.console.view.presence import Others
from opsconsole.console.view.shift_lines import present, standing
from opsconsole.domain.command import Role
from opsconsole.errors import OpsconsoleError
from opsconsole.protocol.rows import Present

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What the hub says at this moment: its live runs, its pending approvals, its consoles, and who asks."""

    runs: list[dict[str, Any]]
    approvals: list[dict[str, Any]]
    consoles: list[dict[str, Any]]
    me: str

    def lines(self) -> list[str]:
        """In the words of the console's shift view, each safe to show; rows that cannot be read are counted."""
        runs, calls = _read(run_row, self.runs), _read(held_call, self.approvals)
        consoles = _read(Present.model_validate, self.consoles)
        asked, read = (*self.runs, *self.approvals, *self.consoles), (*runs, *calls, *consoles)
        unread = len(asked) - len(read)
        here = present({row.key: row for row in runs}, calls, Others(present=tuple(consoles), me=self.me))
        return here + ([f"{unread} row{'s' * (unread > 1)} cannot be read"] if unread else [])

    def standing(self) -> Standing:
        """The calls that wait and what the live runs have cost, of the rows that can be read."""
        return standing(_read(run_row, self.runs), _read(held_call, self.approvals))

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        claims = [
            {name: row.get(name) for name in ("approval", "run", "agent", "tool", "claimed_by")}
            for row in self.approvals
            if row.get("claimed_by")
        ]
        held = [
            {"run": row.get("run"), "agent": row.get("agent"), "baton": row["baton"]}
            for row in self.runs
            if row.get("baton")
        ]
        return {**asdict(self.standing()), "takeovers": held, "claims": claims, "present": self.consoles}


def now_of(settings: Settings, source: AuditSource) -> tuple[Now | None, str]:
    """What is so at this moment at the hub of this record, or None and why that is not known."""
    running = read_hub_file(settings.data_dir)
    if isinstance(source, AuditDirectory) and (running is None or running.url != settings.hub):
        return None, f"{settings.hub} is not the hub of {source.name}" if running else "its hub does not run"
    try:
        with connect(settings, Role.OPERATOR) as client:
            now = Now(
                runs=client.rows("runs", live=1),
                approvals=client.rows("approvals", status="pending"),
                consoles=client.rows("present"),
                me=str(client.get("info").get("principal")),
            )
    except OpsconsoleError as error:
        return None, str(error)
    return now, ""


def _read(read: Callable[[dict[str, Any]], Row], rows: Iterable[dict[str, Any]]) -> list[Row]:
    found = []
    for row in rows:
        with suppress(ValueError):
            found.append(read(row))
    return found

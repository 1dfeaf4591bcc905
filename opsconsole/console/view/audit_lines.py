"""Entries of the audit log as lines, and one entry opened; it verifies nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from opsconsole.console.view.amounts import day_and_time, time_of_day
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.ingest import in_pane
from opsconsole.console.view.line import Line, fit, fit_line, width_of
from opsconsole.console.view.timeline_lines import pretty
from opsconsole.domain.ids import short_id
from opsconsole.domain.text import safe_line
from opsconsole.protocol.audit_words import audit_words


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry, every text safe to show."""

    seq: int
    at: float
    body: dict[str, Any]

    @property
    def key(self) -> str:
        """How the list addresses it."""
        return str(self.seq)


def audit_entry(raw: Mapping[str, Any]) -> AuditEntry | None:
    """An entry from the hub's JSON; None when it has no number."""
    seq, at = raw.get("seq"), raw.get("at")
    if not isinstance(seq, int):
        return None
    return AuditEntry(seq=seq, at=float(at) if isinstance(at, int | float) else 0.0, body=in_pane(dict(raw)))


def audit_line(entry: AuditEntry, *, width: int, zone: tzinfo) -> Line:
    """One entry in exactly `width` cells, in words; what is cut or has no words is there when the entry is opened."""
    body = entry.body
    who = _first(body, "who", "by")
    run = _first(body, "run")
    head: Line = (
        (f"{entry.seq:>6} ", "dim"),
        (f"{time_of_day(entry.at, zone)} ", "dim"),
        (fit(_first(body, "kind", "do"), 16 if width >= 60 else 10) + " ", "key"),
        (fit(who, 10 if width >= 60 else 6) + " ", "strong"),
    )
    if width >= 60:
        head = (*head, (fit(short_id(run) if run else "", 8) + " ", "plain"))
    room = max(0, width - width_of(head))
    return fit_line((*head, (fit(audit_words(body, limit=room), room), "plain")), width)


def audit_detail(entry: AuditEntry, *, width: int, zone: tzinfo) -> list[Line]:
    """One entry in full."""
    head: Line = ((f"entry {entry.seq}", "title"), (f"  {day_and_time(entry.at, zone)}", "plain"))
    return [head, *fenced("as recorded", pretty(entry.body), width=width, tone="plain")]


def _first(body: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = body.get(name)
        if isinstance(value, str) and value:
            return safe_line(value)
        if isinstance(value, dict) and isinstance(value.get("principal"), str):
            return safe_line(value["principal"])
    return ""

"""What detectors and breakers have found, over all runs, as a list: which come first, and what is said of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from opsconsole.console.view.amounts import age, time_of_day
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.ingest import IN_PART
from opsconsole.console.view.line import Line, Span, Tone, fit, fit_line, width_of, wrap_words
from opsconsole.domain.ids import short_id
from opsconsole.domain.run import HELD
from opsconsole.domain.text import safe_line
from opsconsole.protocol.rows import Alert, HubRow, RunRow

ALERTS_MAX = 2_000
"""Shown; the worst and newest of more."""
EVIDENCE_LINES_MAX = 60
EVIDENCE_CHARS_MAX = 4_000
_RANK = {"trip": 0, "warn": 1}
_NARROW = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One alert, with the run that it is about first."""

    key: str
    alert: Alert
    run: str
    """Empty: it is the hub's own."""
    agent: str
    is_live: bool
    is_held: bool
    """The run stands still."""


def is_open(alert: Alert) -> bool:
    """Whether a detector raised it and nobody has answered."""
    return bool(alert.detector) and not alert.verdict


def open_alerts(row: RunRow) -> list[Alert]:
    """Of one run, those that nobody has answered, the worst first."""
    found = [alert for alert in row.alerts if is_open(alert)]
    return sorted(found, key=lambda alert: (_RANK.get(alert.severity, 2), -alert.at))


def paused_for(row: RunRow) -> str:
    """Of a run that stands still: what an alert says that paused it, and that nobody has answered; empty else."""
    if row.state not in HELD:
        return ""
    return next((alert.text for alert in open_alerts(row) if alert.paused), "")


def badge(row: RunRow) -> tuple[str, Tone] | None:
    """How many open alerts a run has, and how bad the worst is; None where there is none.

    That a part of its row is not shown comes before all of them.
    """
    if not row.alerts:
        return None
    if any(alert.kind == IN_PART for alert in row.alerts):
        return "▲ IN PART", "bad"
    found = open_alerts(row)
    if not found:
        return None
    return f"▲{len(found)} {found[0].severity}", _tone(found[0])


def all_alerts(rows: Iterable[RunRow], hub: Iterable[HubRow]) -> list[Shown]:
    """Every alert once, however many runs show it: open before answered, then by how bad it is, then the newest."""
    found: dict[str, Shown] = {}
    for row in rows:
        for alert in row.alerts:
            known = found.get(alert.id)
            if alert.detector and (known is None or (alert.paused and not known.alert.paused)):
                held = row.state in HELD
                found[alert.id] = Shown(
                    key=alert.id,
                    alert=alert,
                    run=row.run,
                    agent=row.agent,
                    is_live=row.ended_at is None,
                    is_held=held,
                )
    for one in hub:
        for alert in one.alerts:
            if alert.detector:
                found[alert.id] = Shown(key=alert.id, alert=alert, run="", agent="", is_live=True, is_held=False)
    return sorted(found.values(), key=_place)[:ALERTS_MAX]


def _place(one: Shown) -> tuple[bool, bool, int, float, str]:
    alert = one.alert
    return bool(alert.verdict), not one.is_live, _RANK.get(alert.severity, 2), -alert.at, one.key


def heading(shown: list[Shown], width: int) -> Line:
    """How many there are, and of what."""
    waiting = [one for one in shown if is_open(one.alert)]
    trips = sum(one.alert.severity == "trip" for one in waiting)
    answered = len(shown) - len(waiting)
    spans: list[Span] = [
        (f"{len(waiting)} open", "strong" if waiting else "dim"),
        (f"  {trips} tripped", "bad" if trips else "dim"),
        (f"  {answered} answered", "dim"),
    ]
    return fit_line(tuple(spans), width)


def alert_line(one: Shown, *, now: float, width: int) -> Line:
    """One alert in exactly `width` cells."""
    alert = one.alert
    tone: Tone = "dim" if alert.verdict or not one.is_live else _tone(alert)
    glyph = "✓" if alert.verdict else "▲"
    spans: list[Span] = [(f"{glyph} {fit(alert.severity or alert.level, 5)} ", tone)]
    if width >= _NARROW:
        spans.append((f"{fit(one.agent or 'the hub', 12)} {fit(short_id(one.run) if one.run else '', 8)} ", "strong"))
    state = alert.verdict or ("paused" if one.is_held else "")
    tail: Line = ((f" {fit(state, 6)} {fit(age(now - alert.at), 5, 'right')}", tone),)
    room = max(0, width - width_of(spans) - width_of(tail))
    return fit_line((*spans, (fit(safe_line(alert.text), room), "dim" if alert.verdict else "plain"), *tail), width)


def alert_text(one: Shown, *, now: float, width: int, zone: tzinfo) -> list[Line]:
    """One alert in full: what, where, what was done, its evidence behind a fence, and what can be done."""
    alert = one.alert
    lines: list[Line] = [((f"▲ {alert.detector} ", _tone(alert)), (f"{alert.severity or alert.level}", "strong"))]
    lines += [((part, "plain"),) for part in wrap_words(safe_line(alert.text), width)]
    where = f"{one.agent} {short_id(one.run)}" if one.run else "about no single run"
    lines.append(((f"{where}  {time_of_day(alert.at, zone)}, {age(now - alert.at)} ago", "dim"),))
    if len(alert.runs) > 1:
        names = " ".join(short_id(run) for run in alert.runs)
        lines += [((part, "plain"),) for part in wrap_words(f"{len(alert.runs)} runs: {names}", width)]
    if alert.paused:
        lines.append((("the hub paused the run for it, and told the agent what it saw", "warn"),))
    lines.append(_answer(alert))
    lines += fenced(
        "evidence, with words of agents", _evidence(alert.evidence), width=width, lines_max=EVIDENCE_LINES_MAX
    )
    if is_open(alert):
        lines += [((part, "dim"),) for part in wrap_words(_WHAT_FOLLOWS, width)]
    return lines


_WHAT_FOLLOWS = (
    "Answer it: real keeps the agent's thresholds, or lowers what was raised; two answers fine raise them by a step. "
    "A paused run stays paused until you let it go on."
)


def _answer(alert: Alert) -> Line:
    if alert.verdict:
        return ((f"answered {alert.verdict} by {safe_line(alert.verdict_by)}", "good"),)
    return (("nobody has answered", "ask"),)


def _evidence(evidence: dict[str, Any]) -> str:
    lines = [f"{safe_line(str(name))}: {safe_line(_value(value))}" for name, value in evidence.items()]
    return "\n".join(lines)[:EVIDENCE_CHARS_MAX] or "none"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _tone(alert: Alert) -> Tone:
    return "bad" if alert.severity == "trip" or alert.level == "critical" else "warn"

"""What there is to say about one run besides its timeline: numbers, limits, points, alerts; it reads the row only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from opsconsole.console.view.amounts import age, bar, count, money, of_cap, time_of_day
from opsconsole.console.view.line import Line, Span, Tone
from opsconsole.console.view.presence import names
from opsconsole.console.view.status import Status, runway_ends
from opsconsole.domain.run import TERMINAL
from opsconsole.protocol.rows import Alert, PointRow, RunRow

ALERTS_SHOWN_MAX = 3
DAY_SECONDS = 86_400.0
RUNWAY_SHORT_SECONDS = 600.0
"""A person has to act soon."""
_LINK_TONES: dict[str, Tone] = {"live": "good", "stale": "warn", "lost": "bad", "detached": "dim"}


def summary(row: RunRow, status: Status, *, now: float, zone: tzinfo, looking: Sequence[str] = ()) -> list[Line]:
    """The head of a run's page, most important first."""
    lines: list[Line] = [
        (
            (f"{status.glyph} {status.word}", status.tone),
            (f"  {status.now}", "plain"),
            (f"  {age(now - status.since)}", "dim"),
        ),
        _numbers(row),
    ]
    lines += _limits(row)
    if row.baton is not None:
        left = age(row.baton.until - now)
        lines.append(((f"◉ taken over by {row.baton.by}, {left} left, epoch {row.baton.epoch}", "hold"),))
    if looking:
        lines.append(((f"◉ open too: {names(looking)}", "hold"),))
    lines += _runway(row, now, zone)
    lines += [_alert(alert, age(now - alert.at)) for alert in _shown_alerts(row)]
    lines.append(_points(row.points, now))
    lines.append(_origin(row, zone))
    if row.error:
        lines.append((("error: ", "bad"), (row.error, "quote")))
    return lines


def _numbers(row: RunRow) -> Line:
    spans: list[Span] = [
        (f"{row.turns} turns", "plain"),
        (f"   {count(row.input_tokens)} in + {count(row.output_tokens)} out tokens", "plain"),
        (f"   {money(row.cost_usd, known=row.cost_known)}", "strong"),
    ]
    if row.state not in TERMINAL:
        spans.append((f"   ${row.cost_per_minute_usd:.2f}/min", "plain"))
    if not row.cost_known:
        spans.append(("   a model has no known price", "warn"))
    return tuple(spans)


def _limits(row: RunRow) -> list[Line]:
    used = (
        ("cost", of_cap(row.cost_usd, row.caps.cost_usd), f"${row.caps.cost_usd or 0:,.2f}"),
        ("turns", of_cap(row.turns, row.caps.turns), f"{row.caps.turns or 0:,}"),
        ("tokens", of_cap(row.input_tokens + row.output_tokens, row.caps.tokens), count(row.caps.tokens or 0)),
    )
    spans: list[Span] = []
    for name, share, cap in used:
        if share is None:
            continue
        tone: Tone = "bad" if share >= 1 else "warn" if share >= 0.8 else "plain"
        spans += [(f"{name} ", "dim"), (f"{bar(share, 8)} {share:.0%} of {cap}   ", tone)]
    return [tuple(spans)] if spans else [(("no caps", "dim"),)]


def _shown_alerts(row: RunRow) -> list[Alert]:
    """The newest, those that were answered last of all; the others are among the alerts."""
    unanswered = [alert for alert in row.alerts if not alert.verdict]
    answered = [alert for alert in row.alerts if alert.verdict]
    return (answered + unanswered)[-ALERTS_SHOWN_MAX:]


def _alert(alert: Alert, since: str) -> Line:
    tone: Tone = {"critical": "bad", "warning": "warn"}.get(alert.level, "plain")  # type: ignore[assignment]
    if alert.verdict:
        return ((f"✓ {alert.kind} ", "dim"), (f"{alert.verdict} by {alert.verdict_by}: {alert.text}  {since}", "dim"))
    return ((f"▲ {alert.kind} ", tone), (f"{alert.text}  {since}", "plain"))


def _runway(row: RunRow, now: float, zone: tzinfo) -> list[Line]:
    """How long the cap that is reached first will last, at the present pace."""
    ends = runway_ends(row)
    if ends is None:
        return []
    left = ends - now
    when = f"at {time_of_day(ends, zone)}" if left < DAY_SECONDS else f"in {age(left)}"
    tone: Tone = "warn" if left < RUNWAY_SHORT_SECONDS else "plain"
    return [(("runway ", "dim"), (f"${row.cost_per_minute_usd:.2f}/min, reaches {row.runway} {when}", tone))]


def _points(points: list[PointRow], now: float) -> Line:
    if not points:
        return (("no enforcement point: a kill can only fence this run", "bad"),)
    spans: list[Span] = [("points ", "dim")]
    for point in points:
        process = f" pid {point.pid}" if point.pid else ""
        silent = "" if point.link == "live" else f" {age(now - point.heard_at)}"
        spans += [
            (f"{point.name} ", "strong"),
            (f"{point.link}{silent}", _LINK_TONES[point.link]),
            (f"{process} ({', '.join(point.caps) or 'watches only'})  ", "dim"),
        ]
    return tuple(spans)


def _origin(row: RunRow, zone: tzinfo) -> Line:
    parts = [f"started {time_of_day(row.started_at, zone)}"]
    if row.ended_at is not None:
        parts.append(f"ended {time_of_day(row.ended_at, zone)}")
    parts += [f"by {row.owner}"] * bool(row.owner)
    parts += [row.framework] * bool(row.framework) + [", ".join(row.models)] * bool(row.models)
    parts += [f"{key}={value}" for key, value in row.labels.items()]
    if row.checkpoint:
        parts.append(f"checkpoint {row.checkpoint}")
    return (("  ".join(parts), "dim"),)

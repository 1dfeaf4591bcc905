"""The fleet in words: the head, the rows of those to shed, and what stands beside them; it counts nothing itself."""

from __future__ import annotations

from opsconsole.console.view.amounts import age, bar, milliseconds, money
from opsconsole.console.view.fleet import NORMAL, Fleet, Shed, Trip
from opsconsole.console.view.limits import words as limit_words
from opsconsole.console.view.line import Line, Span, Tone, fit, fit_line, width_of
from opsconsole.domain.ids import short_id
from opsconsole.domain.proof import Proof

BURNS_IN_HEAD = 4
BURNS_SHOWN_MAX = 12
TRIPS_IN_HEAD = 4
TRIPS_SHOWN_MAX = 10
LIMITS_SHOWN_MAX = 8
_BAR_CELLS = 10
_LEVELS: dict[str, Tone] = {"critical": "bad", "warning": "warn"}


def head_lines(fleet: Fleet, *, now: float, width: int) -> list[Line]:
    """What is to be known at a glance, most important first; each in exactly `width` cells."""
    lines = (
        _spend(fleet),
        _stop(fleet, now),
        _approvals(fleet, now),
        _burn(fleet),
        _tripped(fleet),
        _limit(fleet, now),
    )
    return [fit_line(((" ", "plain"), *line), width) for line in lines]


def shed_heading(fleet: Fleet, width: int) -> Line:
    """Above the list."""
    text = f"─ whom to shed first  {len(fleet.shed)} spend; least important, then without a step, then fastest "
    return fit_line(((text, "dim"), ("─" * max(0, width - width_of(((text, "dim"),))), "dim")), width)


def shed_line(one: Shed, *, width: int) -> Line:
    """One run that could be shed, in exactly `width` cells."""
    spans: list[Span] = [(fit(f"{one.usd_per_minute:.2f}", 6, "right") + " $/min ", "warn")]
    spans.append((fit(one.agent, 14 if width >= 60 else 9) + " ", "strong"))
    if width >= 50:
        spans.append((fit(short_id(one.run), 8) + " ", "plain"))
    if width >= 70:
        spans.append((fit(money(one.cost_usd, known=one.cost_known), 10, "right") + " ", "plain"))
    return fit_line((*spans, (_why(one), _why_tone(one))), width)


def _why(one: Shed) -> str:
    parts = [f"held by {one.held_by}"] * bool(one.held_by)
    parts += [f"priority {one.label}"] * bool(one.label)
    parts.append(f"no step for {age(one.idle_seconds)}" if one.is_stalled else f"last step {age(one.idle_seconds)} ago")
    return ", ".join(parts)


def _why_tone(one: Shed) -> Tone:
    if one.held_by or one.priority > NORMAL:
        return "hold"
    return "warn" if one.is_stalled or one.priority < NORMAL else "dim"


def fleet_text(fleet: Fleet, *, now: float, width: int) -> list[Line]:
    """Beside the list: burn of each agent, the dearest runs, what tripped, how full the limits are."""
    lines: list[Line] = [(("burn by agent", "key"), ("  $/min, live runs, spent", "dim"))]
    top = max((burn.usd_per_minute for burn in fleet.burns), default=0.0)
    for burn in fleet.burns[:BURNS_SHOWN_MAX]:
        share = burn.usd_per_minute / top if top > 0 else 0.0
        cost = money(burn.cost_usd, known=burn.cost_known)
        line: Line = (
            (f" {fit(burn.agent, 14)} ", "strong"),
            (bar(share, _BAR_CELLS), "warn" if share else "dim"),
            (f" {burn.usd_per_minute:6.2f} {burn.live:4d} {cost:>10}", "plain"),
        )
        lines.append(line)
    lines += _more(len(fleet.burns) - BURNS_SHOWN_MAX, "agents")
    lines += [(), (("dearest runs", "key"),)]
    lines += [
        (
            (f" {money(row.cost_usd, known=row.cost_known):>10} ", "plain"),
            (row.agent, "strong"),
            (f" {row.name}", "dim"),
        )
        for row in fleet.spenders
    ]
    lines += [(), (("tripped", "key"), (f"  {fleet.capped} at a limit" if fleet.capped else "", "warn"))]
    lines += [_trip(trip, now) for trip in fleet.trips[:TRIPS_SHOWN_MAX]] or [((" nothing", "dim"),)]
    lines += _more(len(fleet.trips) - TRIPS_SHOWN_MAX, "kinds")
    lines += [(), (("limits of providers", "key"),)]
    lines += [
        ((f" {limit_words(one, now)}", _LEVELS.get(one.level, "plain")), (f"  told {age(now - one.at)} ago", "dim"))
        for one in fleet.limits[:LIMITS_SHOWN_MAX]
    ] or [((" no gateway tells of any", "dim"),)]
    lines += _more(len(fleet.limits) - LIMITS_SHOWN_MAX, "limits")
    return [fit_line(line, width) for line in lines]


def _more(number: int, what: str) -> list[Line]:
    return [((f" … {number} more {what}", "dim"),)] if number > 0 else []


def _trip(trip: Trip, now: float) -> Line:
    runs = f"{trip.runs} run{'' if trip.runs == 1 else 's'}" if trip.runs else "the hub"
    tone = _LEVELS.get(trip.level, "plain")
    return ((f" ▲ {trip.kind} ", tone), (f"{runs}, {age(now - trip.at)} ago: ", "dim"), (trip.text, "plain"))


def _spend(fleet: Fleet) -> Line:
    hour = f"  ${fleet.usd_per_minute:.2f}/min = ${fleet.usd_per_minute * 60:,.2f} an hour"
    return (
        ("SPEND     ", "key"),
        (money(fleet.cost_usd, known=fleet.cost_known), "strong"),
        (hour, "warn" if fleet.usd_per_minute > 0 else "dim"),
        (f"  {fleet.live:,} live of {fleet.runs:,} runs, {money(fleet.live_cost_usd)} in them", "dim"),
    )


def _stop(fleet: Fleet, now: float) -> Line:
    stop = fleet.last_stop
    alarm: Line = ((f" ✖ {fleet.unconfirmed} KILL UNCONFIRMED ", "alarm"),) if fleet.unconfirmed else ()
    if stop is None:
        return (("LAST STOP ", "key"), *alarm, ("no proven kill on the board", "dim"))
    took = "" if stop.total_ms is None else f" in {milliseconds(stop.total_ms)}"
    tone: Tone = "good" if stop.proof is Proof.PROCESS else "warn"
    return (
        ("LAST STOP ", "key"),
        *alarm,
        (f"{stop.agent} {short_id(stop.run)}", "strong"),
        (f" by {stop.by} {age(now - stop.sent_at)} ago, ", "dim"),
        (f"proof: {stop.proof.value}{took}", tone),
    )


def _approvals(fleet: Fleet, now: float) -> Line:
    asked = fleet.asked
    oldest = "" if asked.oldest_at is None else f", oldest {age(now - asked.oldest_at)}"
    wait = "" if asked.median_wait_seconds is None else f", half within {age(asked.median_wait_seconds)}"
    return (
        ("APPROVALS ", "key"),
        (f"{asked.pending} waiting{oldest}", "ask" if asked.pending else "dim"),
        (f"  last hour: {asked.asked_last_hour} asked, {asked.settled_last_hour} settled{wait}", "dim"),
    )


def _burn(fleet: Fleet) -> Line:
    spans: list[Span] = [("BURN      ", "key")]
    burning = [burn for burn in fleet.burns if burn.usd_per_minute > 0]
    for burn in burning[:BURNS_IN_HEAD]:
        spans += [(f"{burn.agent} ", "strong"), (f"${burn.usd_per_minute:.2f}/min ×{burn.live}  ", "plain")]
    if not burning:
        spans.append(("nothing is spent now", "dim"))
    if len(burning) > BURNS_IN_HEAD:
        spans.append((f"+{len(burning) - BURNS_IN_HEAD} agents", "dim"))
    return tuple(spans)


def _tripped(fleet: Fleet) -> Line:
    spans: list[Span] = [("TRIPPED   ", "key")]
    if fleet.capped:
        spans.append((f"$ {fleet.capped} at a limit  ", "warn"))
    tripped = fleet.trips[:TRIPS_IN_HEAD]
    spans += [(f"▲ {trip.runs or 'hub'} {trip.kind}  ", _LEVELS.get(trip.level, "plain")) for trip in tripped]
    if len(spans) == 1:
        spans.append(("nothing live  " if fleet.unanswered else "nothing", "dim"))
    if fleet.unanswered:
        alerts = f"{fleet.unanswered} alert{'s' if fleet.unanswered > 1 else ''}"
        spans.append((f"{alerts} of ended runs not answered (8)", "dim"))
    return tuple(spans)


def _limit(fleet: Fleet, now: float) -> Line:
    if not fleet.limits:
        return (("LIMITS    ", "key"), ("no gateway tells of any", "dim"))
    first = fleet.limits[0]
    return (("LIMITS    ", "key"), (limit_words(first, now), _LEVELS.get(first.level, "plain")))

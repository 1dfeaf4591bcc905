"""What is said of a run: its own claim joined with what is known of its link, never "working" on a dead one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from enum import IntEnum

from opsconsole.console.view.amounts import age, count, hour_and_minute
from opsconsole.console.view.line import Tone
from opsconsole.domain.run import HELD, TERMINAL, RunState
from opsconsole.domain.tool_call import Risk
from opsconsole.protocol.rows import Alert, RunRow

STALLED_SECONDS = 120.0
"""Without progress for this long, a run that claims to work is drawn as stalled; slow model calls take a minute."""
PROOF_SECONDS = 15.0
"""A process ends soon after its agent's last word; after this long without proof a person should look."""
PAUSING_SECONDS = 15.0
"""A turn that is under way may end before a pause takes effect; after this long the run goes on in spite of it."""
RECENT_FAILURE_SECONDS = 600.0
"""How long a failed run stays among those that need a person."""


class Rank(IntEnum):
    """Urgency, most urgent first; the order of the runs table."""

    UNCONFIRMED = 0
    ZOMBIE = 1
    OVERRUN = 2
    APPROVAL = 3
    INPUT = 4
    TAKEOVER = 5
    CAPPED = 6
    ALERT = 7
    STALLED = 8
    UNKNOWN = 9
    STOPPING = 10
    FAILED = 11
    PAUSED = 12
    WORKING = 13
    ENDED = 14


WORKING = "working"
"""The word for a run that does nothing but work."""
NEEDS_ME = frozenset(rank for rank in Rank if rank <= Rank.UNKNOWN)
"""What `n` jumps to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A run's status: one glyph, one word, how it is coloured, how urgent it is, and what is going on now."""

    glyph: str
    word: str
    tone: Tone
    rank: Rank
    now: str
    since: float
    """Hub clock: since when it stands as it does."""


_ENDS: dict[RunState, tuple[str, str, Tone]] = {
    RunState.COMPLETED: ("✔", "done", "dim"),
    RunState.FAILED: ("✖", "failed", "bad"),
    RunState.KILLED: ("■", "killed", "dim"),
    RunState.CANCELLED: ("■", "cancelled", "dim"),
    RunState.REJECTED: ("■", "rejected", "dim"),
}
_ACTIVE: dict[RunState, tuple[str, str, Tone, Rank]] = {
    RunState.SUBMITTED: ("○", "submitted", "dim", Rank.WORKING),
    RunState.WORKING: ("●", WORKING, "good", Rank.WORKING),
    RunState.IDLE: ("○", "idle", "dim", Rank.WORKING),
    RunState.INPUT_REQUIRED: ("◆", "input", "ask", Rank.INPUT),
    RunState.AUTH_REQUIRED: ("◆", "auth", "ask", Rank.INPUT),
    RunState.PAUSING: ("‖", "pausing", "hold", Rank.PAUSED),
    RunState.PAUSED: ("‖", "paused", "hold", Rank.PAUSED),
    RunState.RESUMING: ("●", "resuming", "good", Rank.WORKING),
}


def status_of(row: RunRow, *, now: float, zone: tzinfo) -> Status:
    """The status of one run at hub time `now`: the first of these that applies."""
    for judge in _JUDGES:
        found = judge(row, now, zone)
        if found is not None:
            return found
    return _by_state(row)


def is_dead(row: RunRow) -> bool:
    """Whether the run has ended; where somebody kills it or supervises it, its own word for that is not enough."""
    return row.state in TERMINAL and not row.outlived and (row.kill is None or row.kill.status in _PROVEN)


def is_frozen(row: RunRow) -> bool:
    """Whether the run's processes are known to stand still.

    They send no beats then: as long as the point that froze them is heard, their silence says nothing.
    """
    heard = row.link == "live" or any(point.link == "live" and "freeze" in point.caps for point in row.points)
    return row.frozen and heard


_PROVEN = ("dead", "already_dead")
_GOES_NOT_ON = HELD | TERMINAL


def _unconfirmed(row: RunRow, now: float, _zone: tzinfo) -> Status | None:
    if row.kill is None or row.kill.status != "unconfirmed":
        return None
    text = f"KILL UNCONFIRMED for {age(now - row.kill.sent_at)}: no proof of death"
    return Status(glyph="✖", word="KILL?", tone="alarm", rank=Rank.UNCONFIRMED, now=text, since=row.kill.sent_at)


def _zombie(row: RunRow, _now: float, _zone: tzinfo) -> Status | None:
    if not row.zombie:
        return None
    text = f"was {row.state.value}, and still sends events"
    return Status(
        glyph="✖", word="zombie", tone="alarm", rank=Rank.ZOMBIE, now=text, since=row.ended_at or row.progress_at
    )


def _ended(row: RunRow, now: float, _zone: tzinfo) -> Status | None:
    if not is_dead(row):
        return None
    glyph, word, tone = _ENDS[row.state]
    ended = row.ended_at if row.ended_at is not None else row.progress_at
    recent = row.state is RunState.FAILED and now - ended < RECENT_FAILURE_SECONDS
    rank = Rank.FAILED if recent else Rank.ENDED
    return Status(glyph=glyph, word=word, tone=tone, rank=rank, now=_how_it_ended(row), since=ended)


def _outlived(row: RunRow, now: float, _zone: tzinfo) -> Status | None:
    if not row.outlived or row.state not in TERMINAL or (row.kill is not None and row.kill.status not in _PROVEN):
        return None
    ended = row.ended_at if row.ended_at is not None else row.progress_at
    rank = Rank.STOPPING if now - ended < PROOF_SECONDS else Rank.UNKNOWN
    text = f"{_ENDS[row.state][1]} by its own word: process not proven gone"
    return Status(glyph="◌", word="ended?", tone="warn", rank=rank, now=text, since=ended)


def _stopping(row: RunRow, _now: float, _zone: tzinfo) -> Status | None:
    if row.state is not RunState.STOPPING and row.state not in TERMINAL:
        return None
    sent = row.kill.sent_at if row.kill else row.progress_at
    text = f"killed by {row.kill.by}: waiting for proof" if row.kill else row.reason or "stopping"
    return Status(glyph="✖", word="stopping", tone="warn", rank=Rank.STOPPING, now=text, since=sent)


def _frozen(row: RunRow, _now: float, _zone: tzinfo) -> Status | None:
    if not is_frozen(row):
        return None
    text = "its processes stand still" + (f": {row.doing}" if row.doing else "")
    rank = Rank.APPROVAL if row.pending_approvals else Rank.PAUSED
    return Status(glyph="‖", word="frozen", tone="hold", rank=rank, now=text, since=row.progress_at)


def _unknown(row: RunRow, _now: float, zone: tzinfo) -> Status | None:
    if row.link == "live":
        return None
    since = hour_and_minute(row.link_since, zone)
    held = f", {row.pending_approvals} held" if row.pending_approvals else ""
    was = f" (was {'frozen' if row.frozen else row.state.value}{held})"
    if row.link == "detached":
        return Status(
            glyph="◌",
            word="detached",
            tone="warn",
            rank=Rank.UNKNOWN,
            now=f"since {since}{was}",
            since=row.link_since,
        )
    word = "unknown" if row.link == "lost" else "silent"
    tone: Tone = "bad" if row.link == "lost" else "warn"
    text = f"since {since}{was}"
    return Status(glyph="◌", word=word, tone=tone, rank=Rank.UNKNOWN, now=text, since=row.link_since)


def _taken_over(row: RunRow, now: float, _zone: tzinfo) -> Status | None:
    if row.baton is None:
        return None
    text = f"held by {row.baton.by}, {age(row.baton.until - now)} left"
    rank = Rank.APPROVAL if row.pending_approvals else Rank.TAKEOVER
    return Status(glyph="◉", word="takeover", tone="hold", rank=rank, now=text, since=row.baton.since)


def _held(row: RunRow, _now: float, _zone: tzinfo) -> Status | None:
    if not row.pending_approvals:
        return None
    waiting = row.waiting
    more = f" +{row.pending_approvals - 1}" if row.pending_approvals > 1 else ""
    what = row.doing if waiting is None or row.doing.startswith(waiting.what) else waiting.what
    risk = f"{_LOUD_RISKS[row.pending_risk]} " if row.pending_risk in _LOUD_RISKS else ""
    since = waiting.since if waiting else row.progress_at
    return Status(glyph="◆", word="approval", tone="ask", rank=Rank.APPROVAL, now=f"{risk}{what}{more}", since=since)


_LOUD_RISKS = {Risk.CRITICAL: "CRIT", Risk.HIGH: "HIGH"}


def _limits_reached(row: RunRow) -> list[Alert]:
    """The alerts of what stops it; a breaker warns in time as well, also while the run stands still."""
    loud = (alert for alert in row.alerts if alert.level == "critical")
    return [alert for alert in loud if alert.kind == "limit" or (row.held_by and alert.kind == "breaker")]


def _overrun(row: RunRow, now: float, _zone: tzinfo) -> Status | None:
    """Told to pause for its cap, and it goes on: no point of it can hold it, or the one that can does not."""
    if row.state is not RunState.PAUSING or not over_a_cap(row):
        return None
    since = paused_since(row)
    if now - since < PAUSING_SECONDS:
        return None
    text = f"OVER CAP, GOES ON: {beyond_cap(row)}"
    return Status(glyph="$", word="overrun", tone="alarm", rank=Rank.OVERRUN, now=text, since=since)


def paused_since(row: RunRow) -> float:
    """Since when it is told to pause, as well as that is known."""
    if row.waiting is not None and row.waiting.kind == "pause":
        return row.waiting.since
    return max((alert.at for alert in _limits_reached(row)), default=row.progress_at)


def _capped(row: RunRow, _now: float, _zone: tzinfo) -> Status | None:
    limits = _limits_reached(row)
    if row.state not in HELD or not (limits or row.held_by or over_a_cap(row)):
        return None
    since = row.waiting.since if row.waiting else row.progress_at
    text = limits[-1].text if limits else row.reason or "a cap is reached"  # its reason may be of the time before
    if row.state is RunState.PAUSING:
        text = f"not paused yet: {text.removeprefix('paused at its limit: ')}"
    return Status(glyph="$", word="capped", tone="warn", rank=Rank.CAPPED, now=text, since=since)


def _alerted(row: RunRow, _now: float, _zone: tzinfo) -> Status | None:
    loud = [alert for alert in row.alerts if alert.level == "critical" and not alert.verdict]
    if not loud:
        return None
    text = _STANDING.get(row.state, "") + loud[-1].text
    return Status(glyph="▲", word="alert", tone="bad", rank=Rank.ALERT, now=text, since=loud[-1].at)


_STANDING = {RunState.PAUSING: "not paused yet: ", RunState.PAUSED: "paused: "}
"""What comes before all else of a run that was told to stand still."""


def _stalled(row: RunRow, now: float, _zone: tzinfo) -> Status | None:
    silent = now - row.progress_at
    waits_for_others = row.waiting is not None and row.waiting.kind in _NOT_STALLED
    if row.state is not RunState.WORKING or silent < STALLED_SECONDS or waits_for_others:
        return None
    text = f"no step for {age(silent)}" + (f": {row.doing}" if row.doing else "")
    return Status(glyph="▲", word="stalled", tone="warn", rank=Rank.STALLED, now=text, since=row.progress_at)


_NOT_STALLED = ("handoff", "approval", "pause", "takeover", "input")
"""Waiting for these may take long without anything being wrong in the run itself."""

_JUDGES: tuple[Callable[[RunRow, float, tzinfo], Status | None], ...] = (
    _unconfirmed,
    _zombie,
    _ended,
    _outlived,
    _stopping,
    _frozen,
    _unknown,
    _overrun,
    _taken_over,
    _held,
    _capped,
    _alerted,
    _stalled,
)


def _by_state(row: RunRow) -> Status:
    glyph, word, tone, rank = _ACTIVE[row.state]
    waiting = row.waiting
    since = waiting.since if waiting else row.progress_at
    return Status(glyph=glyph, word=word, tone=tone, rank=rank, now=_doing(row), since=since)


def _doing(row: RunRow) -> str:
    if row.waiting is not None:
        return f"{row.waiting.kind}: {row.waiting.what}" if row.waiting.what else row.waiting.kind
    return row.doing or row.reason


def _how_it_ended(row: RunRow) -> str:
    if row.kill is not None and row.kill.status in _PROVEN:
        return f"killed by {row.kill.by}, proof: {row.kill.proof.value}"
    if row.exit_signal:
        return f"signal {row.exit_signal}"
    if row.state is RunState.FAILED and row.error:
        return row.error
    exit_code = f"exit {row.exit_code}" if row.exit_code else ""
    return " ".join(part for part in (exit_code, row.stop_reason or row.reason) if part)


def runway_ends(row: RunRow) -> float | None:
    """When its first cap is reached at the present pace, hub clock; None also of a run that does not go on."""
    if not row.runway or row.frozen or row.state in _GOES_NOT_ON:
        return None
    return row.runway_at


def over_a_cap(row: RunRow) -> bool:
    """Whether the run has used up one of its limits."""
    return bool(_used_up(row))


def beyond_cap(row: RunRow) -> str:
    """What it has used of the limits that are used up: `$100.62 of $5.00, 241 of 200 turns`."""
    return ", ".join(_used_up(row))


def _used_up(row: RunRow) -> list[str]:
    caps, tokens = row.caps, row.input_tokens + row.output_tokens
    found = []
    if caps.cost_usd is not None and row.cost_usd >= caps.cost_usd:
        found.append(f"${row.cost_usd:,.2f} of ${caps.cost_usd:,.2f}")
    if caps.turns is not None and row.turns >= caps.turns:
        found.append(f"{row.turns:,} of {caps.turns:,} turns")
    if caps.tokens is not None and tokens >= caps.tokens:
        found.append(f"{count(tokens)} of {count(caps.tokens)} tokens")
    return found

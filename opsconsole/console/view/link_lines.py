"""What the screen says of this console's own link to the hub: beside its name, and over the whole width when amiss."""

from __future__ import annotations

from datetime import tzinfo

from opsconsole.console.view.amounts import age, time_of_day
from opsconsole.console.view.line import Line, Span, Tone, first_that_fits, fit_line
from opsconsole.console.view.session import LinkPhase, Session
from opsconsole.protocol.limits import Close

ENDS_SOON_SECONDS = 900.0
"""How long before its token ends an operator is told: long enough to ask somebody for another one."""
UNANSWERED_SECONDS = 2.0
"""After this long without an answer, a command that was sent is counted as unanswered."""

_ADVICE: dict[int, str] = {
    401: "the token is not accepted, or no longer: check --token, OPSCONSOLE_TOKEN or the operator.token file",
    403: "this token may not watch runs: a role of observer or above is needed",
    426: "hub and console speak different versions: install the same version of both",
    Close.PROTOCOL_ERROR: "hub and console misunderstand each other: install the same version of both and report it",
    Close.UNAUTHORISED: "the token has expired or was revoked: get a new one (opsconsole tokens create)",
    Close.SUPERSEDED: "another console took this session's place",
    Close.FORBIDDEN: "this token may not do that: a role of observer or above is needed",
    Close.VERSION: "hub and console speak different versions: install the same version of both",
}


def link_mark(session: Session, *, now: float) -> Span:
    """Whether what is shown is live, in a word."""
    if not session.online:
        return (" ✖ REFUSED " if session.link.phase is LinkPhase.REFUSED else " ✖ OFFLINE "), "alarm"
    if session.is_silent(now=now):
        return " ◌ SILENT ", "alarm"
    behind = session.behind_seconds(now=now)
    return (" ● live ", "good") if behind is None else (f" ◌ behind {behind:.0f} s ", "warn")


def banner(session: Session, *, now: float, width: int, zone: tzinfo) -> Line | None:
    """The whole-width warning about the link; None when there is nothing to warn of."""
    link = session.link
    if link.phase is LinkPhase.REFUSED:
        return _first(_refused(session, zone), "alarm", width)
    if session.is_fresh(now=now):
        warning, tone = _warning(session, now, zone)
        return fit_line(((f" ▲ {warning}", tone),), width) if warning else None
    left = 0.0 if link.retry_at is None else link.retry_at - now
    again = f" · retry in {age(left + 0.99)}" if left > 0 else " · trying now"
    if not link.ever:
        why = (f": {link.reason}" if link.reason else "") + (again if left > 0 else "")
        return fit_line(((f" … connecting{why}", "alarm"),), width)
    if session.online:
        return _first(_silent(session, now, zone), "alarm", width)
    return _first(_offline(session, now, zone, again), "alarm", width)


def why_refused(session: Session) -> str:
    """Why the hub wants nothing of this console any more, in brief."""
    return _ADVICE.get(session.link.code, "it says not to try again").partition(":")[0]


def _first(candidates: tuple[str, ...], tone: Tone, width: int) -> Line:
    lines: tuple[Line, ...] = tuple(((words, tone),) for words in candidates)
    return fit_line(first_that_fits(lines, width), width)


def _warning(session: Session, now: float, zone: tzinfo) -> tuple[str, Tone]:
    """What is to be said while all is well with the link: the hub's own alarm, or the token's coming end."""
    if session.hub.alarm:
        return session.hub.alarm, "alarm"
    ends = session.link.token_ends
    left = float("inf") if ends is None else ends - session.clock.at(now)
    if ends is None or left > ENDS_SOON_SECONDS:
        return "", "plain"
    return (
        f"this token ends in {age(left)}, at {time_of_day(ends, zone)}: opsconsole tokens create makes another",
        "warn",
    )


def _offline(session: Session, now: float, zone: tzinfo, again: str) -> tuple[str, ...]:
    """The longest first: what is left out last is that nothing can be decided."""
    old, frozen, waiting = age(now - session.link.heard_at), _as_of(session, zone), _waiting(session, now)
    return (
        f" ✖ OFFLINE {old} · as of {frozen}{waiting}{again} · ^r now · runs GO ON, decisions are off",
        f" ✖ OFFLINE {old} · as of {frozen}{waiting} · decisions are off{again}",
        f" ✖ OFFLINE {old} · as of {frozen}{waiting} · decisions are off",
        f" ✖ OFFLINE {old}{waiting} · decisions are off",
        f" ✖ OFFLINE {old} · decisions off",
    )


def _silent(session: Session, now: float, zone: tzinfo) -> tuple[str, ...]:
    old, frozen, waiting = age(now - session.link.heard_at), _as_of(session, zone), _waiting(session, now)
    return (
        f" ◌ SILENT {old} · as of {frozen} · the hub says nothing: decisions are off, a kill is sent{waiting}",
        f" ◌ SILENT {old} · as of {frozen} · decisions are off{waiting}",
        f" ◌ SILENT {old} · decisions are off{waiting}",
        f" ◌ SILENT {old} · decisions off",
    )


def _refused(session: Session, zone: tzinfo) -> tuple[str, ...]:
    """The hub wants nothing of this console any more: why, what to do, and how old what is shown is."""
    link = session.link
    advice = _ADVICE.get(link.code, "it says not to try again")
    said = "" if link.reason in ("", f"HTTP {link.code}") else f" {link.reason}"
    old = f" · as of {_as_of(session, zone)}" if link.ever else ""
    brief = why_refused(session)
    return (
        f" ✖ REFUSED by the hub ({link.code}{said}): {advice}{old} · ^r tries again",
        f" ✖ REFUSED by the hub: {advice}{old} · ^r tries again",
        f" ✖ REFUSED ({link.code}): {brief}{old} · ^r tries again",
        f" ✖ REFUSED: {brief}{old}",
        f" ✖ REFUSED: {brief}",
    )


def _waiting(session: Session, now: float) -> str:
    """Commands that wait: for the link, or for an answer."""
    queued = len(session.outbox.queued())
    sent = len(session.outbox.unanswered(before=now - UNANSWERED_SECONDS))
    kills = f" · {queued} kill{'s' if queued > 1 else ''} queued" if queued else ""
    return kills + (f" · {sent} sent, not answered" if sent else "")


def _as_of(session: Session, zone: tzinfo) -> str:
    return time_of_day(session.clock.at(session.link.heard_at), zone)

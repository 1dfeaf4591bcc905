"""The lines around every view: header, banner, hints and help; they hold nothing of the views themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo

from opsconsole.console.actions import ACTIONS, EVERYWHERE, Action, ViewName, hints
from opsconsole.console.view.amounts import age, time_of_day
from opsconsole.console.view.limits import limit_line
from opsconsole.console.view.line import Line, Span, first_that_fits, fit, fit_line, two_ends, width_of, wrap_words
from opsconsole.console.view.session import LinkPhase, Session
from opsconsole.protocol.limits import Close

SILENT_SECONDS = 15.0
"""The hub says something at least every ten seconds; after this long without, the screen says so."""

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


def header(session: Session, *, now: float, width: int, demo: bool = False) -> Line:
    """The first line: whether it is live, how many wait, what it costs."""
    board, queue = session.board, session.queue
    hub_now = session.clock.at(now if session.online or not session.link.ever else session.link.heard_at)
    live = _live(session, now)
    name = " opsconsole" + (" DEMO DATA" if demo else "")
    left: Line = ((name, "title"), live)
    who: Line = ((f"{session.link.principal} ({session.link.role}) ", "dim"),) if session.link.principal else ()
    policy: Line = ((f"{session.hub.policy} ", "dim"),) if session.hub.policy else ()
    oldest = queue.oldest()
    waiting: list[Span] = []
    if queue.pending:
        waited = f" oldest {age(hub_now - oldest)}" if oldest is not None else ""
        waiting = [(f" ◆ {len(queue.pending)} waiting{waited} ", "ask")]
    if board.unconfirmed:
        waiting.insert(0, (f" ✖ {len(board.unconfirmed)} KILL UNCONFIRMED ", "alarm"))
    if session.audit_broken:
        waiting.insert(0, (" ✖ AUDIT CHANGED ", "alarm"))
    spent = max(0.0, board.dollars_per_minute)
    money: Line = ((f" ${spent:.2f}/min", "plain"),)
    runs: Line = ((f" {len(board.rows.by_key):,} runs ", "plain"),)
    limit = limit_line(session.hub.limits, hub_now)
    candidates = (
        ((*left, *who, *policy), (*limit, *waiting, *runs, *money)),
        ((*left, *who), (*limit, *waiting, *runs, *money)),
        (left, (*limit, *waiting, *runs, *money)),
        (left, (*limit, *waiting)),
        ((*left, *who), (*waiting, *runs, *money)),
        (left, (*waiting, *runs, *money)),
        (left, (*waiting, *runs)),
        (left, tuple(waiting)),
        ((live,), tuple(waiting)),
    )
    for first, last in candidates:
        if width_of(first) + width_of(last) < width:
            return two_ends(first, last, width)
    return fit_line((*waiting, live), width)


def _live(session: Session, now: float) -> Span:
    if not session.online:
        return " ✖ OFFLINE ", "alarm"
    return (" ● live ", "good") if now - session.link.heard_at < SILENT_SECONDS else (" ◌ SILENT ", "alarm")


def banner(session: Session, *, now: float, width: int, zone: tzinfo) -> Line | None:
    """The whole-width warning about the link; None when there is nothing to warn of."""
    link = session.link
    hub_now = session.clock.at(now)
    queued = len(session.outbox.queued())
    waiting = f" · {queued} kill{'s' if queued > 1 else ''} queued" if queued else ""
    if link.phase is LinkPhase.ONLINE:
        silent = now - link.heard_at
        if silent < SILENT_SECONDS:
            alarm = session.hub.alarm
            return fit_line(((f" ▲ {alarm}", "alarm"),), width) if alarm else None
        return fit_line(((f" ▲ the hub has been silent for {age(silent)}: what is shown may be old", "alarm"),), width)
    if link.phase is LinkPhase.REFUSED:
        return _refused(session, width=width, zone=zone)
    again = "" if link.retry_at is None else f" · retry in {age(max(0.0, link.retry_at - now) + 0.99)}"
    if not link.ever:
        why = f": {link.reason}" if link.reason else ""
        return fit_line(((f" … connecting{why}{again}", "alarm"),), width)
    frozen = time_of_day(hub_now - (now - link.heard_at), zone)
    old = age(now - link.heard_at)
    lines: tuple[Line, ...] = (
        ((f" ✖ OFFLINE {old} · as of {frozen}{waiting}{again} · ^r now · runs GO ON, decisions are off", "alarm"),),
        ((f" ✖ OFFLINE {old} · as of {frozen}{waiting}{again}", "alarm"),),
        ((f" ✖ OFFLINE {old} · as of {frozen}{waiting}", "alarm"),),
    )
    return fit_line(first_that_fits(lines, width), width)


def _refused(session: Session, *, width: int, zone: tzinfo) -> Line:
    """The hub wants nothing of this console any more: why, what to do, and how old what is shown is."""
    link = session.link
    advice = _ADVICE.get(link.code, "it says not to try again")
    said = "" if link.reason in ("", f"HTTP {link.code}") else f" {link.reason}"
    frozen = time_of_day(session.clock.at(link.heard_at), zone)
    old = f" · as of {frozen}" if link.ever else ""
    brief = advice.partition(":")[0]
    candidates = (
        f" ✖ REFUSED by the hub ({link.code}{said}): {advice}{old} · ^r tries again",
        f" ✖ REFUSED by the hub: {advice}{old} · ^r tries again",
        f" ✖ REFUSED ({link.code}): {brief}{old} · ^r tries again",
        f" ✖ REFUSED: {brief}{old}",
        f" ✖ REFUSED: {brief}",
    )
    lines: tuple[Line, ...] = tuple(((words, "alarm"),) for words in candidates)
    return fit_line(first_that_fits(lines, width), width)


HELP = "show_help"

TYPING: Line = ((" enter ", "key"), ("give it ", "dim"), (" esc ", "key"), ("cancel ", "dim"))
"""The hints while one line is typed."""
WRITING: Line = ((" esc ", "key"), ("see what would be sent ", "dim"))
"""The hints while a draft is written."""


def hint_line(view: ViewName, *, width: int, without: Iterable[str] = (), actions: Iterable[Action] = ACTIONS) -> Line:
    """The keys of a view, as many as there is room for, and always where to find the others.

    `without` are acts that are off just now.
    """
    off = {*without, f"show_{view}"}
    shown = [action for action in hints(view, actions) if action.id not in off]
    left = width - sum(_room(action) for action in shown if action.id == HELP)
    spans: list[Span] = []
    for action in shown:
        if action.id != HELP and _room(action) > left:
            continue
        left -= 0 if action.id == HELP else _room(action)
        spans += [(f" {action.key_text} ", "key"), (f"{action.label} ", "dim")]
    return fit_line(tuple(spans), width)


def _room(action: Action) -> int:
    return len(f" {action.key_text} {action.label} ")


_TITLES: dict[ViewName, str] = {
    "runs": "In the runs table",
    "approvals": "In the queue of held calls",
    "run": "In a run",
    "takeover": "In a takeover",
    "draft": "In a draft, before it is sent",
    "audit": "In the audit log",
    "graph": "In a graph",
    "fleet": "In the fleet",
    "alerts": "Among the alerts",
    "shift": "In the shift",
    "replay": "In a replay",
}

_NOTES = (
    "x kills at once. It does nothing while you type, nor within 0.4 s after another run came under the cursor.",
    "A decision goes to the call that has been under the cursor, unchanged, for 0.4 s, with the digest on screen.",
    "Enter never approves. A new approval never moves the focus or the cursor.",
    "While the link is down only a kill is taken: it is queued, shown as queued, and expires after two minutes.",
    "Proof: process = exit and an empty tree were seen; cooperative = the agent ended the run itself; none = unproven.",
    "Everything here has a twin on the command line: opsconsole --help.",
)


def help_lines(*, width: int, actions: Sequence[Action] = ACTIONS) -> list[Line]:
    """The help, made from the registry of actions."""
    everywhere = [action for action in actions if len(action.views) >= len(EVERYWHERE) - 1]
    lines: list[Line] = [(("Keys", "title"),), *(line for action in everywhere for line in _help_line(action, width))]
    for view, title in _TITLES.items():
        own = [action for action in actions if view in action.views and action not in everywhere]
        lines += [(), ((title, "title"),), *(line for action in own for line in _help_line(action, width))]
    lines += [(), (("Good to know", "title"),)]
    for note in _NOTES:
        pieces = wrap_words(note, width - 3)
        lines += [((" · " if index == 0 else "   ", "dim"), (piece, "plain")) for index, piece in enumerate(pieces)]
    return lines


def _help_line(action: Action, width: int) -> list[Line]:
    keys = fit(action.key_text, 8)
    label = fit(action.label, 12) if width >= 60 else ""
    indent = 11 + len(label)
    first, *rest = wrap_words(action.help, max(10, width - indent))
    head: Line = ((f" {keys} ", "key"), (label, "strong"), (f" {first}", "plain"))
    return [head, *(((" " * indent + piece, "plain"),) for piece in rest)]

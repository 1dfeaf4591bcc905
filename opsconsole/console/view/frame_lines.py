"""The lines around every view: header, hints and help; they hold nothing of the views themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from opsconsole.console.actions import ACTIONS, EVERYWHERE, Action, ViewName, hints
from opsconsole.console.view.amounts import age
from opsconsole.console.view.limits import limit_line
from opsconsole.console.view.line import Line, Span, fit, fit_line, two_ends, width_of, wrap_words
from opsconsole.console.view.link_lines import link_mark
from opsconsole.console.view.session import Session


def header(session: Session, *, now: float, width: int, demo: bool = False) -> Line:
    """The first line: whether it is live, how many wait, what it costs."""
    board, queue = session.board, session.queue
    is_old = session.link.ever and not session.is_fresh(now=now)
    hub_now = session.clock.at(session.link.heard_at if is_old else now)
    live = link_mark(session, now=now)
    name = " opsconsole" + (" DEMO DATA" if demo else "")
    left: Line = ((name, "title"), live)
    who: Line = ((f"{session.link.principal} ({session.link.role}) ", "dim"),) if session.link.principal else ()
    policy: Line = ((f"{session.hub.policy} ", "dim"),) if session.hub.policy else ()
    oldest = queue.oldest()
    waiting: list[Span] = []
    if queue.pending:
        waited = f" oldest {age(hub_now - oldest)}" if oldest is not None else ""
        passed = len(queue.passed_to(session.link.principal))
        for_me = f" →{passed} you" if passed else ""
        waiting = [(f" ◆ {len(queue.pending)} waiting{waited}{for_me} ", "ask")]
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


HELP = "show_help"

TYPING: Line = ((" enter ", "key"), ("give it ", "dim"), (" esc ", "key"), ("cancel ", "dim"))
"""The hints while one line is typed."""
WRITING: Line = ((" esc ", "key"), ("see what would be sent ", "dim"))
"""The hints while a draft is written."""


def hint_line(
    view: ViewName,
    *,
    width: int,
    without: Iterable[str] = (),
    labels: Mapping[str, str] = MappingProxyType({}),
    actions: Iterable[Action] = ACTIONS,
) -> Line:
    """The keys of a view, as many as there is room for, and always where to find the others.

    `without` are acts that are off just now; `labels` name those that mean something else just now.
    """
    off = {*without, f"show_{view}"}
    shown = [
        replace(action, label=labels[action.id]) if action.id in labels else action
        for action in hints(view, actions)
        if action.id not in off
    ]
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
    "Nothing is approved before its arguments were on screen to their end: J goes on, enter gives it the whole view.",
    "Enter never approves. A new approval never moves the focus or the cursor.",
    "While the link is down only a kill is taken: it is queued, shown as queued, and expires after two minutes.",
    "While the hub is SILENT nothing is decided, as what is shown may be old; a kill is sent.",
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

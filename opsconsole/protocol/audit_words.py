"""What an entry of the audit says, in words on one safe line; it reads no record and lays out no columns.

The kinds and their fields are the hub's; an entry of another kind, or without its fields, is told as compact JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from opsconsole.domain.text import CELL_CHARS_MAX, safe_line

VALUE_CHARS_MAX = 160
"""Characters of one value; the entry holds it whole."""

WORDS: dict[str, tuple[str, ...]] = {
    "approval.requested": ("held {tool}", " {args}", ", risk {risk}", ", {rule}", ": {why}"),
    "approval.decided": (
        "{answer} {tool}",
        " {args}",
        ", as {edited_args}",
        ", with {text}",
        ", with {calls}",
        ", yes from {votes}",
        " after {seconds_to_decide} s",
        ": {note}",
    ),
    "approval.voted": (
        "{answer} {tool}",
        " {args}",
        ", as {edited_args}",
        ", yes from {votes}",
        " of {approvers} needed",
        ": {note}",
    ),
    "decoy.shown": ("sealed until it is over: {commitment}",),
    "decoy.answered": ("{answer} made-up {tool}", " {args}", ", caught {caught}", " after {seconds_to_decide} s"),
    "decoy.withdrawn": ("made-up {tool}", " {args}", " withdrawn: {why}"),
    "approval.reminded": ("{tool} still waits", " for {groups}", ", {left_seconds} s left"),
    "approval.escalated": ("{tool} waits", ", now also for {to}", ", {left_seconds} s left"),
    "grant.given": ("{tool} granted to {agent}", " in {run}", ", as {pattern}", ", {uses} times", ": {note}"),
    "grant.used": ("{tool}", " {args}", " by the grant of {by}", ", use {used}", " of {uses}"),
    "grant.revoked": ("the grant of {tool} to {agent} ended", ", {used} of {uses} used", ": {why}"),
    "alert.raised": ("{text}",),
    "breaker.tripped": ("breaker {breaker}: {reached}", ", {runs} paused", ", {killed} killed"),
    "breaker.resumed": ("{why}", ", {runs} go on"),
    "budget.changed": ("{caps}", " for {account}", ", until now {before}", ", {runs} go on", ": {note}"),
    "alert.answered": ("{verdict}: {text}", ": {note}"),
    "policy.changed": ("policy {name}", ", {hash}", ", until now {before}"),
    "policy.rejected": ("the policy file cannot be used", ": {problems}"),
    "approval.expired": ("{tool} was not allowed", ": {why}"),
    "approval.cancelled": ("{tool} was not allowed", ": {why}"),
    "approval.handed_back": ("handed back by {by}", ": {why}"),
    "call.verdict": ("{outcome} {tool}", " {args}", ", {rule}", ": {why}"),
    "call.outcome": ("{tool} {status}", ", {duration_ms} ms", ": {result}"),
    "call.changed": ("the arguments of {tool} changed after it was proposed",),
    "call.unpermitted": ("{tool} ran without permission",),
    "override.offline": ("{tool}", " {args}", " ran unseen, as {rule} lets it"),
    "command.refused": ("{do} refused", ", {code}", ": {why}", "{more} more refusals in {seconds} s", ": {of}"),
    "kill": ("kill {mode}", " of {runs}", ", not known: {unknown}", ": {reason}"),
    "kill.child": ("killed with its parent {parent}",),
    "kill.outcome": ("{status}", ", proof {proof}", ", {total_ms} ms"),
    "limit.tripped": ("paused at a limit: {reached}",),
    "takeover.expired": ("the takeover by {holder} ran out",),
    "run.started": (
        "{agent} started",
        ": {name}",
        ", below {parent}",
        ", on {host}",
        ", process {pid}",
        ", by {owner}",
    ),
    "run.claimed": ("{agent} belongs to {owner}", ", until now to {before}"),
    "run.ended": (
        "{agent} {state}",
        ": {reason}",
        ", exit {exit_code}",
        ", {exit_signal}",
        ", {turns} turns",
        ", ${cost_usd}",
        ", proof {proof}",
    ),
    "run.given_up": ("given up: {reason}",),
    "run.zombie": ("{event} after its end as {state}",),
    "supervisor.refused": ("refused as supervisor of {agent}", ", process {pid}", " on {host}"),
    "login": ("login over {how}",),
    "login.repeated": ("{more} more logins in {seconds} s", ": {of}"),
    "login.refused": ("refused", ": {code} at {path}", " from {from}", " {more} more times in {seconds} s", ": {of}"),
    "token.created": ("token {token_id}", " for {name}", ", {for}", ", in {file}"),
    "token.not_created": ("token {token_id}", " for {name}", ", {for}", " was not made"),
    "token.revoked": (
        "token {token_id}",
        " of {name}",
        ", {connections_closed} connections closed",
        ", {runs_left} live runs left",
    ),
    "run_token.created": ("run token {token_id}", " for {agent}", " for the run {of_run}", ", made beside a gateway"),
    "run_token.revoked": ("run token {token_id} revoked",),
    "backup.made": ("copied to {target}",),
    "hub.started": ("hub {version} at {url}", ", process {pid}", ", {entries_replayed} entries replayed"),
    "hub.stopped": ("hub stopped",),
    "storage.failed": ("storage failed: {problem}",),
    "storage.recovered": ("storage works again, after {problem}",),
    "events.retention": ("timelines of more than {days} days removed", ": {files}"),
    "audit.resealed": ("new checkpoints, by {actor}", ": {reason}"),
    "audit.gap": ("{dropped} entries of the hub were dropped while storage took none",),
    "events.gap": ("{dropped} lines of the hub itself are missing on timelines: storage took none",),
    "record.unreadable": ("the hub's record of {of} {id} could not be read",),
    "audit.retention": ("{removed} entries older than {days} days removed", ", by {actor}"),
} | dict.fromkeys(
    (f"run.{do}" for do in ("pause", "resume", "freeze", "thaw", "inject", "takeover", "release", "annotate")),
    ("{do}", " with limits {caps}", " {text}", ": {note}"),
)
"""kind -> parts of a line; a part without its value is left out, the first one is what the line is about."""

_DONE = {
    "approve": "approved",
    "edit": "edited",
    "reject": "rejected",
    "respond": "answered",
    "allow": "allowed",
    "deny": "denied",
}
_HEAD = frozenset({"v", "seq", "key", "at", "kind", "who", "run"})
"""What every list shows beside the words."""


def audit_words(entry: Mapping[str, Any], *, limit: int = CELL_CHARS_MAX) -> str:
    """One entry, as `GET /v1/audit` gives it, on one line that drives no terminal, cut at `limit` characters."""
    parts = [_filled(part, entry) for part in WORDS.get(kind_of(entry), ("",))]
    if parts[0]:
        return safe_line("".join(parts), limit=limit)
    rest = {name: value for name, value in entry.items() if name not in _HEAD}
    return safe_line(_json(rest), limit=limit) if rest else ""


def kind_of(entry: Mapping[str, Any]) -> str:
    """What kind of entry it is; those that storage itself makes are known by their key."""
    return str(entry.get("kind") or entry.get("key") or "")


def _filled(part: str, entry: Mapping[str, Any]) -> str:
    names = [name for _, name, _, _ in Formatter().parse(part) if name]
    if any(entry.get(name) in (None, "", [], {}) for name in names):
        return ""
    return part.format_map({name: _shown(name, entry[name]) for name in names})


def _shown(name: str, value: Any) -> str:
    text = _SHOWN[name](value) if name in _SHOWN else _text(value)
    return safe_line(text, limit=VALUE_CHARS_MAX)


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return value if isinstance(value, str) else _json(value)


def _rounded(digits: int) -> Callable[[Any], str]:
    def rounded(value: Any) -> str:
        return f"{value:,.{digits}f}" if isinstance(value, float) else _text(value)

    return rounded


def _runs(value: Any) -> str:
    number = len(value) if isinstance(value, list) else 0
    return "1 run" if number == 1 else f"{number} runs"


def _given(value: Any) -> str:
    limits = value.items() if isinstance(value, dict) else ()
    return ", ".join(f"{name} {_text(limit)}" for name, limit in limits if limit is not None)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "(nested too deeply to show)"


_SHOWN: dict[str, Callable[[Any], str]] = {
    "answer": lambda value: _DONE.get(_text(value), _text(value)),
    "outcome": lambda value: _DONE.get(_text(value), _text(value)),
    "runs": _runs,
    "killed": _runs,
    "caps": _given,
    "before": lambda value: _given(value) if isinstance(value, dict) else _text(value),
    "total_ms": _rounded(0),
    "duration_ms": _rounded(0),
    "seconds_to_decide": _rounded(1),
    "left_seconds": _rounded(0),
    "cost_usd": _rounded(4),
}
"""How a value is shown that is not shown as it stands."""

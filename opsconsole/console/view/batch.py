"""Held calls that are decided together: which they are, each as it was when it was chosen; it decides none.

A choice is bound to one call and its digest: what changed meanwhile is no longer among the chosen.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from opsconsole.console.view.amounts import age
from opsconsole.console.view.effect import Effect, effect_in_short
from opsconsole.console.view.fence import LINES_MAX, fenced
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.queue import Queue
from opsconsole.domain.approval import ApprovalStatus
from opsconsole.domain.ids import short_id
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import RISK_RANK, Risk

TOGETHER_MAX = 100
"""Calls that one decision may be about: more cannot be looked at."""
UNTYPED_MAX = 3
"""More than these are decided only after their number was typed."""
_SHOWN_OF_EACH_MAX = 6
_CHARS_OF_ONE_MAX = 400
"""Of the name and of the value of an argument."""
CHARS_TOGETHER_MAX = 100_000
"""Of the arguments of all calls that are approved together: more is not read, and costs a noticeable time to wrap."""
_HEAD_CHARS_MAX = 2_000
"""Of the line above a call's arguments, and between them."""
_ABSENT = object()


class Chosen:
    """The calls that are marked."""

    def __init__(self) -> None:
        self._bound: dict[str, Hashable] = {}

    def __len__(self) -> int:
        return len(self._bound)

    def __contains__(self, key: object) -> bool:
        return key in self._bound

    def turn(self, held: HeldCall) -> bool:
        """Mark a call, or take its mark away; whether it is marked now."""
        if self._bound.pop(held.key, None) is not None:
            return False
        if len(self._bound) < TOGETHER_MAX:
            self._bound[held.key] = identity(held)
        return held.key in self._bound

    def take_alike(self, held: HeldCall, queue: Queue) -> int:
        """Mark every pending call like this one: same agent, tool, kind and rule; how many were marked anew."""
        before = len(self._bound)
        for key in queue.order():
            one = queue.get(key)
            if one is not None and is_pending(one) and like(one) == like(held) and len(self._bound) < TOGETHER_MAX:
                self._bound.setdefault(key, identity(one))
        return len(self._bound) - before

    def clear(self) -> bool:
        """Mark nothing; whether anything was."""
        had = bool(self._bound)
        self._bound.clear()
        return had

    def drop_changed(self, queue: Queue) -> list[str]:
        """Take away the marks of calls that are not what they were; their keys."""
        gone = [key for key, bound in self._bound.items() if identity(queue.get(key)) != bound]
        for key in gone:
            del self._bound[key]
        return gone

    def calls(self, queue: Queue) -> list[HeldCall]:
        """The marked calls as they are, in the queue's order."""
        return [held for key in queue.order() if key in self._bound and (held := queue.get(key)) is not None]


def calls_of(count: int) -> str:
    """`1 call`, `2 calls`."""
    return f"{count} call{'' if count == 1 else 's'}"


def identity(held: HeldCall | None) -> Hashable:
    """What a decision is bound to: any change of it voids a key that was meant for what stood there before."""
    return None if held is None else (held.key, held.row.digest, held.row.status)


def is_pending(held: HeldCall) -> bool:
    """Whether it waits for a decision."""
    return held.row.status is ApprovalStatus.PENDING


def like(held: HeldCall) -> Hashable:
    """What alike calls have in common."""
    row = held.row
    return row.agent, row.tool, row.kind, row.rule


def wants_number(calls: Iterable[HeldCall]) -> bool:
    """Whether their number has to be typed before they are decided: they are many, or one is of high risk."""
    found = list(calls)
    return len(found) > UNTYPED_MAX or any(RISK_RANK[held.row.risk] >= RISK_RANK[Risk.HIGH] for held in found)


def is_shown_whole(held: HeldCall) -> bool:
    """Whether `batch_lines` shows every argument to its end: what it leaves out is not approved together."""
    args, shown = held.args, held.row.args
    return len(shown) == len(args) <= _SHOWN_OF_EACH_MAX and all(
        len(str(one)) <= _CHARS_OF_ONE_MAX for given in (args, shown) for pair in given.items() for one in pair
    )


def not_together(calls: list[HeldCall]) -> str:
    """Why these are not approved together, by what `batch_lines` shows of them; empty where they may be."""
    cut_short = sum(not is_shown_whole(held) for held in calls)
    if cut_short:
        return f"{calls_of(cut_short)} marked are too long to be shown together: approve them alone"
    if sum(len(_short(one)) for held in calls for pair in held.args.items() for one in pair) > CHARS_TOGETHER_MAX:
        return "the marked calls are too long to be shown together: mark fewer"
    return ""


def batch_lines(
    calls: list[HeldCall], *, now: float, width: int, effects: Mapping[str, Effect] | None = None
) -> list[Line]:
    """What would be decided: what is the same in all of them once, and of each what is its own; `effects` by key."""
    tools = sorted({safe_line(held.row.tool) for held in calls})
    agents = sorted({safe_line(held.row.agent) for held in calls})
    risks = sorted({held.row.risk for held in calls}, key=lambda risk: -RISK_RANK[risk])
    risky = any(RISK_RANK[risk] >= RISK_RANK[Risk.HIGH] for risk in risks)
    lines: list[Line] = [
        (
            (f"{calls_of(len(calls)).upper()} TOGETHER", "title"),
            (f"  {', '.join(tools)}  by {', '.join(agents)}", "plain"),
        ),
        (("RISK   ", "dim"), (", ".join(risk.value.upper() for risk in risks), "bad" if risky else "plain")),
        (("BOUND  ", "dim"), ("each to its own digest; one that changes is left out", "dim")),
    ]
    if why_not := not_together(calls):
        lines.append((("CUT    ", "dim"), (why_not, "warn")))
    for held in calls:
        if effects and (effect := effects.get(held.key)) is not None:
            lines += effect_in_short(effect, of=short_id(held.row.approval), width=width)
    same = _same(calls)
    if same:
        words = "\n".join(f"{safe_line(name)} = {_short(value)}" for name, value in same.items())
        lines += _whole("THE SAME IN ALL", words, width)
    lines += _whole("IN EACH ITS OWN", "\n".join(_own(held, same, now) for held in calls), width)
    return [fit_line(line, width) for line in lines]


def _whole(title: str, words: str, width: int) -> list[Line]:
    """A fence that leaves out none of what may be approved."""
    is_bounded = len(words) <= CHARS_TOGETHER_MAX + TOGETHER_MAX * _HEAD_CHARS_MAX
    return fenced(title, words, width=width, lines_max=len(words) + 1 if is_bounded else LINES_MAX)


def _same(calls: list[HeldCall]) -> dict[str, Any]:
    """What is exactly the same in all, by what the hub sent: what only looks alike stands with each call."""
    first = calls[0].args if len(calls) > 1 else {}
    return {
        name: value for name, value in first.items() if all(_is(held.args.get(name, _ABSENT), value) for held in calls)
    }


def _is(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON: `1` is neither `true` nor `1.0`, which `==` says."""
    if type(one) is not type(other) or one != other:
        return False
    return not isinstance(one, dict | list) or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _own(held: HeldCall, same: dict[str, Any], now: float) -> str:
    row = held.row
    args = [(name, value) for name, value in held.args.items() if name not in same]
    shown = "  ".join(f"{safe_line(name)}={_short(value)}" for name, value in args[:_SHOWN_OF_EACH_MAX])
    more = f"  and {len(args) - _SHOWN_OF_EACH_MAX} more arguments" if len(args) > _SHOWN_OF_EACH_MAX else ""
    who = f"{safe_line(row.agent)} {short_id(row.run)}"
    head = f"{short_id(row.approval)}  {safe_line(row.tool)}  {who}  {age(now - row.requested_at)}"
    return f"{head}\n    {shown or '(nothing)'}{more}"


def _short(value: Any) -> str:
    return safe_line(str(value), limit=_CHARS_OF_ONE_MAX)

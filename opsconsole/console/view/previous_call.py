"""The call of the same tool before the one that is held, and what is different this time; it fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from opsconsole.console.view.amounts import time_of_day
from opsconsole.console.view.fence import fenced_spans
from opsconsole.console.view.line import Line, Span
from opsconsole.console.view.queue import Queue
from opsconsole.console.view.text_diff import diff_lines
from opsconsole.console.view.timeline import Timeline
from opsconsole.console.view.timeline_lines import pretty
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import CallKind
from opsconsole.protocol.rows import ApprovalRow

TEXT_CHARS_COMPARED = 16_000
"""Of one argument: timelines keep no more of a text."""
ARGUMENTS_MAX = 60
LINES_MAX = 120
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """An earlier call of the tool; every text is safe to show."""

    args: dict[str, Any]
    at: float
    """Hub clock: when it was asked for."""
    fate: str
    same_run: bool


def previous_call(row: ApprovalRow, queue: Queue, timeline: Timeline | None) -> Previous | None:
    """The latest earlier call of the same tool: of the run, else of another run of the agent that the queue shows."""
    if row.kind is not CallKind.TOOL_CALL:
        return None
    found = [*_in_timeline(row, timeline), *_in_queue(row, queue)]
    return max(found, key=lambda one: (one.same_run, one.at), default=None)


def _in_timeline(row: ApprovalRow, timeline: Timeline | None) -> Iterator[Previous]:
    if timeline is None or timeline.run != row.run:
        return
    own = timeline.steps.get(f"tool:{row.call}")
    for step in timeline.steps.values():
        fields = step.fields
        earlier = step.place < own.place if own is not None else step.at < row.requested_at
        if step.key.startswith("tool:") and step is not own and earlier and fields.get("name") == row.tool:
            args = fields.get("args")
            if isinstance(args, dict) and fields.get("kind") in (None, "tool_call"):
                fate = safe_line(str(fields.get("status") or ""))
                yield Previous(args=args, at=step.at, fate=fate, same_run=True)


def _in_queue(row: ApprovalRow, queue: Queue) -> Iterator[Previous]:
    for held in queue.rows.by_key.values():
        other = held.row
        if other.tool != row.tool or other.agent != row.agent or other.kind is not CallKind.TOOL_CALL:
            continue
        if other.approval != row.approval and other.requested_at < row.requested_at:
            args = other.args if other.edited_args is None else other.edited_args
            fate = f"{other.status.value}{', edited' if other.edited_args is not None else ''}"
            yield Previous(args=args, at=other.requested_at, fate=fate, same_run=other.run == row.run)


def compared(row: ApprovalRow, before: Previous, *, width: int, zone: tzinfo) -> list[Line]:
    """What is different from the earlier call, in a fence, argument by argument."""
    whose = "ITS PREVIOUS CALL" if before.same_run else "THE PREVIOUS CALL BY THIS AGENT, in another run,"
    fate = f", {before.fate}" if before.fate else ""
    title = f"AGAINST {whose} of this tool: {time_of_day(before.at, zone)}{fate}"
    return fenced_spans(title, _differences(before.args, row.args), width=width, lines_max=LINES_MAX)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[Span]:
    names = [*new, *(name for name in old if name not in new)]
    same = [name for name in names if name in old and name in new and old[name] == new[name]]
    changed = [name for name in names if name not in same]
    spans: list[Span] = []
    if not changed:
        return [("the same arguments, exactly" if names else "no arguments, as before", "warn")]
    for name in changed[:ARGUMENTS_MAX]:
        spans += _argument(safe_line(name), old.get(name, _ABSENT), new.get(name, _ABSENT))
    if len(changed) > ARGUMENTS_MAX:
        spans.append((f"… {len(changed) - ARGUMENTS_MAX} more arguments differ\n", "warn"))
    if same:
        spans.append((f"unchanged: {safe_line(', '.join(same))}", "dim"))
    elif spans:
        spans[-1] = (spans[-1][0].removesuffix("\n"), spans[-1][1])
    return spans


def _argument(name: str, old: Any, new: Any) -> list[Span]:
    if old is _ABSENT:
        return [(f"{name}: ", "strong"), ("not given before\n", "add")]
    if new is _ABSENT:
        return [(f"{name}: ", "strong"), ("no longer given\n", "bad")]
    before, after = _text(old), _text(new)
    cut = len(before) > TEXT_CHARS_COMPARED or len(after) > TEXT_CHARS_COMPARED
    lines = diff_lines(before[:TEXT_CHARS_COMPARED], after[:TEXT_CHARS_COMPARED])
    spans: list[Span] = [(f"{name}:\n", "strong")]
    for line in lines:
        spans += [*line, ("\n", "plain")]
    if cut:
        spans.append((f"compared up to {TEXT_CHARS_COMPARED:,} characters\n", "warn"))
    elif not lines:
        spans.append((f"it was {_kind(old)}, it is {_kind(new)}\n", "warn"))
    return spans


def _text(value: Any) -> str:
    return value if isinstance(value, str) else pretty(value)


def _kind(value: Any) -> str:
    return "a text" if isinstance(value, str) else "no text"

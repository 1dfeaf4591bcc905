"""What a killed run leaves in the world, by its timeline: calls done, in doubt, or never begun; it asks no tool.

A call that had begun and was not said to have ended may have had its effect, all of it or half: that is unknown. So is
one that failed once the kill was sent: what it failed by may be the kill.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from opsconsole.console.view.line import Line, Tone, cut
from opsconsole.console.view.timeline import Step, Timeline

NAMED_MAX = 6
"""Calls of one kind that are named; the others are counted."""
TITLE_CELLS_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEffects:
    """Calls of tools, newest first; every text is safe to show."""

    done: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    never_started: tuple[str, ...] = ()
    is_whole: bool = True
    """Whether the timeline was known from its beginning."""
    unread: int = 0
    """Runs that were stopped as well and whose calls nobody has looked at."""


def open_effects(timeline: Timeline, *, sent_at: float) -> OpenEffects:
    """What is known of the calls of a run whose kill was sent at `sent_at`, hub clock."""
    done: list[str] = []
    unknown: list[str] = []
    never: list[str] = []
    for key in reversed(timeline.order()):
        step = timeline.steps[key]
        if not key.startswith("tool:") or step.what == "model":
            continue
        status = step.fields.get("status")
        if status == "completed" or (status == "failed" and step.until < sent_at):
            done.append(step.title)
        elif step.ran or status == "failed":
            unknown.append(step.title)
        elif status != "denied" or step.until >= sent_at:
            never.append(step.title)
    return OpenEffects(
        done=tuple(done),
        unknown=tuple(unknown),
        never_started=tuple(never),
        is_whole=timeline.complete_back or _begins(timeline),
    )


def of_run(found: OpenEffects, name: str) -> OpenEffects:
    """The same, each call with the name of its run."""
    named = [
        tuple(f"{name}: {title}" for title in titles) for titles in (found.done, found.unknown, found.never_started)
    ]
    return OpenEffects(done=named[0], unknown=named[1], never_started=named[2], is_whole=found.is_whole)


def together(found: Iterable[OpenEffects], unread: int = 0) -> OpenEffects:
    """What several runs left, in their order; `unread` more were not looked at."""
    parts = list(found)
    return OpenEffects(
        done=tuple(title for part in parts for title in part.done),
        unknown=tuple(title for part in parts for title in part.unknown),
        never_started=tuple(title for part in parts for title in part.never_started),
        is_whole=all(part.is_whole for part in parts),
        unread=unread + sum(part.unread for part in parts),
    )


def _begins(timeline: Timeline) -> bool:
    """Whether the first step that is here is the run's own first word."""
    order = timeline.order()
    return bool(order) and isinstance(first := timeline.steps[order[0]], Step) and first.what == "run"


def effects_lines(found: OpenEffects) -> list[Line]:
    """In doubt first, then what never began, then what was done."""
    rows: tuple[tuple[str, tuple[str, ...], Tone], ...] = (
        ("UNKNOWN, begun and not ended", found.unknown, "alarm"),
        ("never started", found.never_started, "plain"),
        ("done before", found.done, "dim"),
    )
    lines: list[Line] = [(("  effects: ", "strong"), *_counts(rows))]
    for words, calls, tone in rows:
        if words == "done before":
            calls = calls[:1]
            words = "the last one done"
        lines += [((f"    {words}: ", tone), (cut(title, TITLE_CELLS_MAX), "quote")) for title in calls[:NAMED_MAX]]
        if len(calls) > NAMED_MAX:
            lines.append(((f"    … and {len(calls) - NAMED_MAX:,} more", tone),))
    if found.unread:
        runs = f"{found.unread:,} run{'s' if found.unread > 1 else ''}"
        lines.insert(1, ((f"    {runs} not looked at (yet): what their calls left is not known", "warn"),))
    if not found.is_whole:
        lines.append((("    only the newest part of the timeline was here: there may be more", "warn"),))
    return lines


def _counts(rows: Iterable[tuple[str, tuple[str, ...], Tone]]) -> Line:
    short = {"UNKNOWN, begun and not ended": "unknown"}
    return tuple((f"{len(calls)} {short.get(words, words)}  ", tone if calls else "dim") for words, calls, tone in rows)

"""One timeline event on one line; unknown types are shown as they are; it orders and stores nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opsconsole.cli import output

Event = dict[str, Any]


def timeline_lines(stored: Iterable[Event]) -> list[str]:
    """A timeline; a call keeps the name under which it was proposed."""
    names: dict[str, Any] = {}
    lines = []
    for one in stored:
        event = _event(one)
        if event.get("type") == "tool":
            call = str(event.get("id"))
            names[call] = event.get("name") or names.get(call)
            event = {**event, "name": names[call]}
        lines.append(timeline_line({**one, "event": event}))
    return lines


def timeline_line(stored: Event) -> str:
    """`{at, event}` as the hub gives it, as time, type and what it says."""
    event = _event(stored)
    kind = str(event.get("type", "?"))
    words = _WORDS.get(kind, _other)(event)
    return f"{output.clock(stored.get('at') or event.get('ts'))}  {output.cell(kind).ljust(8)} {words}".rstrip()


def _event(stored: Event) -> Event:
    """What was said, in the shape of an event: a timeline keeps also what is none."""
    event = stored.get("event")
    return event if isinstance(event, dict) else {"said": event}


def _run(event: Event) -> str:
    name = f" {output.cell(event.get('name'), 200)}" if event.get("name") else ""
    return f"{output.cell(event.get('agent'))}{name}"


def _state(event: Event) -> str:
    words = [output.tone(output.cell(event.get("state")))]
    words += [output.cell(event.get(field), 200) for field in ("reason", "stop_reason", "error") if event.get(field)]
    ended = event.get("exit")
    if isinstance(ended, dict):
        words.append(f"exit {output.cell(ended.get('signal') or ended.get('code'))}")
    return "  ".join(words)


def _message(event: Event) -> str:
    return f"{output.cell(event.get('role'))}: {output.cell(event.get('text') or event.get('append'), 200)}"


def _tool(event: Event) -> str:
    words = [output.cell(event.get("status")).ljust(9), output.cell(event.get("name") or event.get("id"))]
    words += [output.cell(event.get(field), 160) for field in ("args", "result", "error") if event.get(field)]
    if event.get("duration_ms") is not None:
        words.append(f"{output.number(event['duration_ms'])} ms")
    return " ".join(words)


def _usage(event: Event) -> str:
    turns, given, taken = (output.number(event.get(name, 0)) for name in ("turns", "input_tokens", "output_tokens"))
    return f"{output.cell(event.get('model'))} {turns} turns, {given} in, {taken} out"


def _note(event: Event) -> str:
    return f"{output.cell(event.get('level', 'info'))}: {output.cell(event.get('text'), 200)}"


def _link(event: Event) -> str:
    return f"{output.cell(event.get('point'))} {output.cell(event.get('status'))} {output.cell(event.get('why'), 160)}"


def _command(event: Event) -> str:
    words = f"{output.cell(event.get('do'))} {output.cell(event.get('status'))} by {output.cell(event.get('by'))}"
    return f"{words}: {output.cell(event.get('text'), 160)}" if event.get("text") else words


def _other(event: Event) -> str:
    rest = {name: value for name, value in event.items() if name not in ("type", "seq", "ts")}
    return output.cell(rest, 200)


_WORDS: dict[str, Callable[[Event], str]] = {
    "run": _run,
    "state": _state,
    "message": _message,
    "tool": _tool,
    "usage": _usage,
    "note": _note,
    "link": _link,
    "command": _command,
}

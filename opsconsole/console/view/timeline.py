"""The timeline of one run: events folded into steps (a call from proposal to end is one step), in the hub's order.

Events are patches by id. The position is the hub's; the author's time is shown, never used for order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opsconsole.console.view.ingest import in_pane
from opsconsole.console.view.line import Tone
from opsconsole.console.view.rows import Applied
from opsconsole.console.view.turns import READINGS_MAX, Place, Reading, Turn, account, reading
from opsconsole.domain.text import safe_line
from opsconsole.protocol.frames import Delta, Snap

RAW_MAX = 2_000
"""Events kept as they came: the newest of those that are here."""
RAW_SPARE = 200
"""So many more are let in before the oldest go: sorting out is not for every event."""
STEPS_MAX = 5_000
"""Steps kept of one run; older ones are paged from the hub again."""
TEXT_CHARS_MAX = 16_384
"""Characters kept of one text of a step: with STEPS_MAX it bounds what one run may take here."""
TITLE_CHARS_MAX = 300

SPEAKING_LOOKED_AT = 20
"""Newest steps among which the message that grows is looked for."""
_ENDED = frozenset({"completed", "failed", "denied", "killed"})
_TURN = "turn_"
"""Begins the id of a gateway's turn: what is told of its end alone may say no more of what it was."""


@dataclass(slots=True, kw_only=True)
class Step:
    """One line of the timeline and all that was said under its id; every text is safe to show."""

    key: str
    place: Place
    """(hub position, sequence number within the batch) of its first event."""
    at: float
    last: Place = (-1, -1)
    """Of its latest event."""
    until: float = 0.0
    """When its latest event came, hub clock."""
    ran: bool = False
    """Whether it was ever said to be running: a call that was has begun, whatever became of it."""
    gate_seconds: float = 0.0
    """How long it has been asked for without running."""
    text: str = ""
    whole: bool = False
    """Whether the text is known from its beginning."""
    grows: bool = False
    """Whether the latest word on it was a further piece of its text."""
    aside: str = ""
    """What else is known of it, in short: of a turn, who served it and what it used."""
    what: str = ""
    title: str = ""
    tone: Tone = "plain"
    outcome: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One event as it came, every text safe to show."""

    place: Place
    at: float
    event: dict[str, Any]

    @property
    def key(self) -> str:
        """How a list addresses it."""
        return f"{self.place[0]}.{self.place[1]}"


class Timeline:
    """The steps of one run, oldest first."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.epoch: str | None = None
        self.rev: int | None = None
        self.steps: dict[str, Step] = {}
        self.skipped = 0
        """Events left out because this console was far behind; the hub has them."""
        self.first_position: int | None = None
        """The oldest position held; older ones are paged."""
        self.complete_back = False
        """Whether the very first event is here."""
        self.changes = 0
        self.raw: dict[Place, Raw] = {}
        self._readings: dict[Place, Reading] = {}
        self._to_account = False
        """Whether turns or readings have come that are not laid to one another yet."""
        self._asides: dict[str, str] = {}
        self._drawn: set[str] = set()
        """Steps that no event is, but readings show."""
        self._open_turns: set[str] = set()
        self._order: list[str] | None = None
        self._staged: list[dict[str, Any]] | None = None
        self._parts = 0

    def snap(self, frame: Snap) -> Applied:
        """Take one part of the newest events; they replace what is held at the last one."""
        if frame.part == 0:
            self._staged, self._parts = [], 0
        if self._staged is None or frame.part != self._parts:
            self._staged = None
            return Applied.GAP
        self._parts += 1
        self._staged.extend(frame.rows)
        if frame.end:
            self.steps.clear()
            self.raw.clear()
            self._readings.clear()
            self._open_turns.clear()
            self.first_position, self.complete_back, self.skipped = None, False, 0
            self.add(self._staged)
            self.epoch, self.rev, self._staged = frame.epoch, frame.rev, None
        return Applied.APPLIED

    def delta(self, frame: Delta) -> Applied:
        """Take newer events."""
        if self._staged is not None:
            return Applied.IGNORED
        if self.rev is None or frame.from_rev != self.rev:
            self.forget_position()
            return Applied.GAP
        self.skipped += frame.skipped
        self.add(frame.rows)
        self.rev = frame.rev
        return Applied.APPLIED

    def forget_position(self) -> None:
        """The next snapshot starts anew."""
        self.epoch, self.rev, self._staged = None, None, None

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Fold event rows in, from either end; a row that is already here changes nothing."""
        self.changes += 1
        self._order = None
        for row in self._older_end_last(rows):
            event, position, at = row["event"], row["position"], float(row["at"])
            self._fold(in_pane(event, limit=TEXT_CHARS_MAX), position, at)
            if self.first_position is None or position < self.first_position:
                self.first_position = position
        if len(self.steps) > STEPS_MAX:
            for key in self.order()[: len(self.steps) - STEPS_MAX]:
                del self.steps[key]
                self._open_turns.discard(key)
            self._order, self.complete_back = None, False
        if len(self.raw) > RAW_MAX + RAW_SPARE:
            for place in sorted(self.raw)[: len(self.raw) - RAW_MAX]:
                del self.raw[place]
        if self._to_account:
            self._account()

    def raw_events(self) -> list[Raw]:
        """Events as they came, oldest first."""
        return [self.raw[place] for place in sorted(self.raw)]

    def readings(self) -> list[Reading]:
        """What was told of the tokens used, in order."""
        return [self._readings[place] for place in sorted(self._readings)]

    def order(self) -> list[str]:
        """Keys of the steps, oldest first."""
        if self._order is None:
            self._order = [step.key for step in sorted(self.steps.values(), key=lambda step: step.place)]
        return self._order

    def speaking(self) -> str | None:
        """The key of the message that the model is saying now, if it is."""
        for key in reversed(self.order()[-SPEAKING_LOOKED_AT:] if self._open_turns else ()):
            if key.startswith("message:"):
                return key if self.steps[key].grows else None
        return None

    def _older_end_last(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Readable rows: newer ones forwards, then those older than all that is held, backwards."""
        known = [row for row in rows if _readable(row)]
        first = self.first_position
        if first is None:
            return known
        older = [row for row in known if row["position"] < first]
        return [row for row in known if row["position"] >= first] + older[::-1]

    def _fold(self, event: dict[str, Any], position: int, at: float) -> None:
        kind = str(event.get("type", "?"))
        seq = event.get("seq")
        number = seq if isinstance(seq, int) else 0
        place = (position, number)
        self.raw[place] = Raw(place=place, at=at, event=event)
        if kind == "usage":
            self._readings[place] = reading(event, place, at)
            self._to_account = True
            return
        key = step_key(event, place)
        step = self.steps.get(key)
        if step is None:
            step = self.steps[key] = Step(key=key, place=place, at=at)
        if not _patch(step, event, place):
            return
        step.until = max(step.until, at)
        step.gate_seconds = step.gate_seconds if step.ran else max(0.0, step.until - step.at)
        step.ran = step.ran or event.get("status") == "running"
        if place < step.place:
            step.place, step.at = place, at
        step.version += 1
        if kind == "tool" and step.fields.get("kind") == "model_call":
            self._turn(step)
        step.what, step.title, step.tone, step.outcome = _DESCRIBE.get(kind, _unknown)(step.fields)

    def _turn(self, step: Step) -> None:
        """A turn has begun, or is over."""
        over = step.fields.get("status") in _ENDED
        (self._open_turns.discard if over else self._open_turns.add)(step.key)
        self._to_account = self._to_account or over

    def _account(self) -> None:
        """Lay the readings to their turns, and draw where another model began to answer."""
        self._to_account = False
        places = sorted(self._readings)
        for place in places[:-READINGS_MAX]:
            del self._readings[place]
        turns = (
            Turn(key=step.key, model=_line(step.fields.get("name")), began=step.place, ended=step.last)
            for step in self.steps.values()
            if step.fields.get("kind") == "model_call" and step.fields.get("status") in _ENDED
        )
        found = account([self._readings[place] for place in places[-READINGS_MAX:]], turns)
        for key in self._asides.keys() | found.asides.keys():
            step, aside = self.steps.get(key), found.asides.get(key, "")
            if step is not None and step.aside != aside:
                step.aside, step.version = aside, step.version + 1
        for key in self._drawn:
            self.steps.pop(key, None)
        for one in found.changes:
            key = f"served@{one.place[0]}.{one.place[1]}"
            self.steps[key] = Step(
                key=key, place=one.place, last=one.place, at=one.at, what="model", title=one.text, tone="warn"
            )
        self._asides = dict(found.asides)
        self._drawn = {f"served@{one.place[0]}.{one.place[1]}" for one in found.changes}


def step_key(event: dict[str, Any], place: Place) -> str:
    """Which step an event belongs to: those of one call, message or command are one."""
    kind = str(event.get("type", "?"))
    own = event.get("id") if kind in ("tool", "message") else event.get("command") if kind == "command" else None
    return f"{kind}:{own}" if own else f"{kind}@{place[0]}.{place[1]}"


def _readable(row: dict[str, Any]) -> bool:
    return (
        isinstance(row.get("event"), dict)
        and isinstance(row.get("position"), int)
        and isinstance(row.get("at"), int | float)
    )


def _patch(step: Step, event: dict[str, Any], place: Place) -> bool:
    """Merge one patch in: at the newer end it wins, at the older end it fills in, between them it is known already."""
    given = {name: value for name, value in event.items() if value is not None and name not in ("text", "append")}
    text, appended = event.get("text"), event.get("append")
    if place > step.last:
        step.fields.update(given)
        if isinstance(text, str):
            step.text, step.whole = text, True
        elif isinstance(appended, str):
            step.text = (step.text + appended)[:TEXT_CHARS_MAX]
        step.grows = isinstance(appended, str)
        step.last = place
    elif place < step.place:
        step.fields = {**given, **step.fields}
        if not step.whole:
            step.text = f"{text or appended or ''}{step.text}"[:TEXT_CHARS_MAX]
            step.whole = isinstance(text, str)
    else:
        return False
    if step.text:
        step.fields["text"] = step.text
    return True


Described = tuple[str, str, Tone, str]


def _line(value: Any) -> str:
    return safe_line(str(value), limit=TITLE_CHARS_MAX) if value not in (None, "") else ""


_TOOL_TONES: dict[str, Tone] = {
    "proposed": "ask",
    "held": "ask",
    "running": "good",
    "completed": "plain",
    "failed": "bad",
    "denied": "warn",
    "killed": "warn",
}
_TOOL_MARKS = {"proposed": "◆ asks", "held": "◆ held", "running": "● running", "completed": "✔", "failed": "✖"}


def _tool(fields: dict[str, Any]) -> Described:
    status = str(fields.get("status", ""))
    id = str(fields.get("id", ""))
    kind = str(fields.get("kind") or ("model_call" if id.startswith(_TURN) else "tool_call"))
    name = _line(fields.get("name")) or f"call {_line(id)}".rstrip()
    what = {"model_call": "model", "handoff": "handoff"}.get(kind, "tool")
    target = _line(fields.get("target"))
    about = f"→ {target}" if target else "" if what == "model" else arguments_in_short(fields.get("args"))
    duration = fields.get("duration_ms")
    took = f" {duration:,.0f} ms" if isinstance(duration, int | float) else ""
    mark = _TOOL_MARKS.get(status, f"■ {status}")
    why = _line(fields.get("error")) if status in ("failed", "denied") else ""
    return (
        what,
        f"{name} {about}".rstrip(),
        _TOOL_TONES.get(status, "plain"),
        f"{mark}{took}{': ' + why if why else ''}",
    )


def arguments_in_short(args: Any) -> str:
    """The arguments of a call on one line."""
    if not isinstance(args, dict):
        return ""
    return "  ".join(f"{key}={_line(value)}" for key, value in args.items())[:TITLE_CHARS_MAX]


def _message(fields: dict[str, Any]) -> Described:
    role = str(fields.get("role", "message"))
    by_hand = " as the model" if role == "assistant" else ""
    author = f"{_line(fields.get('author'))}{by_hand}: " if fields.get("author") else ""
    tone: Tone = "hold" if role == "operator" or author else "dim" if role == "thought" else "quote"
    return role, f"{author}“{_line(fields.get('text'))}”", tone, ""


def _state(fields: dict[str, Any]) -> Described:
    state = str(fields.get("state", ""))
    detail = " ".join(_line(fields.get(name)) for name in ("reason", "stop_reason", "error") if fields.get(name))
    tone: Tone = "bad" if state in ("failed", "killed") else "strong"
    return "state", f"{state} {detail}".rstrip(), tone, ""


def _run(fields: dict[str, Any]) -> Described:
    name = _line(fields.get("name"))
    restored = " restored from a checkpoint" if fields.get("restored_from") else ""
    return "run", f"{_line(fields.get('agent'))} {name}{restored}".rstrip(), "strong", ""


def _note(fields: dict[str, Any]) -> Described:
    tones: dict[str, Tone] = {"error": "bad", "warning": "warn", "debug": "dim"}
    return (
        str(fields.get("kind") or "note"),
        _line(fields.get("text")),
        tones.get(str(fields.get("level")), "plain"),
        "",
    )


def _link(fields: dict[str, Any]) -> Described:
    status = str(fields.get("status", ""))
    tone: Tone = "dim" if status == "live" else "warn"
    return "link", f"{_line(fields.get('point'))} {status} {_line(fields.get('why'))}".rstrip(), tone, ""


def _command(fields: dict[str, Any]) -> Described:
    if fields.get("do") == "decide":
        return (
            "operator",
            f"{_line(fields.get('by'))} {_line(fields.get('status'))} {_line(fields.get('text'))}",
            "hold",
            "",
        )
    text = f"{_line(fields.get('do'))} by {_line(fields.get('by'))} {_line(fields.get('text'))}".rstrip()
    return "operator", text, "hold", _line(fields.get("status"))


def _unknown(fields: dict[str, Any]) -> Described:
    shown = {name: value for name, value in fields.items() if name not in ("seq", "ts", "type")}
    return str(fields.get("type", "?")), arguments_in_short(shown), "dim", ""


_DESCRIBE: dict[str, Callable[[dict[str, Any]], Described]] = {
    "tool": _tool,
    "message": _message,
    "state": _state,
    "run": _run,
    "note": _note,
    "link": _link,
    "command": _command,
}

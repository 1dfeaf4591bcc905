"""What a period's traffic was, read from the hub's rows and timelines: turns, calls, questions; it fetches none.

A turn is a growth of a run's counts with one model; where the timeline has its proposal, it began with that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opsconsole.domain.usage import Usage

OUTPUT_TOKENS_PER_SECOND = 60.0
"""How fast a model is taken to write where the timeline does not tell when a turn began."""
TURN_SECONDS_MAX = 600.0
TURNS_PER_RUN_MAX = 20_000
TURNS_PER_READING_MAX = 1_000
"""Turns that one reading of a run's counts may stand for."""
_COUNTS = ("turns", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One request to a model. Times are unix seconds."""

    run: str
    at: float
    seconds: float
    provider: str
    model: str
    usage: Usage

    @property
    def tokens(self) -> int:
        """What counts under a rate limit."""
        return self.usage.input_tokens + self.usage.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One call that waited for a person."""

    run: str
    at: float
    seconds: float | None
    """Until it was decided; None where nobody did."""
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A period."""

    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]
    events: tuple[float, ...]
    """When each event of a timeline came."""
    calls: int = 0

    @property
    def runs(self) -> int:
        """How many runs asked a model or a person."""
        return len({turn.run for turn in self.turns} | {question.run for question in self.questions})

    @property
    def seconds(self) -> float:
        """From the first to the last."""
        times = [turn.at for turn in self.turns] + [one.at for one in self.questions] + list(self.events)
        return max(times) - min(times) if times else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecording:
    """One run's part of it."""

    turns: tuple[Turn, ...]
    events: tuple[float, ...]
    calls: int


def read_run(run: str, timeline: Iterable[Mapping[str, Any]], since: float = 0.0) -> RunRecording:
    """What a run's timeline (rows of `/v1/runs/{run}/events`, oldest first) holds from `since` on."""
    known: dict[tuple[str, str], Usage] = {}
    began: dict[str, float] = {}
    turns, events, calls = list[Turn](), list[float](), 0
    for row in timeline:
        event, at = row.get("event"), row.get("at")
        if not isinstance(event, Mapping) or not isinstance(at, int | float):
            continue
        if at >= since:
            events.append(float(at))
        kind = event.get("type")
        if kind == "tool":
            calls += _tool(event, float(at), began) if at >= since else 0
        elif kind == "usage" and len(turns) < TURNS_PER_RUN_MAX:
            key = (str(event.get("provider") or ""), str(event.get("model") or ""))
            usage = Usage(**{name: _whole(event.get(name)) for name in _COUNTS})
            more = _grown(known.get(key), usage)
            known[key] = usage
            if at >= since and more is not None:
                turns += _turns(run, key, more, float(at), began)
    return RunRecording(turns=tuple(turns), events=tuple(events), calls=calls)


def read_questions(rows: Iterable[Mapping[str, Any]], since: float = 0.0) -> list[Question]:
    """Rows of `/v1/approvals?status=all`."""
    found = []
    for row in rows:
        at, decided = row.get("requested_at"), row.get("decided_at")
        if not isinstance(at, int | float) or at < since:
            continue
        by = str(row.get("decided_by") or "")
        seconds = max(0.0, float(decided) - float(at)) if isinstance(decided, int | float) and by else None
        found.append(Question(run=str(row.get("run") or ""), at=float(at), seconds=seconds, by=by))
    return found


def _tool(event: Mapping[str, Any], at: float, began: dict[str, float]) -> int:
    """Notes when turns of the model begin; 1 for a call of a tool."""
    first = event.get("status") == "proposed"
    if event.get("kind") == "model_call":
        if event.get("status") in ("proposed", "running"):
            began[str(event.get("name") or "")] = at
        return 0
    return 1 if first else 0


def _grown(before: Usage | None, after: Usage) -> Usage | None:
    """What was used since; a count that went back began anew."""
    if before is None or any(getattr(after, name) < getattr(before, name) for name in _COUNTS):
        before = Usage()
    more = Usage(**{name: getattr(after, name) - getattr(before, name) for name in _COUNTS})
    return more if more.turns or more.input_tokens or more.output_tokens else None


def _turns(run: str, key: tuple[str, str], more: Usage, at: float, began: dict[str, float]) -> list[Turn]:
    provider, model = key
    count = min(TURNS_PER_READING_MAX, max(1, more.turns))
    part = Usage(**{name: getattr(more, name) // count for name in _COUNTS if name != "turns"}, turns=1)
    start = began.pop(model, None)
    seconds = part.output_tokens / OUTPUT_TOKENS_PER_SECOND if start is None else (at - start) / count
    seconds = min(TURN_SECONDS_MAX, max(0.05, seconds))
    return [
        Turn(
            run=run,
            at=at - seconds * (count - number),
            seconds=seconds,
            provider=provider,
            model=model,
            usage=part,
        )
        for number in range(count)
    ]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0

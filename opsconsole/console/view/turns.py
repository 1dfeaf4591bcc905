"""What a run's turns of the model used and who served them: readings of usage laid to the turns they belong to.

A reading is cumulative and is told with the end of its turn: before it, or after it in the same batch.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.console.view.amounts import count
from opsconsole.domain.text import safe_line

READINGS_MAX = 5_000
"""Readings kept of one run."""
NAME_CHARS_MAX = 80
_COUNTS = ("turns", "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")

Place = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The counts of a run with one model, as of a place in its timeline; every text is safe to show."""

    place: Place
    at: float
    model: str
    served: str
    fingerprint: str
    counts: Mapping[str, int]
    cost_usd: float | None = None
    """What all turns with the model have cost so far, where the author says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A turn that has ended."""

    key: str
    model: str
    began: Place
    ended: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedAnew:
    """Another model, or another build of it, answers to the same name from here on."""

    place: Place
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Account:
    """What readings say."""

    asides: Mapping[str, str] = field(default_factory=dict)
    """A turn's key -> who served it and what it used, in short."""
    changes: tuple[ServedAnew, ...] = ()


def reading(event: Mapping[str, Any], place: Place, at: float) -> Reading:
    """What a usage event says, whatever stands in it."""
    counts = {name: value for name in _COUNTS if isinstance(value := event.get(name), int) and value >= 0}
    return Reading(
        place=place,
        at=at,
        model=_name(event.get("model")),
        served=_name(event.get("served_model")),
        fingerprint=_name(event.get("fingerprint")),
        counts=counts,
        cost_usd=float(cost) if isinstance(cost := event.get("cost_usd"), int | float) and cost >= 0 else None,
    )


def account(readings: Iterable[Reading], turns: Iterable[Turn]) -> Account:
    """Lays the readings, in order, to the turns that they were told with."""
    changes: list[ServedAnew] = []
    waiting: defaultdict[str, deque[tuple[Reading, str]]] = defaultdict(deque)
    before: dict[str, Reading] = {}
    for one in readings:
        last = before.get(one.model)
        if last is not None and (changed := _changed(last, one)):
            changes.append(ServedAnew(place=one.place, at=one.at, text=changed))
        waiting[one.model].append((one, _in_short(one, last)))
        before[one.model] = one
    asides: dict[str, str] = {}
    for turn in sorted(turns, key=lambda turn: turn.ended):
        queue = waiting[turn.model]
        while queue and queue[0][0].place < turn.began:
            queue.popleft()
        if queue and (queue[0][0].place < turn.ended or queue[0][0].place[0] == turn.ended[0]):
            asides[turn.key] = queue.popleft()[1]
    return Account(asides, tuple(changes))


def _changed(before: Reading, now: Reading) -> str:
    if before.served and now.served and before.served != now.served:
        return f"{now.model} is served by {now.served} now, before by {before.served}"
    if before.fingerprint and now.fingerprint and before.fingerprint != now.fingerprint:
        return f"{now.model} is another build now: fingerprint {now.fingerprint}, before {before.fingerprint}"
    return ""


def _in_short(now: Reading, before: Reading | None) -> str:
    """Who served it where that says more than the name asked for, and what the turn alone used where that is known."""
    parts = [f"as {now.served}"] if now.served and now.served != now.model else []
    used = _used(now, before)
    if used is not None:
        parts.append(f"{count(used['input_tokens'])} in + {count(used['output_tokens'])} out")
        parts += [f"{count(used['cache_read_tokens'])} cached"] if used["cache_read_tokens"] else []
        parts += [f"{count(used['reasoning_tokens'])} thought"] if used["reasoning_tokens"] else []
    return "  ".join(parts)


def used_by_turn(readings: Iterable[Reading]) -> list[tuple[Reading, Mapping[str, int]]]:
    """Each reading with what was used since the one before of the same model, where that is known."""
    before: dict[str, Reading] = {}
    found: list[tuple[Reading, Mapping[str, int]]] = []
    for one in readings:
        used = _used(one, before.get(one.model))
        if used is not None:
            found.append((one, used))
        before[one.model] = one
    return found


def _used(now: Reading, before: Reading | None) -> dict[str, int] | None:
    """The difference to the reading before; None where that is not here, or counts went back."""
    if before is None and now.counts.get("turns") != 1:
        return None
    used = {name: now.counts.get(name, 0) - (before.counts.get(name, 0) if before else 0) for name in _COUNTS}
    return used if all(number >= 0 for number in used.values()) else None


def _name(value: Any) -> str:
    return safe_line(value, limit=NAME_CHARS_MAX) if isinstance(value, str) else ""

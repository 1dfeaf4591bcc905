"""Stall, deadlock and orphans: waits that are too old, that close a circle, or whose sender is gone.

A wait for an operator is a queue with an age and never a stall, and neither is a wait for somebody who waits for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import put
from opsconsole.policy.detectors.finding import NOTHING, Finding, SettingsOf, Severity
from opsconsole.policy.detectors.observation import (
    CallEnded,
    CallProposed,
    Closed,
    Handoff,
    Message,
    RequestEnded,
    RunStarted,
    Seen,
    Tick,
    TurnEnded,
    WaitBegan,
    Waited,
    WaitEnded,
    WaitHeard,
)
from opsconsole.policy.detectors.waits import Wait, Waits, line, names
from opsconsole.policy.file.settings import StallSettings

WAITS_MAX = 20_000
NAMES_MAX = 20_000
GRACE_SECONDS = 10.0
"""For a message on its way, which opens a circle again: so long is none declared closed."""
BUSY_FACTOR = 4.0
"""How many times the limit a wait for somebody may last who is busy with something."""
LIMITS = {Waited.MODEL: "model_seconds", Waited.TOOL: "tool_seconds", Waited.MESSAGE: "message_seconds"}


class Stall:
    """The fleet's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (
        *(RunStarted, TurnEnded, CallProposed, CallEnded, RequestEnded, Handoff),
        *(Message, WaitBegan, WaitHeard, WaitEnded, Closed, Tick),
    )

    def __init__(self, settings_of: SettingsOf[StallSettings]) -> None:
        self.settings_of = settings_of
        self._waits = Waits()
        self._alive: dict[str, float] = {}
        """Waiter -> when it last did anything."""
        self._sent: dict[tuple[str, str], float] = {}
        """From whom to whom a message is on its way, and since when."""
        self._closed: dict[str, float] = {}
        self._gone: dict[str, str] = {}
        """Of those that are closed, the agent that each was; only to be told."""

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at waits; whatever a run does is a sign of its life."""
        if type(seen) is not Tick:
            put(self._alive, seen.run, seen.at, NAMES_MAX)
        react = _REACTIONS.get(type(seen))
        return react(self, seen) if react else NOTHING

    def _began(self, seen: WaitBegan) -> Sequence[Finding]:
        if len(self._waits.open) >= WAITS_MAX:
            self._waits.remove(next(iter(self._waits.open)))
        waiter = seen.waiter or seen.run
        put(self._alive, waiter, seen.at, NAMES_MAX)
        self._closed.pop(waiter, None)
        wait = Wait(seen.wait, seen.run, seen.agent, waiter, seen.kind, seen.on, seen.at, seen.at)
        self._waits.add(wait)
        return self._deadlock(wait, seen.at) or self._orphan(wait, seen.at)

    def _ended(self, seen: WaitEnded) -> Sequence[Finding]:
        wait = self._waits.remove(seen.wait)
        if wait is not None:
            put(self._alive, wait.waiter, seen.at, NAMES_MAX)
            if wait.kind is Waited.MESSAGE:
                self._sent.pop((wait.on, wait.waiter), None)
        return NOTHING

    def _close(self, seen: Closed) -> Sequence[Finding]:
        who = seen.who or seen.run
        put(self._closed, who, seen.at, NAMES_MAX)
        if who == seen.run and seen.agent:
            put(self._gone, who, seen.agent, NAMES_MAX)
        self._alive.pop(who, None)
        for wait in list(self._waits.of(who)):
            self._waits.remove(wait.id)
        return [found for wait in self._waits.on(who) for found in self._orphan(wait, seen.at)]

    def _message(self, seen: Message) -> Sequence[Finding]:
        if seen.to:
            put(self._alive, seen.speaker, seen.at, NAMES_MAX)
            put(self._sent, (seen.speaker, seen.to), seen.at, NAMES_MAX)
        return NOTHING

    def _heard(self, seen: WaitHeard) -> Sequence[Finding]:
        if wait := self._waits.open.get(seen.wait):
            wait.heard = seen.at
        return NOTHING

    def _tick(self, seen: Tick) -> Sequence[Finding]:
        at, found = seen.at, list[Finding]()
        for wait in self._waits.open.values():
            if at - wait.began > GRACE_SECONDS:
                found.extend(self._deadlock(wait, at) or self._orphan(wait, at) or self._stalled(wait, at))
        return found

    def _deadlock(self, wait: Wait, at: float) -> Sequence[Finding]:
        cycle = self._waits.cycle(wait)
        if not cycle or any(self._is_open(one, at) for one in cycle):
            return NOTHING
        waiters = [one.waiter for one in cycle]
        first = waiters.index(min(waiters))
        cycle = cycle[first:] + cycle[:first]
        evidence = {"line": line(cycle, at, is_cycle=True), "cycle": [one.waiter for one in cycle]}
        key = f"deadlock:{':'.join(sorted(one.id for one in cycle))}"
        return self._found(Severity.TRIP, f"deadlock: {evidence['line']}", key, cycle, evidence)

    def _is_open(self, wait: Wait, at: float) -> bool:
        """Whether the circle may open here: a message is on its way, or its waiter does something else too."""
        others = [one for one in self._waits.of(wait.waiter) if one is not wait]
        if any(one.kind is not Waited.MESSAGE for one in others):
            return True
        since = max(wait.began, self._sent.get((wait.on, wait.waiter), 0.0))
        return at - since <= GRACE_SECONDS and (bool(others) or (wait.on, wait.waiter) in self._sent)

    def _orphan(self, wait: Wait, at: float) -> Sequence[Finding]:
        closed = self._closed.get(wait.on)
        if closed is None or wait.kind is Waited.APPROVAL:
            return NOTHING
        if (wait.on, wait.waiter) in self._sent and at - closed <= GRACE_SECONDS:
            return NOTHING
        evidence = {"line": line([wait], at), "closed_at": closed}
        waiter, gone = names([wait])[wait.waiter], self._gone.get(wait.on, wait.on)
        text = f"orphan: {waiter} waits for {gone}, which is gone"
        return self._found(Severity.TRIP, text, f"orphan:{wait.id}", [wait], evidence)

    def _stalled(self, wait: Wait, at: float) -> Sequence[Finding]:
        if wait.kind is Waited.APPROVAL or at - wait.heard <= self._limit(wait):
            return NOTHING
        if wait.kind is Waited.MESSAGE and not wait.on:
            return NOTHING  # nobody owes it anything: it is idle
        if wait.on in self._closed:
            return NOTHING  # an orphan, or about to be one
        chain = self._waits.chain(wait)
        if chain[-1].kind is Waited.APPROVAL or any(self._waits.cycle(one) for one in chain):
            return NOTHING
        if wait.kind is Waited.MESSAGE and (len(chain) > 1 or not self._is_silent(wait, at)):
            return NOTHING  # what it waits for waits itself, and is looked at by itself, or it is busy
        behind = self._behind(wait)
        told = f"; {len(behind)} more wait for {names([wait])[wait.waiter]}" if behind else ""
        evidence = {"line": line([wait], at), "silent_seconds": round(at - wait.heard), "behind": behind}
        return self._found(Severity.WARN, f"stall: {evidence['line']}{told}", f"stall:{wait.id}", [wait], evidence)

    def _is_silent(self, wait: Wait, at: float) -> bool:
        idle = [one.began for one in self._waits.of(wait.on) if one.kind is Waited.MESSAGE]
        if idle:
            return at - min(idle) > GRACE_SECONDS  # it waits for whoever comes: it knows nothing of this one
        silent, limit = at - self._alive.get(wait.on, wait.began), self._limit(wait)
        return silent > limit or (silent > GRACE_SECONDS and at - wait.heard > BUSY_FACTOR * limit)

    def _behind(self, wait: Wait) -> list[str]:
        """Who waits, directly or not, for the one that this wait holds up."""
        found = [wait.waiter]
        for who in found:
            found.extend(one.waiter for one in self._waits.on(who) if one.waiter not in found)
        return found[1:]

    def _limit(self, wait: Wait) -> float:
        return float(getattr(self.settings_of(wait.agent), LIMITS[wait.kind]))

    def _found(
        self, severity: Severity, text: str, key: str, waits: Iterable[Wait], evidence: dict[str, Any]
    ) -> Sequence[Finding]:
        waits = list(waits)
        return (
            Finding(
                detector="stall",
                severity=severity,
                text=text,
                key=key,
                runs=tuple(dict.fromkeys(one.run for one in waits)),
                agents=tuple(dict.fromkeys(one.agent for one in waits)),
                evidence=evidence,
            ),
        )

    def dump(self) -> Any:
        """Names and times."""
        waits = [list(astuple(one)) for one in self._waits.open.values()]
        sent = [[*way, at] for way, at in self._sent.items()]
        return [waits, self._alive, sent, self._closed]

    def load(self, state: Any) -> None:
        """See `Detector`."""
        waits, alive, sent, closed = state
        for wait, run, agent, waiter, kind, on, began, heard in waits:
            self._waits.add(Wait(wait, run, agent, waiter, Waited(kind), on, float(began), float(heard)))
        self._alive = {who: float(at) for who, at in alive.items()}
        self._sent = {(source, target): float(at) for source, target, at in sent}
        self._closed = {who: float(at) for who, at in closed.items()}


_REACTIONS: dict[type[Seen], Callable[[Stall, Any], Sequence[Finding]]] = {
    Tick: Stall._tick,
    WaitBegan: Stall._began,
    WaitHeard: Stall._heard,
    WaitEnded: Stall._ended,
    Message: Stall._message,
    Closed: Stall._close,
}
"""What more there is to do; anything else that a run does is a sign of its life and no more."""

"""The wait-for graph: who waits for whom, since when, and whether that closes a circle; it knows no limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opsconsole.policy.detectors.observation import Waited

CHAIN_MAX = 100
"""Waits of one chain that are followed."""


@dataclass(slots=True, eq=False)
class Wait:
    """One open wait."""

    id: str
    run: str
    agent: str
    waiter: str
    kind: Waited
    on: str
    began: float
    heard: float
    """The last sign of life of what is waited for."""


class Waits:
    """All open waits."""

    def __init__(self) -> None:
        self.open: dict[str, Wait] = {}
        self._by_waiter: dict[str, list[Wait]] = {}
        self._by_on: dict[str, list[Wait]] = {}

    def add(self, wait: Wait) -> None:
        """A wait has begun."""
        self.remove(wait.id)
        self.open[wait.id] = wait
        self._by_waiter.setdefault(wait.waiter, []).append(wait)
        self._by_on.setdefault(wait.on, []).append(wait)

    def remove(self, wait_id: str) -> Wait | None:
        """A wait is over; None if nobody knows it."""
        wait = self.open.pop(wait_id, None)
        if wait is None:
            return None
        for table, name in ((self._by_waiter, wait.waiter), (self._by_on, wait.on)):
            table[name].remove(wait)
            if not table[name]:
                del table[name]
        return wait

    def of(self, waiter: str) -> list[Wait]:
        """What somebody waits for."""
        return self._by_waiter.get(waiter, [])

    def cycle(self, wait: Wait) -> list[Wait]:
        """The waits for messages that lead from this one back to its waiter, in order, or none."""
        if wait.kind is not Waited.MESSAGE or not wait.on:
            return []
        way: dict[str, list[Wait]] = {wait.on: [wait]}
        front = [wait.on]
        while front and len(way) <= CHAIN_MAX:
            who = front.pop()
            if who == wait.waiter:
                return way[who]
            for one in self.of(who):
                if one.kind is Waited.MESSAGE and one.on and one.on not in way:
                    way[one.on] = [*way[who], one]
                    front.append(one.on)
        return []

    def chain(self, wait: Wait) -> list[Wait]:
        """This wait, then what the one it is on waits for longest, and so on."""
        found = [wait]
        been = {wait.waiter}
        while found[-1].kind is Waited.MESSAGE and len(found) < CHAIN_MAX:
            who = found[-1].on
            held_up = [one for one in self.of(who) if one.kind is not Waited.MESSAGE or one.on]
            if who in been or not held_up:
                break  # the one at the end is at work, or idle
            been.add(who)
            found.append(min(held_up, key=lambda one: one.began))
        return found

    def on(self, who: str) -> Iterator[Wait]:
        """The waits for somebody's messages or results."""
        return (one for one in self._by_on.get(who, ()) if one.kind is not Waited.APPROVAL)


def line(waits: list[Wait], at: float, *, is_cycle: bool = False) -> str:
    """Who waits for whom in words, each with its age; a circle is marked where it closes."""
    called = names(waits)
    told = [f"{called[one.waiter]} waits {max(0.0, at - one.began):.0f} s for {_what(one, called)}" for one in waits]
    return ", ".join(told) + (f" ↺ {called[waits[0].waiter]}" if is_cycle else "")


def names(waits: list[Wait]) -> dict[str, str]:
    """Who waits -> the name of the agent that it is, with its own id where several have that name."""
    runs = {one.waiter: one.agent for one in waits if one.waiter == one.run and one.agent}
    agents = list(runs.values())
    alone = {who: agent if agents.count(agent) == 1 else f"{agent} {who}" for who, agent in runs.items()}
    return {one.waiter: alone.get(one.waiter, one.waiter) for one in waits}


def _what(wait: Wait, called: Mapping[str, str]) -> str:
    if wait.kind is Waited.APPROVAL:
        return "an operator"
    if wait.kind is Waited.MESSAGE:
        return called.get(wait.on, wait.on) or "any message"
    return f"{wait.kind} {wait.on}".rstrip()

"""A simulated office of agents that ask one another: messages get lost, models hang, circles close, agents crash."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from opsconsole.policy.detectors.finding import Finding
from opsconsole.policy.detectors.observation import Closed, Message, Seen, WaitBegan, Waited, WaitEnded, WaitHeard
from tests.policy.detectors.simulator import START, Fault, Scenario, Simulated, Timeline

HOURS = 2.0
SETTLE_SECONDS = 1_500.0
"""Before the end nothing goes wrong any more, so that there is time to notice."""
LEADERS, WORKERS = 16, 8
FAULTS = {"hang": 0.004, "lost": 0.015, "crash": 0.03, "circle": 0.01}
"""How likely each is, each time that it could happen."""
SLOW = 0.02
"""Of model and tool calls take longer than any limit, but give signs of life."""


class Office:
    """Leaders work and ask workers; workers wait for whoever asks, work, and answer."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.line = Timeline()
        self.simulated = Simulated(end=START + HOURS * 3_600)
        self.number = 0
        self.idle: dict[str, str] = {}
        """Worker -> its wait for anyone."""
        self.inbox: dict[str, list[str]] = {}
        self.asking: dict[str, str] = {}
        """Leader -> its wait for an answer."""
        self.gone: set[str] = set()
        self.workers: list[str] = []
        self.owing: set[str] = set()
        """Workers whose askers wait for what was lost: those do not crash, so that each wait has one fault."""

    def run(self) -> Simulated:
        """Everything that happens."""
        for number in range(WORKERS):
            self.hire(f"worker-{number}")
        for number in range(LEADERS):
            self.line.after(self.dice.random() * 30, self._then(self.lead, f"leader{number}"))
        self.line.run(self.simulated.end)
        return self.simulated

    def lead(self, who: str) -> None:
        """A leader's next step."""
        step = self.dice.random()
        if self.happens("circle"):
            self.circle(who, self.peer(who))
        elif step < 0.02:
            wait = self.wait(who, Waited.APPROVAL, "operators")
            self.line.after(self.dice.uniform(10, 4_000), self._then(self.over, who, wait, self.lead))
        elif step < 0.35:
            self.ask(who, self.dice.choice(self.workers))
        else:
            self.work(who, self.lead)

    def work(self, who: str, then: Callable[[str], None]) -> None:
        """A model or tool call, that may hang."""
        kind, on = self.dice.choice([(Waited.MODEL, "m-large"), (Waited.TOOL, "search")])
        wait = self.wait(who, kind, on)
        if self.happens("hang"):
            self.fault("hang", who)
            self.replace(who)
            return
        seconds = min(90.0, self.dice.lognormvariate(1.5, 1.0))
        if self.dice.random() < SLOW:
            seconds = self.dice.uniform(400, 1_200)
            for beat in range(1, int(seconds / 40)):
                self.line.after(beat * 40, self._then(self.heard, who, wait))
        self.line.after(seconds, self._then(self.over, who, wait, then))

    def ask(self, who: str, worker: str) -> None:
        """A question to a worker, and the wait for its answer."""
        self.see(Message, who, speaker=who, to=worker, text="please")
        self.asking[who] = self.wait(who, Waited.MESSAGE, worker)
        if worker in self.gone:
            self.orphan(who)
        elif self.happens("lost"):
            self.owing.add(worker)
            self.fault("lost", who)
            self.replace(who)
        else:
            self.line.after(self.dice.uniform(0.05, 5), self._then(self.arrive, who, worker))

    def arrive(self, who: str, worker: str) -> None:
        """The question is there."""
        if worker in self.gone:
            self.orphan(who)
            return
        self.inbox[worker].append(who)
        if worker in self.idle:
            self.serve(worker)

    def serve(self, worker: str) -> None:
        """A worker takes the next question."""
        self.see(WaitEnded, worker, wait=self.idle.pop(worker))
        asker = self.inbox[worker].pop(0)
        if worker not in self.owing and self.happens("crash"):
            self.crash(worker, [asker, *self.inbox[worker]])
            return
        self.work(worker, lambda worker: self.answer(worker, asker))

    def answer(self, worker: str, asker: str) -> None:
        """The answer goes out; it may be lost."""
        self.see(Message, worker, speaker=worker, to=asker, text="done")
        if self.happens("lost"):
            self.owing.add(worker)
            self.fault("lost", asker)
            self.replace(asker)
        else:
            self.line.after(
                self.dice.uniform(0.05, 5), self._then(self.over, asker, self.asking.get(asker, ""), self.lead)
            )
        self.be_idle(worker)

    def be_idle(self, worker: str) -> None:
        """A worker waits for whoever asks."""
        self.idle[worker] = self.wait(worker, Waited.MESSAGE, "")
        if self.inbox[worker]:
            self.serve(worker)

    def circle(self, one: str, other: str) -> None:
        """Two ask each other at the same time: half the time they still answer, else they never will."""
        for who, on in ((one, other), (other, one)):
            self.see(Message, who, speaker=who, to=on, text="you first")
            self.asking[who] = self.wait(who, Waited.MESSAGE, on)
        if self.dice.random() < 0.5:
            for who in (one, other):
                seconds = self.dice.uniform(0.1, 8)
                self.line.after(seconds, self._then(self.over, who, self.asking[who], self.lead))
        else:
            self.fault("deadlock", one, other)
            self.replace(one)

    def peer(self, who: str) -> str:
        """Another leader that has nothing to do: a new one, as all others are busy."""
        self.number += 1
        return f"{who.split('-')[0]}-{self.number}"

    def crash(self, worker: str, askers: list[str]) -> None:
        """A worker is gone, and those who asked it wait in vain."""
        self.gone.add(worker)
        self.see(Closed, worker)
        for asker in askers:
            self.orphan(asker)
        self.number += 1
        self.workers.remove(worker)
        self.hire(f"worker-{self.number}")

    def hire(self, worker: str) -> None:
        """A new worker."""
        self.workers.append(worker)
        self.inbox[worker] = []
        self.be_idle(worker)

    def orphan(self, asker: str) -> None:
        """Nobody will answer."""
        self.fault("orphan", asker)
        self.replace(asker)

    def wait(self, who: str, kind: Waited, on: str) -> str:
        """A wait begins."""
        self.number += 1
        self.see(WaitBegan, who, wait=f"w{self.number}", kind=kind, on=on)
        return f"w{self.number}"

    def heard(self, who: str, wait: str) -> None:
        """A sign of life."""
        self.see(WaitHeard, who, wait=wait)

    def over(self, who: str, wait: str, then: Callable[[str], None]) -> None:
        """A wait ends."""
        self.see(WaitEnded, who, wait=wait)
        then(who)

    def happens(self, what: str) -> bool:
        """Whether this goes wrong here."""
        return self.line.now < self.simulated.end - SETTLE_SECONDS and self.dice.random() < FAULTS[what]

    def fault(self, kind: str, *who: str) -> None:
        """Note what went wrong."""
        fault = Fault(kind=kind, who=frozenset(who), at=self.line.now, until=self.simulated.end)
        self.simulated.faults.append(fault)

    def replace(self, who: str) -> None:
        """Somebody is held up for good: another one takes its place, and its work."""
        self.number += 1
        name = f"{who.split('-')[0]}-{self.number}"
        if who.startswith("worker"):
            self.workers.remove(who)
            self.hire(name)
        else:
            self.line.after(self.dice.uniform(1, 60), self._then(self.lead, name))

    def see(self, what: type[Seen], who: str, **more: Any) -> None:
        """Something is seen."""
        self.simulated.seen.append(what(run=who, agent=who, at=self.line.now, **more))

    def _then(self, do: Callable[..., None], *args: Any) -> Callable[[], None]:
        return lambda: do(*args)


def office(dice: random.Random) -> Simulated:
    """An office's day; lost messages and hanging calls are one kind of fault to whoever waits."""
    simulated = Office(dice).run()
    stalls = {"hang": "stall", "lost": "stall"}
    simulated.faults = [
        Fault(kind=stalls.get(one.kind, one.kind), who=one.who, at=one.at, until=one.until) for one in simulated.faults
    ]
    return simulated


def _about(word: str) -> Callable[[Finding], frozenset[str] | None]:
    return lambda finding: frozenset(finding.runs) if finding.key.startswith(f"{word}:") else None


def _stalled(finding: Finding) -> frozenset[str] | None:
    """Also those of whom it says that they are held up behind."""
    about = _about("stall")(finding)
    return None if about is None else about | frozenset(finding.evidence["behind"])


STALL = Scenario(name="stall", simulate=office, kind="stall", claims=_stalled)
DEADLOCK = Scenario(name="deadlock", simulate=office, kind="deadlock", claims=_about("deadlock"))
ORPHAN = Scenario(name="orphan", simulate=office, kind="orphan", claims=_about("orphan"))

SCENARIOS = (STALL, DEADLOCK, ORPHAN)

"""The recorded turns, several times over, through the gateway's own traffic code in simulated time; it judges nothing.

Each recorded run is started so many times, the copies a little apart. Within a run the next turn comes as long after
the end of the last as it did: what waits, pushes what follows.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from opsconsole.gateway.flow.gauges import Lane
from opsconsole.gateway.flow.traffic import Ask, Go, Refuse, Traffic
from opsconsole.gateway.rehearse.recorded import Turn
from opsconsole.gateway.rehearse.scripted import Limits, ScriptedProvider

APART_SECONDS = 300.0
"""Copies of a run start within so long of one another."""
REFUSED_SECONDS = 0.05
"""How long a refusal of a provider takes."""
CLIENT_RETRIES_MAX = 2
"""How often an official client asks again."""
SLOW_SECONDS = 1.0
"""A wait that somebody notices."""
STEPS_MAX = 5_000_000
"""Of one replay: a fault of ours must not simulate for ever."""


@dataclass(slots=True)
class LaneResult:
    """What became of one model's requests. Times are simulated seconds from the beginning."""

    sent: int = 0
    answered: int = 0
    refused: int = 0
    """By the provider (429)."""
    given_up: int = 0
    """Turns whose client was told to come back until it gave up."""
    waits: list[float] = field(default_factory=list)
    """Of each turn, from when it was wanted until it was answered for."""
    first_trouble_at: float | None = None
    by_run: dict[str, list[float]] = field(default_factory=dict)

    def trouble(self, now: float) -> None:
        """Something waited or was refused."""
        if self.first_trouble_at is None:
            self.first_trouble_at = now


@dataclass(slots=True)
class _Job:
    """One turn of one copy on its way."""

    turn: Turn
    run: str
    wanted_at: float
    rest: list[tuple[float, Turn]]
    """What follows in this copy: (seconds after this one's end, turn), the next last."""
    ask: Ask
    attempt: int = 0
    client_retries: int = 0


class Replay:
    """One replay. `limits` says what each lane's provider allows."""

    def __init__(
        self, copies: Mapping[str, list[Turn]], limits: Mapping[Lane, Limits], *, seed: int, began_at: float
    ) -> None:
        self._dice = random.Random(seed)
        self.traffic = Traffic(dice=self._dice.random)
        self.results: dict[Lane, LaneResult] = {}
        self._limits = limits
        self._providers: dict[Lane, ScriptedProvider] = {}
        self._heap: list[tuple[float, int, str, _Job | None, tuple[int, dict[str, str]]]] = []
        self._jobs: dict[int, _Job] = {}
        self._numbers = 0
        self._look_at: float | None = None
        for run, turns in copies.items():
            if turns:
                self._begin(run, turns, began_at)

    def run(self) -> dict[Lane, LaneResult]:
        """Everything, to its end."""
        for _ in range(STEPS_MAX):
            if not self._heap:
                break
            now, _, what, job, answer = heapq.heappop(self._heap)
            if what == "arrive" and job is not None:
                self._arrive(job, now)
            elif what == "answer" and job is not None:
                self._answered(job, answer, now)
            else:
                self._look_at = None
            self._due(now)
        return self.results

    # -- steps -----------------------------------------------------------------------------------------------------

    def _begin(self, run: str, turns: list[Turn], began_at: float) -> None:
        rest: list[tuple[float, Turn]] = []
        for before, after in itertools.pairwise(turns):
            rest.append((max(0.0, after.at - before.at - before.seconds), after))
        rest.reverse()
        self._want(run, turns[0], rest, max(0.0, turns[0].at - began_at))

    def _want(self, run: str, turn: Turn, rest: list[tuple[float, Turn]], at: float) -> None:
        self._numbers += 1
        lane = lane_of(turn)
        ask = Ask(id=self._numbers, lane=lane, run=run, tokens=float(turn.tokens), request=self._numbers)
        self._push(at, "arrive", _Job(turn=turn, run=run, wanted_at=at, rest=rest, ask=ask))

    def _arrive(self, job: _Job, now: float) -> None:
        verdict = self.traffic.arrive(job.ask, now, attempt=job.attempt)
        if isinstance(verdict, Go):
            self._send(job, now)
        elif isinstance(verdict, Refuse):
            self._thrown_back(job, verdict.retry_after_seconds, now)
        else:
            self._jobs[job.ask.id] = job

    def _due(self, now: float) -> None:
        for ask, verdict in self.traffic.due(now):
            job = self._jobs.pop(ask.id)
            if isinstance(verdict, Go):
                self._send(job, now)
            else:
                self._thrown_back(job, verdict.retry_after_seconds, now)
        wait = self.traffic.next_due(now)
        if wait is not None and (self._look_at is None or now + wait < self._look_at - 1e-6):
            self._look_at = now + wait
            self._push(self._look_at, "look", None)

    def _send(self, job: _Job, now: float) -> None:
        lane = job.ask.lane
        provider = self._providers.get(lane)
        if provider is None:
            provider = self._providers[lane] = ScriptedProvider(self._limits.get(lane, Limits()))
        result = self._result(lane)
        result.sent += 1
        waited = now - job.wanted_at
        if waited > SLOW_SECONDS:
            result.trouble(job.wanted_at)
        status, headers = provider.ask(job.ask.tokens, now)
        self._push(now + (job.turn.seconds if status == 200 else REFUSED_SECONDS), "answer", job, (status, headers))
        if status == 200:
            result.waits.append(waited)
            result.by_run.setdefault(job.run, []).append(waited)
        else:
            result.refused += 1
            result.trouble(now)
        # A provider's headers come with the head of its answer, long before its end.
        self.traffic.answered(job.ask, status, headers, now, now)

    def _answered(self, job: _Job, answer: tuple[int, dict[str, str]], now: float) -> None:
        status, headers = answer
        if status == 200:
            self._result(job.ask.lane).answered += 1
            self._next(job, now)
            return
        seconds = self.traffic.again_seconds(job.ask, job.attempt, status, headers, now, now)
        if seconds is None:
            self._thrown_back(job, float(headers.get("retry-after-ms", "1000")) / 1_000, now)
            return
        job.attempt += 1
        self._push(now + seconds, "arrive", job)

    def _thrown_back(self, job: _Job, seconds: float, now: float) -> None:
        """The client is told to come back, and does a few times."""
        result = self._result(job.ask.lane)
        result.trouble(now)
        if job.client_retries >= CLIENT_RETRIES_MAX:
            result.given_up += 1
            result.waits.append(now - job.wanted_at)
            self._next(job, now)
            return
        self._numbers += 1
        again = Ask(id=self._numbers, lane=job.ask.lane, run=job.run, tokens=job.ask.tokens, request=job.ask.request)
        job.ask, job.attempt, job.client_retries = again, 0, job.client_retries + 1
        self._push(now + seconds * (1.0 + 0.25 * self._dice.random()), "arrive", job)

    def _next(self, job: _Job, now: float) -> None:
        if job.rest:
            gap, turn = job.rest.pop()
            self._want(job.run, turn, job.rest, now + gap)

    def _result(self, lane: Lane) -> LaneResult:
        return self.results.setdefault(lane, LaneResult())

    def _push(self, at: float, what: str, job: _Job | None, answer: tuple[int, dict[str, str]] = (0, {})) -> None:
        self._numbers += 1
        heapq.heappush(self._heap, (at, self._numbers, what, job, answer))


def lane_of(turn: Turn) -> Lane:
    """Where a turn counts."""
    return (turn.provider, "", turn.model)


def copied(turns: list[Turn], times: int, dice: random.Random) -> dict[str, list[Turn]]:
    """Each run so many times, by the copy's name; the first as it was, the others a little later."""
    by_run: dict[str, list[Turn]] = {}
    for turn in sorted(turns, key=lambda one: one.at):
        by_run.setdefault(turn.run, []).append(turn)
    copies: dict[str, list[Turn]] = {}
    for run, own in by_run.items():
        for number in range(times):
            late = 0.0 if number == 0 else dice.uniform(0.0, APART_SECONDS)
            copies[f"{run}#{number + 1}"] = [_moved(turn, late) for turn in own]
    return copies


def _moved(turn: Turn, seconds: float) -> Turn:
    return Turn(
        run=turn.run,
        at=turn.at + seconds,
        seconds=turn.seconds,
        provider=turn.provider,
        model=turn.model,
        usage=turn.usage,
    )

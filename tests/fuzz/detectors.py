"""Fuzz target: whatever is seen, in any order, no detector raises, and a restart in between changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from opsconsole.policy.detectors.observation import (
    CallEnded,
    CallProposed,
    Closed,
    Handoff,
    Message,
    RateReading,
    RequestEnded,
    Seen,
    Tick,
    TurnEnded,
    WaitBegan,
    Waited,
    WaitEnded,
    WaitHeard,
)
from opsconsole.policy.detectors.outcome import Outcome
from opsconsole.policy.detectors.watch import Detectors
from opsconsole.policy.file.settings import DetectorSettings

SETTINGS = DetectorSettings(agreement=True)
NAMES = ("a", "b", "c", "")
NUMBERS = (0.0, 1.0, 60.0, 1e9, -1.0, float("inf"), float("nan"), 1e308)
TIMES = (0.0, 0.5, 61.0, 301.0, 4_000.0)
STATUSES = (200, 429, 503, None)
OBSERVATIONS_MAX = 120
SEEDS = [
    bytes([0, 1, 0, 0, 2]) * 9,
    bytes([8, 0, 1, 2, 3, 8, 1, 0, 2, 3, 13, 3, 0, 0, 0]),
    b"\x02done and verified\x00 10:00:01 0x12 12 ms",
    bytes(range(256)),
]


class Bytes:
    """Choices, from bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        """The next one; 0 when there are no more."""
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def name(self) -> str:
        """One of few."""
        return NAMES[self.byte() % len(NAMES)]

    def number(self) -> float:
        """One that is hard to count with."""
        return NUMBERS[self.byte() % len(NUMBERS)]

    def text(self) -> str:
        """Some of what comes next, as it is."""
        size = self.byte()
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", "surrogateescape")


def fuzz_one(data: bytes) -> None:
    """Raise when a detector raises, forgets, or remembers what is no JSON."""
    seen = list(_seen(Bytes(data)))
    one, other = Detectors(SETTINGS), Detectors(SETTINGS)
    cut = len(seen) // 2
    for each in seen[:cut]:
        assert one.observe(each) == other.observe(each)
    _restart(other)
    for each in seen[cut:]:
        assert repr(one.observe(each)) == repr(other.observe(each))


def _restart(detectors: Detectors) -> None:
    detectors.load_fleet(json.loads(json.dumps(detectors.fleet.dump(), allow_nan=False)))
    for run in NAMES:
        if (state := detectors.dump_run(run)) is not None:
            detectors.load_run(run, "", json.loads(json.dumps(state, allow_nan=False)))


def _seen(given: Bytes) -> Iterator[Seen]:
    at, count = 1_000.0, 0
    while given.at < len(given.data) and count < OBSERVATIONS_MAX:
        make = _MAKERS[given.byte() % len(_MAKERS)]
        at += TIMES[given.byte() % len(TIMES)]
        count += 1
        yield make(given, given.name(), at)


def _turn(given: Bytes, run: str, at: float) -> Seen:
    tokens = int(min(1e12, abs(given.byte() * 1_000)))
    return TurnEnded(
        run=run,
        at=at,
        model=given.name(),
        served_model=given.name(),
        fingerprint=given.name(),
        input_tokens=tokens,
        output_tokens=given.byte(),
        window=given.byte() * 500,
        latency_ms=given.number(),
        cost_usd=given.number(),
    )


def _proposed(given: Bytes, run: str, at: float) -> Seen:
    wrong = (given.text(),) * (given.byte() % 3)
    return CallProposed(run=run, at=at, call="c", tool=given.name(), args_digest=given.name(), ungrounded=wrong)


def _ended(given: Bytes, run: str, at: float) -> Seen:
    flags = given.byte()
    return CallEnded(
        run=run,
        at=at,
        call="c",
        tool=given.name(),
        args_digest=given.name(),
        outcome=Outcome(given.text() * (1 + flags // 16)),
        ok=bool(flags & 1),
        latency_ms=given.number(),
        denied_by_console=bool(flags & 2),
    )


_MAKERS: tuple[Callable[[Bytes, str, float], Seen], ...] = (
    _turn,
    _proposed,
    _ended,
    lambda given, run, at: Message(run=run, at=at, speaker=given.name(), text=given.text(), to=given.name()),
    lambda given, run, at: Handoff(run=run, at=at, source=given.name(), target=given.name()),
    lambda given, run, at: WaitBegan(
        run=run, at=at, wait=given.name(), kind=list(Waited)[given.byte() % 4], on=given.name(), waiter=given.name()
    ),
    lambda given, run, at: WaitHeard(run=run, at=at, wait=given.name()),
    lambda given, run, at: WaitEnded(run=run, at=at, wait=given.name()),
    lambda given, run, at: RequestEnded(
        run=run,
        at=at,
        provider=given.name(),
        request_digest=given.name(),
        status=STATUSES[given.byte() % 4],
    ),
    lambda given, run, at: RateReading(
        run=run, at=at, provider=given.name(), limit=given.name(), size=given.number(), remaining=given.number()
    ),
    lambda given, run, at: Closed(run=run, at=at, who=given.name()),
    lambda given, run, at: Tick(at=at),
)

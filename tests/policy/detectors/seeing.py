"""Short ways to say what detectors see, and to ask one run's or a fleet's detectors what they make of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from opsconsole.policy.detectors.finding import Finding
from opsconsole.policy.detectors.observation import (
    CallEnded,
    CallProposed,
    Message,
    RequestEnded,
    Seen,
    Tick,
    TurnEnded,
    WaitBegan,
    Waited,
    WaitEnded,
)
from opsconsole.policy.detectors.outcome import Outcome
from opsconsole.policy.detectors.watch import Detectors
from opsconsole.policy.file.settings import DetectorSettings

ONLY = dict.fromkeys(
    ("loop", "retries", "stall", "context", "drift", "rate_limit", "parameters", "latency", "ping_pong", "burn")
)
"""Everything off, to switch one on."""


def only(**settings: Any) -> Detectors:
    """Detectors of which only some look."""
    return Detectors(DetectorSettings(**(ONLY | settings)))


def told(detectors: Detectors, seen: Iterable[Seen]) -> list[Finding]:
    """All that comes of it."""
    return [finding for one in seen for finding in detectors.observe(one)]


def texts(found: Iterable[Finding]) -> list[tuple[str, str]]:
    """How grave, and what."""
    return [(str(one.severity), one.text) for one in found]


def restarted(detectors: Detectors, *runs: str) -> Detectors:
    """The same as they come back after a restart, through JSON."""
    fleet = json.loads(json.dumps(detectors.fleet.dump()))
    memories = {run: json.loads(json.dumps(detectors.dump_run(run))) for run in runs}
    again = Detectors(detectors.settings, detectors.tuning)
    again.load_fleet(fleet)
    for run, memory in memories.items():
        again.load_run(run, "bot", memory)
    return again


def call(tool: str = "search", args: str = "a", outcome: str = "x", at: float = 0.0, **more: Any) -> CallEnded:
    """A call that is over."""
    about: dict[str, Any] = {"run": "r", "agent": "bot"} | more
    return CallEnded(call="c", tool=tool, args_digest=args, outcome=Outcome(outcome), at=at, **about)


def proposed(at: float = 0.0, **more: Any) -> CallProposed:
    """A call about to be made."""
    return CallProposed(run="r", agent="bot", call="c", tool="search", args_digest="a", at=at, **more)


def turn(at: float = 0.0, **more: Any) -> TurnEnded:
    """A turn of a model."""
    about: dict[str, Any] = {"run": "r", "agent": "bot", "model": "gpt-5"} | more
    return TurnEnded(at=at, **about)


def said(speaker: str, text: str, at: float = 0.0, **more: Any) -> Message:
    """A message."""
    return Message(run="r", agent="bot", speaker=speaker, text=text, at=at, **more)


def request(at: float, status: int | None, digest: str = "d", run: str = "r") -> RequestEnded:
    """A request to a provider."""
    return RequestEnded(run=run, agent="bot", at=at, provider="acme", request_digest=digest, status=status)


def waits(wait: str, who: str, kind: Waited, on: str = "", at: float = 0.0) -> WaitBegan:
    """Somebody begins to wait."""
    return WaitBegan(run=who, agent=who, at=at, wait=wait, kind=kind, on=on)


def ended(wait: str, who: str, at: float) -> WaitEnded:
    """Somebody waits no more."""
    return WaitEnded(run=who, agent=who, at=at, wait=wait)


def tick(at: float) -> Tick:
    """Time has passed."""
    return Tick(at=at)

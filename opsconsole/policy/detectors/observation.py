"""The plain values that detectors see: what happened, in which run, at what time; nothing here is read off a wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from opsconsole.policy.detectors.outcome import NO_OUTCOME, Outcome

LATENCY_MS_MAX = 86_400_000.0
"""A day: nothing that somebody measured lasts longer."""


class Waited(StrEnum):
    """What an open wait is for."""

    MODEL = "model"
    TOOL = "tool"
    MESSAGE = "message"
    APPROVAL = "approval"
    """Of an operator: a queue with an age, never a stall."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What every observation says. Nobody changes one; frozen, its making would take thrice the time at every event."""

    run: str
    at: float
    """Seconds since the epoch, as the hub took it: one clock for all."""
    agent: str = ""


@dataclass(slots=True, kw_only=True)
class RunStarted(Seen):
    """A run has begun."""


@dataclass(slots=True, kw_only=True)
class TurnEnded(Seen):
    """One answer of a model is complete. What is not known is 0 or empty."""

    model: str
    """As it was asked for."""
    served_model: str = ""
    provider: str = ""
    fingerprint: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    window: int = 0
    """Tokens that the model's context holds."""
    latency_ms: float = 0.0
    """Up to `LATENCY_MS_MAX`; what is beyond it is not looked at."""
    cost_usd: float | None = None
    """None: no price is known, which is not the same as nothing."""


@dataclass(slots=True, kw_only=True)
class CallProposed(Seen):
    """An agent is about to call a tool; with what the facts found wrong in it."""

    call: str
    tool: str
    args_digest: str
    """Of the canonical arguments, unmasked: equal only for equal arguments."""
    args_chars: int = 0
    args_count: int = 0
    unknown_tool: bool = False
    schema_errors: tuple[str, ...] = ()
    unknown_names: tuple[str, ...] = ()
    """Tables and columns that the schema has not."""
    ungrounded: tuple[str, ...] = ()
    """Identifiers that nothing in the run had shown before."""


@dataclass(slots=True, kw_only=True)
class CallEnded(Seen):
    """A call is over."""

    call: str
    tool: str
    args_digest: str
    outcome: Outcome = NO_OUTCOME
    ok: bool = True
    latency_ms: float = 0.0
    denied_by_console: bool = False
    """It never ran: the policy or an operator refused it, and the outcome is our own words."""


@dataclass(slots=True, kw_only=True)
class Message(Seen):
    """Something was said, whole."""

    speaker: str
    text: str
    to: str = ""
    """Whom it was sent to, by the name that waits use; empty: to nobody in particular."""


@dataclass(slots=True, kw_only=True)
class Handoff(Seen):
    """One agent gave the work to another."""

    source: str
    target: str


@dataclass(slots=True, kw_only=True)
class WaitBegan(Seen):
    """Somebody waits from now on."""

    wait: str
    """Its id, unique in the fleet."""
    kind: Waited
    on: str = ""
    """The model, the tool, or who is to send the message, by the name it waits under; empty: whoever comes first."""
    waiter: str = ""
    """Who waits, where a run holds several agents; empty: the run."""


@dataclass(slots=True, kw_only=True)
class WaitHeard(Seen):
    """A sign of life of what is waited for: a part of a stream, a progress report."""

    wait: str


@dataclass(slots=True, kw_only=True)
class WaitEnded(Seen):
    """What was waited for came, or nobody waits any more."""

    wait: str


@dataclass(slots=True, kw_only=True)
class RequestEnded(Seen):
    """One HTTP request to a model's provider is over: a turn has several when it is tried again."""

    provider: str
    request_digest: str
    """Of the request's body: equal for a repetition."""
    status: int | None
    """None: it timed out or the connection broke."""


@dataclass(slots=True, kw_only=True)
class RateReading(Seen):
    """What a provider's headers say of one of its limits."""

    provider: str
    limit: str
    """Its name, such as `requests` or `tokens`."""
    size: float
    remaining: float
    resets_at: float | None = None


@dataclass(slots=True, kw_only=True)
class Closed(Seen):
    """A run's session is over: it will send nothing more."""

    who: str = ""
    """The one of the run's agents that is gone; empty: the run."""


@dataclass(slots=True, kw_only=True)
class Tick(Seen):
    """Time has passed; a few times a minute is enough."""

    run: str = field(default="")

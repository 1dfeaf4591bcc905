"""The values of a case: what a run said, did and was told, and what must hold of it; it reads and judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from opsconsole.domain.tool_call import CallKind, CallStatus, Risk
from opsconsole.policy.interface import Decision

VERSION = 1
STEPS_MAX = 2_000
"""Of a case: what a person can still review; a longer run is pinned up to here."""
TEXT_CHARS_MAX = 16_000
"""Of one message or result."""
EXPECTATIONS_MAX = 200
CALLS_MAX = 128
"""Of one answer of the model."""

Role = Literal["user", "assistant", "thought", "system", "operator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something said that no answer of the model holds."""

    at: float
    """Seconds since the run began."""
    role: Role
    text: str
    left_out: int = 0
    """Characters of the text that were not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCall:
    """A call as the model wrote it into its answer."""

    id: str
    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the model."""

    at: float
    model: str
    text: str = ""
    left_out: int = 0
    calls: tuple[AnswerCall, ...] = ()
    served_model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    """None: no price is known."""
    status: CallStatus = CallStatus.COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call that came before the gate, what the gate said and what became of it."""

    at: float
    id: str
    tool: str
    args: Mapping[str, Any]
    kind: CallKind = CallKind.TOOL_CALL
    target: str = ""
    masked: bool = False
    """Whether secrets of the arguments are masked."""
    read_only: bool = False
    risk: Risk | None = None
    server: str | None = None
    """The MCP server that offered the tool, where that is known."""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    """What the server said of the tool."""
    schema: Mapping[str, Any] = field(default_factory=dict)
    """The JSON Schema of the arguments as it was told with the run's first call of the tool; empty where none was."""
    made_up: bool = False
    """The model called it although it was offered no tool of that name."""
    decision: Decision | None = None
    """What the policy said then; None where it was never asked."""
    rule: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was worked out for that verdict, where it was kept."""
    answer: str = ""
    """What the person who was asked did: approve, edit, reject, respond, or had granted; empty where nobody did."""
    status: CallStatus = CallStatus.PROPOSED
    result: str = ""
    left_out: int = 0
    duration_ms: float | None = None


GRANTED = "grant"
"""The answer of a standing grant: the policy asked, and nobody had to."""

Step = Message | Turn | ToolCall


class Claim(StrEnum):
    """What can be said of a case; each is the key that says it."""

    ASKS_BEFORE = "asks_before"
    DENIES = "denies"
    NEVER_CALLS = "never_calls"
    STOPS_BY_TURN = "stops_by_turn"
    COSTS_AT_MOST = "costs_at_most_usd"
    DETECTS = "detects"
    VERDICTS = "verdicts"


NO_WEAKER, THE_SAME = "no weaker", "the same"
"""What `verdicts` may be, than those that were recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One thing that must hold."""

    claim: Claim
    value: str | int | float
    """A pattern of tools, a turn, US dollars, a detector, or how verdicts compare."""
    matching: str = ""
    """Only calls whose arguments, written as JSON, hold this text, whatever its case."""
    after: str = ""
    """`never_calls`: only once a tool of this pattern has run."""
    by_turn: int | None = None
    """`detects`: not later than this turn."""
    line: int | None = None

    def __str__(self) -> str:
        held = f" with {self.matching!r}" if self.matching else ""
        match self.claim:
            case Claim.ASKS_BEFORE:
                return f"asks before {self.value}{held}"
            case Claim.DENIES:
                return f"denies {self.value}{held}"
            case Claim.NEVER_CALLS:
                return f"never calls {self.value}{held}{f' after {self.after}' if self.after else ''}"
            case Claim.STOPS_BY_TURN:
                return f"stops by turn {self.value}"
            case Claim.COSTS_AT_MOST:
                return f"costs at most ${self.value:g}"
            case Claim.DETECTS:
                return f"detects {self.value}{f' by turn {self.by_turn}' if self.by_turn else ''}"
            case Claim.VERDICTS:
                than = "than" if self.value == NO_WEAKER else "as"
                return f"verdicts {self.value} {than} recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run, pinned."""

    name: str
    agent: str
    run: str = ""
    started_at: float = 0.0
    """Unix seconds."""
    labels: Mapping[str, str] = field(default_factory=dict)
    starter: str | None = None
    policy: str = ""
    """The hash of the policy that judged it."""
    state: str = ""
    """How it ended; empty where it had not."""
    steps: tuple[Step, ...] = ()
    steps_left_out: int = 0
    expectations: tuple[Expectation, ...] = ()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The answers of the model, in order."""
        return tuple(step for step in self.steps if isinstance(step, Turn))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that came before the gate, in order."""
        return tuple(step for step in self.steps if isinstance(step, ToolCall))

    @property
    def task(self) -> str:
        """What the user asked first."""
        return next((step.text for step in self.steps if isinstance(step, Message) and step.role == "user"), "")

    @property
    def cost_usd(self) -> float:
        """Of every turn with a known price."""
        return sum(turn.cost_usd or 0.0 for turn in self.turns)

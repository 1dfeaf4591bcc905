"""What every policy answers, and the values it is asked with; the rules themselves live beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.policy.facts.interface import History

UNKNOWN_HISTORY = History(is_complete=False)
"""Of a run whose messages and results nobody gathered."""
STARTER = "starter"
"""Whoever started the run, where a rule says who may not approve."""


class Decision(StrEnum):
    """A policy's word on a proposal."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One call that wants to run."""

    run: str
    agent: str
    call: str
    kind: CallKind
    tool: str
    args: Mapping[str, Any]
    read_only_claimed: bool = False
    risk_claimed: Risk | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    now: float = 0.0
    server: str | None = None
    """The MCP server that offers the tool, by the name the hub knows it under; None: the agent's own tool."""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    """What the server says of the tool (`readOnlyHint`, …), believed only where the policy trusts the server."""
    schema: Mapping[str, Any] | None = None
    """The JSON Schema of the arguments as the server or the agent gave it: untrusted."""
    starter: str | None = None
    """The principal who started the run, where known."""
    history: History = UNKNOWN_HISTORY
    """What the run has shown before this call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """So many distinct people of one group have to say yes."""

    approvers: int = 1
    group: str | None = None
    """The group's name; None: any operator."""
    people: frozenset[str] | None = None
    """The principals in it; None: any operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Whom to ask as well when nobody has answered for so long."""

    after_seconds: float
    group: str
    people: frozenset[str] | None = None
    """The principals in it; None: any operator."""
    widens: str | None = None
    """The group whose quorum they may help to meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the policy says, by which rule, and why in words for a person and a model."""

    decision: Decision
    rule: str
    reason: str
    risk: Risk = Risk.MEDIUM
    ttl_seconds: float | None = None
    """How long to ask before refusing; None takes the protocol's default."""
    may_edit: bool = True
    quorums: tuple[Quorum, ...] = ()
    """Every one has to be met, one person counting in each; none: one operator decides."""
    not_by: tuple[str, ...] = ()
    """Principals whose yes does not count; `starter` stands for the one who started the run when nobody knows who."""
    remind_seconds: float | None = None
    """After how long those who were asked are reminded; None: never."""
    escalations: tuple[Escalation, ...] = ()
    matched: tuple[str, ...] = ()
    """Every rule that matched, the deciding one included."""
    failed: tuple[str, ...] = ()
    """Every rule that could not be evaluated: each counted as a match with the policy's `on_error`."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was worked out and looked at, by name; kept with the decision, so that it can be judged again."""

    @property
    def approvers(self) -> int:
        """How many people have to say yes, at least."""
        return max((quorum.approvers for quorum in self.quorums), default=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may spend before it is paused; None is unlimited."""

    cost_usd: float | None = None
    turns: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a run has spent."""

    cost_usd: float
    turns: int
    tokens: int


class Policy(Protocol):
    """Pure: the same inputs give the same verdict. An error inside never allows: the hub treats it as a refusal."""

    @property
    def hash(self) -> str:
        """Identifies the exact rules; part of what every decision is bound to."""
        ...

    @property
    def passes_turns(self) -> bool:
        """Whether every turn of the model is allowed whatever it asks: then several may be allowed at once."""
        ...

    def judge(self, proposal: Proposal) -> Verdict:
        """The verdict on one proposal (of an edited call, on the edited arguments)."""
        ...

    def limits(self, agent: str, labels: Mapping[str, str]) -> Limits:
        """The limits of a run when it starts."""
        ...


def tripped(spent: Spent, limits: Limits) -> str | None:
    """Which limit is reached, in words, or None."""
    if limits.cost_usd is not None and spent.cost_usd >= limits.cost_usd:
        return f"cost ${spent.cost_usd:.2f} of ${limits.cost_usd:.2f}"
    if limits.turns is not None and spent.turns >= limits.turns:
        return f"turns {spent.turns} of {limits.turns}"
    if limits.tokens is not None and spent.tokens >= limits.tokens:
        return f"tokens {spent.tokens:,} of {limits.tokens:,}"
    return None

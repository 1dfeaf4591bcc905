"""What every policy answers, and the values it is asked with; the rules themselves live beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from opsconsole.domain.tool_call import CallKind, Risk


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

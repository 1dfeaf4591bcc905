"""The call machine and the gate's outcomes; a call is what the gate admits: a tool, a model turn, a handoff."""

from __future__ import annotations

from enum import StrEnum


class CallKind(StrEnum):
    """What the gate is asked to admit."""

    TOOL_CALL = "tool_call"
    MODEL_CALL = "model_call"
    HANDOFF = "handoff"


class CallStatus(StrEnum):
    """Where a call stands."""

    PROPOSED = "proposed"
    HELD = "held"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    DENIED = "denied"
    KILLED = "killed"


class Outcome(StrEnum):
    """The gate's answer to a proposal."""

    ALLOW = "allow"
    DENY = "deny"
    ANSWER = "answer"


class Risk(StrEnum):
    """How bad a wrong call would be."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


RISK_RANK = {Risk.LOW: 0, Risk.MEDIUM: 1, Risk.HIGH: 2, Risk.CRITICAL: 3}

CALL_ENDED = frozenset({CallStatus.COMPLETED, CallStatus.FAILED, CallStatus.DENIED, CallStatus.KILLED})

CALL_TRANSITIONS: dict[CallStatus, frozenset[CallStatus]] = {
    CallStatus.PROPOSED: frozenset(CallStatus) - {CallStatus.PROPOSED},
    CallStatus.HELD: frozenset(CallStatus) - {CallStatus.PROPOSED, CallStatus.HELD},
    CallStatus.RUNNING: frozenset({CallStatus.COMPLETED, CallStatus.FAILED, CallStatus.KILLED}),
    CallStatus.COMPLETED: frozenset(),
    CallStatus.FAILED: frozenset(),
    CallStatus.DENIED: frozenset(),
    CallStatus.KILLED: frozenset(),
}
"""A call only moves forward: a retry is a new call."""


def advance_call(current: CallStatus, target: CallStatus) -> CallStatus:
    """`target` where the table allows it, else `current`: a late report never reopens a call."""
    return target if target in CALL_TRANSITIONS[current] else current


def max_risk(left: Risk, right: Risk | None) -> Risk:
    """The higher risk: an agent may raise what the policy says, never lower it."""
    return left if right is None or RISK_RANK[left] >= RISK_RANK[right] else right

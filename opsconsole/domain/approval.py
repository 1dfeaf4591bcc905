"""The approval machine: one exact call, one decision, consumed once; it knows no operators' screens and no storage.

    pending ─decide─▶ deciding ─recorded─▶ approved | edited | rejected | responded
       │                  └─record failed, or one yes of several─▶ pending
       ├─expire (hub clock)─▶ expired      counts as a refusal
       └─withdraw / fence ──▶ cancelled    counts as a refusal

No path leads from time to an allow: `expired` and `cancelled` are refusals by construction (`ALLOWS`).
"""

from __future__ import annotations

from enum import StrEnum


class ApprovalStatus(StrEnum):
    """Where an approval stands."""

    PENDING = "pending"
    DECIDING = "deciding"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    RESPONDED = "responded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Answer(StrEnum):
    """What an operator may say to an approval."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    RESPOND = "respond"


class Delivery(StrEnum):
    """How far a settled approval has travelled: recorded is not delivered, delivered is not applied."""

    NONE = "none"
    RECORDED = "recorded"
    DELIVERED = "delivered"
    APPLIED = "applied"
    VOID = "void"


ANSWERED = {
    Answer.APPROVE: ApprovalStatus.APPROVED,
    Answer.EDIT: ApprovalStatus.EDITED,
    Answer.REJECT: ApprovalStatus.REJECTED,
    Answer.RESPOND: ApprovalStatus.RESPONDED,
}
RECORDED: dict[tuple[Answer, bool], ApprovalStatus] = {
    (answer, True): status for answer, status in ANSWERED.items()
} | {
    (Answer.APPROVE, False): ApprovalStatus.PENDING,
    (Answer.EDIT, False): ApprovalStatus.PENDING,
    (Answer.REJECT, False): ApprovalStatus.REJECTED,
}
"""(answer, whether everybody who must has said yes) -> where its record leads; one no is enough, and who answers in the
agent's place must be enough alone."""
ALLOWS = frozenset({ApprovalStatus.APPROVED, ApprovalStatus.EDITED})
OPEN = frozenset({ApprovalStatus.PENDING, ApprovalStatus.DECIDING})
SETTLED = frozenset(ANSWERED.values()) | {ApprovalStatus.EXPIRED, ApprovalStatus.CANCELLED}

APPROVAL_TRANSITIONS: dict[ApprovalStatus, frozenset[ApprovalStatus]] = {
    ApprovalStatus.PENDING: frozenset(
        {ApprovalStatus.DECIDING, ApprovalStatus.EXPIRED, ApprovalStatus.CANCELLED},
    ),
    ApprovalStatus.DECIDING: frozenset(ANSWERED.values())
    | {ApprovalStatus.PENDING, ApprovalStatus.EXPIRED, ApprovalStatus.CANCELLED},
} | {status: frozenset() for status in SETTLED}

DELIVERY_TRANSITIONS: dict[Delivery, frozenset[Delivery]] = {
    Delivery.NONE: frozenset({Delivery.RECORDED}),
    Delivery.RECORDED: frozenset({Delivery.DELIVERED, Delivery.APPLIED, Delivery.VOID}),
    Delivery.DELIVERED: frozenset({Delivery.APPLIED, Delivery.VOID}),
    Delivery.APPLIED: frozenset(),
    Delivery.VOID: frozenset(),
}


def may_settle(current: ApprovalStatus, target: ApprovalStatus) -> bool:
    """Whether the table allows the move; the caller refuses the command when it does not."""
    return target in APPROVAL_TRANSITIONS[current]


def advance_delivery(current: Delivery, target: Delivery) -> Delivery:
    """`target` where the table allows it, else `current`: news of delivery only travels forward."""
    return target if target in DELIVERY_TRANSITIONS[current] else current

"""The commands an operator may give, who may give them, and how far each has come; it does not carry them out."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a token may do; operator and admin include observer, admin includes operator, gateway includes agent."""

    AGENT = "agent"
    GATEWAY = "gateway"
    """Stands between agents and their models: speaks for runs of any owner, and only as the point `gateway`."""
    OBSERVER = "observer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Do(StrEnum):
    """What a command asks for."""

    DECIDE = "decide"
    CLAIM = "claim"
    PAUSE = "pause"
    RESUME = "resume"
    FREEZE = "freeze"
    THAW = "thaw"
    INJECT = "inject"
    KILL = "kill"
    TAKEOVER = "takeover"
    RELEASE = "release"
    ANNOTATE = "annotate"
    GRANT = "grant"
    """Say yes to calls still to come."""
    REVOKE_GRANT = "revoke_grant"
    BUDGET = "budget"
    """Set other caps for a run, or for an account of a breaker."""
    ANSWER_ALERT = "answer_alert"
    """Say whether what a detector found is real."""
    VERDICT = "verdict"


class CommandStatus(StrEnum):
    """How far a command has come at its enforcement points."""

    RECORDED = "recorded"
    DELIVERED = "delivered"
    APPLIED = "applied"
    VOID = "void"
    EXPIRED = "expired"
    UNCONFIRMED = "unconfirmed"


INCLUDES: dict[Role, frozenset[Role]] = {
    Role.AGENT: frozenset({Role.AGENT}),
    Role.GATEWAY: frozenset({Role.GATEWAY, Role.AGENT}),
    Role.OBSERVER: frozenset({Role.OBSERVER}),
    Role.OPERATOR: frozenset({Role.OPERATOR, Role.OBSERVER}),
    Role.ADMIN: frozenset({Role.ADMIN, Role.OPERATOR, Role.OBSERVER}),
}

NEEDS: dict[Do, Role] = {do: Role.OPERATOR for do in Do if do is not Do.VERDICT}
"""The role each command needs; VERDICT is the hub's own and nobody may send it."""

COMMAND_TRANSITIONS: dict[CommandStatus, frozenset[CommandStatus]] = {
    CommandStatus.RECORDED: frozenset(CommandStatus) - {CommandStatus.RECORDED},
    CommandStatus.DELIVERED: frozenset({CommandStatus.APPLIED, CommandStatus.VOID, CommandStatus.UNCONFIRMED}),
    CommandStatus.UNCONFIRMED: frozenset({CommandStatus.APPLIED, CommandStatus.VOID}),
    CommandStatus.APPLIED: frozenset(),
    CommandStatus.VOID: frozenset(),
    CommandStatus.EXPIRED: frozenset(),
}


def may(role: Role, needed: Role) -> bool:
    """Whether `role` includes `needed`."""
    return needed in INCLUDES[role]


def advance_command(current: CommandStatus, target: CommandStatus) -> CommandStatus:
    """`target` where the table allows it, else `current`."""
    return target if target in COMMAND_TRANSITIONS[current] else current

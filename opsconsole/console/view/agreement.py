"""Who has said yes to a held call and who must, and what the policy saw in it, in words; it draws nothing."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.text import safe_line
from opsconsole.protocol.rows import ApprovalRow

VALUES_MAX = 5
"""Of one list among the facts."""
_PLAIN = frozenset({"tool", "hours"})
"""Facts about every call: no news."""


def said_yes(row: ApprovalRow) -> str:
    """Such as `1 of 2 (dee)`; empty where any one operator decides."""
    if not row.groups:
        return ""
    names = f" ({', '.join(row.votes)})" if row.votes else ""
    return safe_line(f"{len(row.votes)} of {row.approvers}{names}")


def must_say_yes(row: ApprovalRow) -> str:
    """Such as `1 of 2 (dee), from finance, not eli`; empty where any one operator decides."""
    of_whom = [f"{said_yes(row)}, from {' and '.join(row.groups)}"] if row.groups else []
    words = ", ".join([*of_whom, *(f"not {who}" for who in row.not_by)])
    edited = f"; {row.edited_by} has changed the arguments" if row.groups and row.edited_by else ""
    return safe_line(words + edited)


def found(row: ApprovalRow) -> str:
    """What was worked out about the call, as far as it is true, and the rules that it did not decide alone."""
    parts = [f"{name}: {words}" for name, fields in row.facts.items() if (words := _words(name, fields))]
    others = [rule for rule in row.matched if rule != row.rule]
    parts += [f"also matched: {', '.join(others)}"] if others else []
    parts += [f"could not be evaluated: {', '.join(row.failed)}"] if row.failed else []
    return safe_line("; ".join(parts))


def _words(name: str, fields: Any) -> str:
    if name in _PLAIN or not isinstance(fields, dict):
        return ""
    said = []
    for field, value in fields.items():
        if value is True:
            said.append(field)
        elif isinstance(value, list) and value:
            more = ", …" if len(value) > VALUES_MAX else ""
            said.append(f"{field} ({', '.join(map(str, value[:VALUES_MAX]))}{more})")
    return ", ".join(said).replace("_", " ")

"""Who may decide: groups of people, the quorums they make, who is left out; it knows no approval and no policy file.

Policies name people by principal or by address: the principal `dee` is the person `dee@acme.example`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from opsconsole.policy.interface import STARTER, Escalation, Quorum

EVERYBODY = "operators"


def is_member(who: str, people: frozenset[str] | None) -> bool:
    """Whether a principal is one of these people; None are all operators. An address is no bare name."""
    if people is None:
        return True
    name = who.casefold()
    return any(name == one.casefold() or ("@" not in name and name == _local(one)) for one in people)


def is_same(who: str, other: str) -> bool:
    """Whether two principals may be one person: where only one has a domain, the names alone tell."""
    if "@" in who and "@" in other:
        return who.casefold() == other.casefold()
    return _local(who) == _local(other)


def _local(name: str) -> str:
    return name.casefold().partition("@")[0]


def excludes(not_by: Iterable[str], who: str) -> str | None:
    """Why this person's yes does not count, or None. A starter whom nobody knows may be anyone."""
    for name in not_by:
        if name == STARTER:
            return "nobody knows who started this run, and that person may not decide"
        if is_same(who, name):
            return f"the policy lets {name} not decide on this call"
    return None


def may_count(quorums: Sequence[Quorum], who: str) -> bool:
    """Whether a person is in any of the groups; without quorums every operator is."""
    return not quorums or any(is_member(who, quorum.people) for quorum in quorums)


def is_met(quorums: Sequence[Quorum], voters: Sequence[str]) -> bool:
    """Whether so many distinct people of every group have said yes; without quorums one is enough."""
    distinct: list[str] = []
    for voter in voters:
        if not any(is_same(voter, known) for known in distinct):
            distinct.append(voter)
    if not quorums:
        return bool(distinct)
    return all(sum(is_member(one, quorum.people) for one in distinct) >= quorum.approvers for quorum in quorums)


def suffices(quorums: Sequence[Quorum], not_by: Iterable[str], who: str) -> bool:
    """Whether this person's yes alone is enough."""
    return is_met(quorums, [who]) and excludes(not_by, who) is None


def widened(quorums: Sequence[Quorum], escalation: Escalation) -> list[Quorum]:
    """The quorums once the next group is asked as well: it joins the group whose place it takes."""
    return [
        _widened(quorum, escalation) if escalation.widens in (quorum.group or "").split(" or ") else quorum
        for quorum in quorums
    ]


def _widened(quorum: Quorum, escalation: Escalation) -> Quorum:
    everybody = quorum.people is None or escalation.people is None
    people = None if everybody else (quorum.people or frozenset()) | (escalation.people or frozenset())
    return replace(quorum, group=f"{quorum.group} or {escalation.group}", people=people)


def wanted(quorums: Sequence[Quorum]) -> int:
    """How many people have to say yes, at least."""
    return max((quorum.approvers for quorum in quorums), default=1)


def groups(quorums: Sequence[Quorum]) -> list[str]:
    """The names of the groups that are asked; none where any one operator decides."""
    if all(one.people is None and one.approvers <= 1 for one in quorums):
        return []
    return [quorum.group or EVERYBODY for quorum in quorums]


def written(quorums: Iterable[Quorum]) -> list[dict[str, Any]]:
    """Quorums as the audit holds them."""
    return [
        {"approvers": one.approvers, "group": one.group, "people": None if one.people is None else sorted(one.people)}
        for one in quorums
    ]


def read(quorums: Iterable[dict[str, Any]]) -> list[Quorum]:
    """Quorums from the audit."""
    return [Quorum(approvers=one["approvers"], group=one["group"], people=_people(one["people"])) for one in quorums]


def written_escalations(escalations: Iterable[Escalation]) -> list[dict[str, Any]]:
    """Escalations as the audit holds them."""
    return [
        {
            "after_seconds": one.after_seconds,
            "group": one.group,
            "people": None if one.people is None else sorted(one.people),
            "widens": one.widens,
        }
        for one in escalations
    ]


def read_escalations(escalations: Iterable[dict[str, Any]]) -> list[Escalation]:
    """Escalations from the audit."""
    return [
        Escalation(
            after_seconds=one["after_seconds"],
            group=one["group"],
            people=_people(one["people"]),
            widens=one["widens"],
        )
        for one in escalations
    ]


def _people(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)

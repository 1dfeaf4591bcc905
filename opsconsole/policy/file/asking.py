"""Reads who is asked: `[people]`, and the `ask` tables of the defaults and the rules; it asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from opsconsole.policy.file.table import Table
from opsconsole.policy.file.watching import ID, ID_ACCEPTED
from opsconsole.policy.interface import STARTER, Escalation, Quorum
from opsconsole.policy.rules.engine import nearest
from opsconsole.policy.rules.rule import Ask

OPERATORS = "operators"
"""The group that exists without being listed: every operator of the hub."""
APPROVERS_MAX = 10
GROUPS_MAX = 200
ASK_SECONDS = 600.0
FACTORY_ASK = Ask(quorum=Quorum(), timeout_seconds=ASK_SECONDS, is_default=True)
"""One operator, ten minutes."""

People = Mapping[str, frozenset[str] | None]
"""Group name -> the principals in it; None: every operator."""


class OnTimeout(StrEnum):
    """What may follow when nobody answers."""

    DENY = "deny"
    ALLOW = "allow"


def read_people(table: Table) -> People:
    """The groups."""
    groups: dict[str, frozenset[str] | None] = {OPERATORS: None}
    if len(table.values) > GROUPS_MAX:
        table.add(None, f"more than {GROUPS_MAX} groups")
    for name in list(table.values)[:GROUPS_MAX]:
        members = table.texts(name)
        if not ID.fullmatch(name) or name == STARTER:
            table.add(name, ID_ACCEPTED if name != STARTER else f"{STARTER} means whoever started the run")
        elif not members and table.values[name] == []:
            table.add(name, "names nobody: nobody could ever approve")
        elif len(set(members)) < len(members):
            table.add(name, "names somebody twice")
        groups[name] = frozenset(members)
    return groups


def read_ask(table: Table, people: People, default: Ask, *, is_default: bool = False) -> Ask:
    """How to ask: what the table leaves out is as in `default`; `is_default`: it is that of the defaults."""
    table.word("on_timeout", OnTimeout, OnTimeout.DENY, but={"allow": "silence never allows a call; give deny"})
    approvers = table.whole("approvers", default.quorum.approvers, most=APPROVERS_MAX)
    group = table.text("from", default.quorum.group or OPERATORS)
    members = _members(table, "from", group, people)
    if members is not None and len(members) < approvers and group in people:
        table.add("approvers", f"asks for {approvers} people; {group} has {len(members)}")
    ask = Ask(
        quorum=Quorum(approvers=approvers, group=group, people=members),
        timeout_seconds=table.duration("timeout", default.timeout_seconds),
        may_edit=table.boolean("edit", default.may_edit),
        is_default=is_default,
        not_by=_excluded(table, people) if table.has("not_by") else default.not_by,
        remind_seconds=table.duration("remind", 60.0) if table.has("remind") else default.remind_seconds,
        escalation=_escalation(table.table("escalate"), people, group)
        if table.has("escalate")
        else default.escalation and replace(default.escalation, widens=group),
    )
    table.close()
    after_seconds = ask.escalation.after_seconds if ask.escalation else None
    for name, seconds in (("remind", ask.remind_seconds), ("escalate", after_seconds)):
        if seconds is not None and seconds >= ask.timeout_seconds and table.has(name):
            table.add(name, "comes no earlier than the timeout")
    return ask


def _members(table: Table, key: str, group: str, people: People) -> frozenset[str] | None:
    if group not in people:
        table.add(key, f"unknown group {group}; {nearest(group, list(people))}")
        return None
    return people[group]


def _excluded(table: Table, people: People) -> tuple[str, ...]:
    """`starter`, or people who are in some group."""
    names = table.texts("not_by", may_be_one=True)
    known = sorted({STARTER}.union(*(members or () for members in people.values())))
    for name in names:
        if name not in known:
            table.add("not_by", f"unknown person {name}; {nearest(name, known)}")
    return names


def _escalation(table: Table, people: People, widens: str) -> Escalation:
    table.require("after", "to")
    group = table.text("to", OPERATORS)
    found = Escalation(
        after_seconds=table.duration("after", 60.0),
        group=group,
        people=_members(table, "to", group, people),
        widens=widens,
    )
    table.close()
    return found

"""What every replay of an audit entry needs: its run, its person, the receipt of its command."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.command import Do, Role
from opsconsole.hub.desk.commands import line_of
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.state import Receipt, Run
from opsconsole.hub.desk.world import World


def run_of(world: World, entry: dict[str, Any]) -> Run | None:
    """The run an entry is about, where it is known."""
    return world.runs.get(str(entry.get("run", "")))


def who_of(entry: dict[str, Any]) -> Principal:
    """Who did what an entry tells."""
    who = entry.get("who", {})
    return Principal(name=str(who.get("principal", "hub")), role=Role(who.get("role", "operator")))


def remember(world: World, entry: dict[str, Any], at: float, runs: list[str]) -> Receipt:
    """The receipt of a command whose entry is all that is left of it."""
    receipt = Receipt(
        command=entry["command"],
        do=str(entry.get("do", Do.DECIDE)),
        by=who_of(entry).name,
        at=at,
        body_hash=entry["command_digest"],
        side=entry.get("side", ""),
        res={"cmd": entry["command"], "ok": True, "status": "recorded"},
        runs={one: line_of(one) for one in runs},
    )
    world.remember(receipt)
    return receipt

"""Commands that may not stand: answered the same when given again, on record without filling it; it judges none."""

from __future__ import annotations

from typing import Any

from opsconsole.hub.desk.effects import Effects, Reply
from opsconsole.hub.desk.principal import HUB, Principal
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.settings import REFUSALS_KEPT_MAX, REFUSALS_WINDOW_SECONDS
from opsconsole.hub.desk.state import Receipt
from opsconsole.hub.desk.world import Done, Failed, World, merged
from opsconsole.protocol.frames import Command, Res


def known(world: World, command: str, who: Principal) -> Receipt | None:
    """What this person was answered when they gave this command, if it was refused."""
    return world.refusals.get((who.name, command))


def refuse(
    world: World, command: Command, who: Principal, reply_to: str, refusal: Refusal, body_hash: str, now: float
) -> Effects:
    """Answer with the refusal; an empty `body_hash` is not remembered."""
    res = res_of(command, refusal)
    if body_hash:
        _remember(world, command, who, body_hash, res, now)
    return [Reply(to=reply_to, res=res), *_record(world, command, who, refusal, now)]


def res_of(command: Command, refusal: Refusal) -> Res:
    """A refusal as the command's answer."""
    return Res(cmd=command.cmd, ok=False, code=refusal.code, message=refusal.message, current=refusal.current)


def _remember(world: World, command: Command, who: Principal, body_hash: str, res: Res, now: float) -> None:
    receipt = Receipt(command=command.cmd, do=str(command.do), by=who.name, at=now, body_hash=body_hash)
    receipt.res = res.model_dump(mode="json", exclude_none=True)
    world.refusals[who.name, command.cmd] = receipt
    if len(world.refusals) > REFUSALS_KEPT_MAX:
        world.refusals.popitem(last=False)


def _record(world: World, command: Command, who: Principal, refusal: Refusal, now: float) -> Effects:
    if not world.refusals_told.admit((who.name, who.token_id, refusal.code), now):
        return []
    world.at(now + REFUSALS_WINDOW_SECONDS, "refusals", "")
    return record(world, command, who, refusal, now)


def record(world: World, command: Command, who: Principal, refusal: Refusal, now: float) -> Effects:
    """Record a refusal; while storage takes nothing it waits, as what somebody did."""
    body = world.entry("command.refused", who, now, refusal_details(command, refusal))
    return world.record_act(_key(command), body, is_act=refusal.code == "storage_failed")


def record_late(
    world: World,
    command: Command,
    body_hash: str,
    who: Principal,
    refusal: Refusal,
    now: float,
    done: Done,
    failed: Failed,
) -> Effects:
    """Record that a command which was on record already is refused: until this is too, a restart would apply it."""
    more = {"current": refusal.current, "command_digest": body_hash, "was_recorded": True}
    details = refusal_details(command, refusal) | more
    body = world.entry("command.refused", who, now, details)
    return world.record_act(_key(command), body, done, failed, is_act=True)


def _key(command: Command) -> str:
    return f"run/{command.run or 'none'}"


def refusal_details(command: Command, refusal: Refusal) -> dict[str, Any]:
    """A refused command, as the audit has every one."""
    return {
        "command": command.cmd,
        "do": str(command.do),
        "run": command.run,
        "approval": command.approval,
        "code": refusal.code,
        "why": refusal.message,
    }


def tell_repeated(world: World, _key: str, now: float) -> Effects:
    """Record how many equal refusals followed one that is on record."""
    counted = [
        {"of": list(key), "more": more, "seconds": REFUSALS_WINDOW_SECONDS}
        for key, more in world.refusals_told.ended(now)
    ]
    return merged(*(world.record_act("run/none", world.entry("command.refused", HUB, now, one)) for one in counted))

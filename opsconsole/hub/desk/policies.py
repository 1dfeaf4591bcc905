"""The policy in force and its changes; it reads no file and judges nothing."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.domain.text import safe_line
from opsconsole.hub.desk import breaker_ends, budgets, grants, history, leases, watch
from opsconsole.hub.desk.effects import Changed, Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Policy
from opsconsole.protocol.rows import Alert, HubRow

HUB_KEY = "hub"
"""The only row of the view of that name."""
REJECTED = "policy_rejected"
PROBLEMS_SHOWN_MAX = 5
"""On the alert; the entry has all."""
PROBLEM_CHARS_MAX = 600


def name_of(policy: Policy) -> str:
    """What people call it; the policy that holds where nobody wrote one is called `default`."""
    return str(getattr(policy, "name", "") or "default")


def change(world: World, policy: Policy, diff: str, now: float) -> Effects:
    """From now on this policy judges. What was asked before stays bound to the policy it was asked under."""
    before, world.policy = world.policy, policy
    history.resume(world)
    watch.policy_changed(world)
    budgets.policy_changed(world, now)
    recalled = [effect for run in world.runs.values() for effect in leases.rebound(world, run, now)]
    world.policy_since = now
    world.hub_alerts = [alert for alert in world.hub_alerts if alert.kind != REJECTED]
    if before.hash == policy.hash:
        return recalled + changed_hub()
    details = {"name": name_of(policy), "before": before.hash, "hash": policy.hash, "diff": diff}
    entry = world.entry("policy.changed", HUB, now, details)
    told = world.record_act("hub/policy.changed", entry, is_act=True)
    return recalled + told + grants.revoke_stale(world, now) + breaker_ends.recheck(world, now) + changed_hub()


def reject(world: World, problems: Sequence[str], now: float) -> Effects:
    """The file cannot be used: the policy in force stays, and everybody sees why."""
    shown = "; ".join(problems[:PROBLEMS_SHOWN_MAX])
    more = f"; and {len(problems) - PROBLEMS_SHOWN_MAX} more" if len(problems) > PROBLEMS_SHOWN_MAX else ""
    text = safe_line(f"the policy file cannot be used, the old policy stays: {shown}{more}", limit=PROBLEM_CHARS_MAX)
    alert = Alert(id=f"hub:{REJECTED}", kind=REJECTED, text=text, level="critical", at=now)
    world.hub_alerts = [*(one for one in world.hub_alerts if one.kind != REJECTED), alert]
    details = {"name": name_of(world.policy), "hash": world.policy.hash, "problems": list(problems)}
    entry = world.entry("policy.rejected", HUB, now, details)
    return world.record_act("hub/policy.rejected", entry) + changed_hub()


def changed_hub() -> Effects:
    """The row of the hub itself is not what it was."""
    return [Changed(view="hub", key=HUB_KEY)]


def hub_row(world: World) -> HubRow:
    """What consoles show of the hub itself."""
    return HubRow(
        key=HUB_KEY,
        policy=name_of(world.policy),
        policy_hash=world.policy.hash,
        policy_since=world.policy_since,
        alerts=world.hub_alerts,
        limits=[row for told in world.rates.values() for row in told],
    )

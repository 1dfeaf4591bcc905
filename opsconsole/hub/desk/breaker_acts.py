"""What follows when breakers speak: an alert for a warning, a pause of each run that a trip holds; never a resume."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from opsconsole.domain.command import Do
from opsconsole.domain.ids import joined_id
from opsconsole.domain.run import FENCED, HELD
from opsconsole.hub.desk import budgets, kill, watch_alerts
from opsconsole.hub.desk.budgets import Room
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.state import Receipt, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.breakers import Note, Notice
from opsconsole.protocol.rows import Alert

RUNS_NAMED_MAX = 1_000
"""Of those that one trip pauses, in its entry; the others are paused as well, and found again by the trip."""
BREAKER = "breaker"


def count(world: World, run: Run, now: float, tool: str = "") -> Effects:
    """Count what the run has used, and act on what its breakers say."""
    notices = budgets.count(world, run, now, tool)
    return act(world, run, notices, now) if notices else []


def act(world: World, run: Run | None, notices: Sequence[Notice], now: float) -> Effects:
    """Act on what breakers say; `run` brought it up."""
    effects: Effects = []
    for notice in notices:
        if notice.note is Note.TRIP:
            effects += _trip(world, run, notice, now)
        elif notice.note is not Note.RESUME and run is not None:
            effects += _warn(world, run, notice, now)
    budgets.keep_ticking(world, now)
    return effects


def stop(world: World, run: Run, room: Room, now: float) -> Effects:
    """A turn has no room: its breaker trips, or had tripped before the run came."""
    return act(world, run, room.notices, now) + hold(world, run, now)


def hold(world: World, run: Run, now: float) -> Effects:
    """Pause a run that a trip holds, if it goes on."""
    budgets.keep_ticking(world, now)
    trips = budgets.held_by(world, run)
    return pause(world, run, trips[0], now) if trips and _goes_on(run) else []


def _goes_on(run: Run) -> bool:
    return not run.ended and run.state not in FENCED and run.state not in HELD


def _trip(world: World, run: Run | None, trip: Notice, now: float) -> Effects:
    held = budgets.held_runs(world, [trip])
    paused = [one for one in held if _goes_on(one)]
    first = run or (held[0] if held else None)
    kills = world.budgets.breakers.kills(trip.breaker)
    details: dict[str, Any] = details_of(trip) | {
        "run": first.id if first else None,
        "agent": first.agent if first else "",
        "runs": [] if kills else [one.id for one in paused[:RUNS_NAMED_MAX]],
        "killed": [one.id for one in held[:RUNS_NAMED_MAX]] if kills else [],
        "held": len(held),
    }

    key = (trip.breaker, trip.account)
    world.budgets.untold[key] = (first.id if first else "", trip)
    world.dirty["watch", budgets.RECORD] = None

    def done(seq: int, _now: float) -> Effects:
        world.budgets.seq = max(world.budgets.seq, seq)
        if world.budgets.untold.get(key, ("", None))[1] is trip:
            del world.budgets.untold[key]
        world.dirty["watch", budgets.RECORD] = None
        return []

    if kills:
        effects = _kill(world, held, trip, now)
    else:
        effects = [effect for one in paused for effect in pause(world, one, trip, now)]
    stream = f"run/{first.id}" if first else "hub/breaker.tripped"
    effects += world.record_act(stream, world.entry("breaker.tripped", HUB, now, details), done)
    return effects + [effect for one in held for effect in show(world, one, alert_of(trip), note=one is first)]


def _kill(world: World, runs: Sequence[Run], trip: Notice, now: float) -> Effects:
    """Kill what a trip holds: only where the policy says so of this breaker."""
    if not runs:
        return []
    runs[0].hub_seq += 1
    command, reason = joined_id(f"cmd_breaker_{runs[0].hub_seq}", runs[0].id), budgets.words(trip)
    receipt = Receipt(command=command, do=str(Do.KILL), by=HUB.name, at=now, body_hash=command)
    receipt.res = {"cmd": command, "ok": True, "status": "recorded"}
    world.remember(receipt)
    effects = [
        effect for run in runs for effect in kill.begin(world, run, command, HUB.name, "ladder", reason, receipt, now)
    ]
    about = {"command": command, "mode": "ladder", "reason": reason, "all": False, "command_digest": command}
    names = {"runs": [run for run in receipt.runs if run in world.runs], "named": [run.id for run in runs]}
    body = world.entry("kill", HUB, now, about | names | {"run": runs[0].id if len(runs) == 1 else None, "unknown": []})
    return effects + world.record_act(f"run/{runs[0].id}" if len(runs) == 1 else "kill", body)


def details_of(trip: Notice) -> dict[str, Any]:
    """A trip as the audit holds it."""
    return {
        "breaker": trip.breaker,
        "account": trip.account,
        "limit": trip.limit,
        "reached": trip.text,
        "until": trip.until,
    }


def read_trip(entry: dict[str, Any], at: float) -> Notice:
    """A trip from its entry. Raises: KeyError."""
    return Notice(
        note=Note.TRIP,
        breaker=entry["breaker"],
        account=entry["account"],
        limit=entry["limit"],
        text=entry["reached"],
        at=at,
        until=entry["until"],
    )


def pause(world: World, run: Run, trip: Notice, now: float) -> Effects:
    """Pause a run for a trip."""
    run.hub_seq += 1
    command = joined_id(f"cmd_breaker_{run.hub_seq}", run.id)
    alert = alert_of(trip)
    return watch_alerts.pause(world, run, alert, command, now, why=budgets.words(trip)) + world.changed_run(run)


def alert_of(notice: Notice) -> Alert:
    """What a run's row says of a breaker."""
    is_trip = notice.note is Note.TRIP
    return Alert(
        id="alr_" + blake2b(f"{notice.breaker}\n{notice.account}\n{notice.limit}".encode(), digest_size=8).hexdigest(),
        kind=BREAKER,
        text=budgets.words(notice),
        level="critical" if is_trip else "warning",
        at=notice.at,
        detector=BREAKER,
        severity="trip" if is_trip else "warn",
        evidence={"breaker": notice.breaker, "account": notice.account, "limit": notice.limit},
        paused=is_trip,
    )


def show(world: World, run: Run, alert: Alert, *, note: bool = False) -> Effects:
    """Put what a breaker says on a run's row, and with `note` on its timeline."""
    return watch_alerts.show(world, run, alert, "") + (world.note_alert(run, alert) if note else [])


def _warn(world: World, run: Run, notice: Notice, now: float) -> Effects:
    """A cap is near, or a model without a price is used under one: on the row of who brought it up, and on record."""
    if run.alerts_raised >= watch_alerts.RAISED_MAX:
        return []
    run.alerts_raised += 1
    alert = alert_of(notice)
    entry = world.entry("alert.raised", HUB, now, watch_alerts.details(run, alert) | {"key": "", "command": None})
    return world.record_act(f"run/{run.id}", entry) + show(world, run, alert, note=True)


def clear(world: World, trips: Sequence[Notice]) -> list[Run]:
    """The alerts of trips that are over leave the rows; gives the runs that showed them."""
    gone = {alert_of(trip).id for trip in trips}
    changed = [run for run in world.runs.values() if any(one.id in gone for one in run.alerts)]
    for run in changed:
        run.alerts = [one for one in run.alerts if one.id not in gone]
    return changed

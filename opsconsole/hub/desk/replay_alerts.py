"""Replays what the audit says of alerts: which were raised, what was paused for them, what operators answered."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from opsconsole.domain.ids import joined_id
from opsconsole.domain.run import FENCED
from opsconsole.hub.desk import breaker_acts, breaker_ends, watch_alerts, watch_answers
from opsconsole.hub.desk.replayed import remember, run_of, who_of
from opsconsole.hub.desk.world import World
from opsconsole.protocol.rows import Alert


def raised(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    """An alert was raised, and its run perhaps paused."""
    run = run_of(world, entry)
    try:
        alert = Alert.model_validate(entry | {"id": entry["alert"], "kind": entry["detector"], "at": at})
    except (KeyError, ValidationError):
        return
    if run is None:
        if "run" not in entry:
            watch_alerts.put_on_hub(world, alert)
        return
    known = next((one for one in run.alerts if one.id == alert.id), None)
    if known is None or known.at < alert.at - 1.0 or known.severity != alert.severity:
        for name in entry.get("runs") or [run.id]:
            other = world.runs.get(str(name))
            if other is not None:
                shown = alert if other is run else alert.model_copy(update={"paused": False})
                watch_alerts.show(world, other, shown, str(entry.get("key", "")))
    if entry.get("command") and run.state not in FENCED and not run.ended and seq > run.audit_seq:
        watch_alerts.pause(world, run, alert, str(entry["command"]), at)


def answered(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    """An operator answered an alert: its row says so, and the thresholds of its agents follow, once."""
    if entry["command"] not in world.receipts:
        run = run_of(world, entry)
        remember(world, entry, at, [run.id] if run else [])
    found = watch_answers.find(world, str(entry["alert"]), str(entry.get("run") or ""))
    watch_answers.apply(world, found, str(entry["alert"]), str(entry["verdict"]), who_of(entry).name)
    if seq > world.watch.tuned_seq:
        watch_answers.tune(world, entry["detector"], list(entry["agents"]), str(entry["verdict"]))
        world.watch.tuned_seq = seq


def tripped(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    """A breaker tripped, and paused the runs that the entry names."""
    trip = breaker_acts.read_trip(entry, at)
    world.budgets.untold.pop((trip.breaker, trip.account), None)
    if seq > world.budgets.seq:
        world.budgets.breakers.put_trip(trip)
        world.budgets.seq = seq
    for name in entry["runs"]:
        run = world.runs.get(str(name))
        if run is not None and seq > run.audit_seq:
            breaker_acts.pause(world, run, trip, at)
            breaker_acts.show(world, run, breaker_acts.alert_of(trip))


def resumed(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    """A trip ended by itself, as its rule says."""
    lifted(world, {"lifted": [{"breaker": entry["breaker"], "account": entry["account"], "caps": {}}]}, seq, at)
    runs = [name for name in entry["runs"] if (run := world.runs.get(name)) is not None and seq > run.audit_seq]
    breaker_ends.go_on(world, runs, joined_id(f"cmd_ends_{seq}", entry["breaker"]), "hub", at)


def lifted(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    """A resume ended trips and raised their caps."""
    if entry.get("lifted") and seq > world.budgets.seq:
        breaker_ends.lift(world, entry["lifted"], at)
        world.budgets.seq = seq


def retuned(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    """An operator set other caps."""
    run = run_of(world, entry)
    if entry["command"] not in world.receipts:
        remember(world, entry, at, [run.id] if run else [])
    if seq > (run.audit_seq if run else world.budgets.seq):
        breaker_ends.change_budget(world, entry, who_of(entry).name, at)
        world.budgets.seq = max(world.budgets.seq, seq)

"""Folds what points say was used into a run: totals by model, what they cost, how fast it burns; it limits nothing."""

from __future__ import annotations

from opsconsole.domain.text import safe_line
from opsconsole.domain.usage import Usage, beyond, not_below
from opsconsole.hub.desk import costs, watch
from opsconsole.hub.desk.costs import OTHER_MODELS, Read
from opsconsole.hub.desk.effects import Changed, Effects
from opsconsole.hub.desk.limits import check_limits
from opsconsole.hub.desk.rows import burn_falls_at, forget_spent
from opsconsole.hub.desk.state import GATEWAY, Point, Run
from opsconsole.hub.desk.world import World
from opsconsole.protocol.events import UsageEvent

MODELS_KEPT_MAX = 32
"""Models of one run whose readings are kept apart; those of all others are added up."""
OTHERS_KEPT_MAX = 256
"""Of those others, so many whose latest reading is known; those of the rest count too high rather than too low."""
NO_USAGE = Usage()


def read(world: World, run: Run, point: Point, event: UsageEvent, now: float) -> Effects:
    """A point says what the run has used of a model, in all."""
    reading = event.reading()
    model = safe_line(event.model, limit=200)
    usd_before = 0.0
    if model not in run.usage and len(run.usage) >= MODELS_KEPT_MAX:
        usd_before = _note_other_usd(run, point, model, event.cost_usd)
        model, reading = OTHER_MODELS, run.usage.get(OTHER_MODELS, NO_USAGE) + _new_of_other(run, model, reading)
    if run.usage and model not in run.usage:
        world.end_grants(run, f"the run uses another model: {model}", now)
    before, cost = run.usage.get(model, NO_USAGE), run.cost_usd
    usage = not_below(before, reading)
    run.usage[model] = usage
    run.progress_at = now
    told = Read(model=model, usage=usage, reading=reading, event=event, usd_before=usd_before)
    costs.price(world, run, point, told, now)
    cost_usd = run.cost_usd
    watch.used(world, run, event, before, usage, cost_usd - cost, now)
    _check_served(world, run, model, event, now)
    run.spend.append((now, cost_usd))
    forget_spent(world, run, now)
    watch_burn(world, run, now)
    return [] if world.replaying else check_limits(world, run, now)


def _new_of_other(run: Run, model: str, reading: Usage) -> Usage:
    """What a reading says that the one before it of its model did not; all of it, where there is no room to know."""
    before = run.others.get(model, NO_USAGE)
    if model in run.others or len(run.others) < OTHERS_KEPT_MAX:
        run.others[model] = not_below(before, reading)
    return beyond(reading, before)


def _note_other_usd(run: Run, point: Point, model: str, usd: float | None) -> float:
    """What the gateway's sum for such a model was before, if it tells one now."""
    before = run.others_usd.get(model, 0.0)
    is_known = model in run.others_usd or len(run.others_usd) < OTHERS_KEPT_MAX
    if point.name == GATEWAY and usd is not None and is_known:
        run.others_usd[model] = max(before, usd)
    return before


def watch_burn(world: World, run: Run, now: float) -> None:
    """Show the burn rate fall when a reading leaves its window: nobody would look at a quiet run's row again."""
    if run.burning or world.replaying:
        return
    falls_at = burn_falls_at(world, run, now)
    if falls_at is not None:
        run.burning = True
        world.at(max(falls_at, now + world.settings.burn_refresh_seconds), "burn", run.id)


def burn_due(world: World, run_id: str, now: float) -> Effects:
    """The row of a run that has spent lately, once more, until its rate is zero."""
    run = world.runs.get(run_id)
    if run is None:
        return []
    run.burning = False
    if not run.ended:
        watch_burn(world, run, now)
    return [Changed(view="board", key=run.id)]


def _check_served(world: World, run: Run, model: str, event: UsageEvent, now: float) -> None:
    served = event.served_model
    if not served:
        return
    before = run.served.get(model)
    run.served[model] = served
    if before and before != served:
        text = f"{model} was served by {safe_line(served, limit=200)} instead of {safe_line(before, limit=200)}"
        world.alert(run, "model_changed", text, "warning", now)

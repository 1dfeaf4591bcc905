"""The times at which the detectors look, and what follows from what they and the breakers find then."""

from __future__ import annotations

from opsconsole.hub.desk import breaker_acts, watch, watch_alerts
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.world import World


def look(world: World, key: str, now: float) -> Effects:
    """The detectors look at what happened."""
    found = watch.look(world, key, now)
    return watch_alerts.raise_all(world, found, now) + _breakers(world, now) + watch_alerts.say_lost(world, now)


def tick(world: World, _key: str, now: float) -> Effects:
    """The detectors look at what did not happen."""
    return watch_alerts.raise_all(world, watch.tick(world, now), now)


def _breakers(world: World, now: float) -> Effects:
    notices, world.watch.notices = world.watch.notices, []
    return [effect for run, notice in notices for effect in breaker_acts.act(world, world.runs.get(run), [notice], now)]

"""Which ended runs leave the board, and the ids that stay so that nobody starts them again; it touches no log."""

from __future__ import annotations

from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.settings import FORGOTTEN_KEPT_MAX, RUNS_KEPT_MAX
from opsconsole.hub.desk.state import Run
from opsconsole.hub.desk.world import World


def forget_ended(world: World) -> Effects:
    """Drop the longest ended runs beyond RUNS_KEPT_MAX."""
    excess = len(world.runs) - RUNS_KEPT_MAX
    if excess <= 0:
        return []
    ended = sorted((run for run in world.runs.values() if run.ended), key=lambda run: run.ended_at or 0.0)[:excess]
    return [effect for run in ended for effect in _forget(world, run)]


def _forget(world: World, run: Run) -> Effects:
    del world.runs[run.id]
    _leave_family(world, run)
    world.forgotten[run.id] = str(run.state)
    world.dirty["forgotten", run.id] = None
    while len(world.forgotten) > FORGOTTEN_KEPT_MAX:
        oldest, _ = world.forgotten.popitem(last=False)
        world.dirty["forgotten", oldest] = None
    return world.removed("board", "run", run.id)


def _leave_family(world: World, run: Run) -> None:
    siblings = world.orphans.get(run.parent or "")
    if siblings is not None:
        siblings.discard(run.id)
        if not siblings:
            del world.orphans[run.parent or ""]

"""The limits of a run, at which the hub pauses it by itself; what they are is the policy's and its operators'."""

from __future__ import annotations

from opsconsole.domain.command import Do
from opsconsole.domain.ids import joined_id
from opsconsole.domain.run import FENCED, HELD, Author, RunState
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.state import Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import tripped
from opsconsole.protocol.frames import PointCommand

BUDGET = "budget"
"""How a pause begins to explain itself that a turn's reservation brought about."""


def check_limits(world: World, run: Run, now: float) -> Effects:
    """Pause a run that has reached a limit; once per limit reached."""
    if run.state in FENCED or run.state in HELD:
        return []
    reached = tripped(run.spent, run.limits)
    return [] if reached is None else stop_at(world, run, reached, now)


def stop_at(world: World, run: Run, reached: str, now: float) -> Effects:
    """Pause a run at a limit, in words, and say so on record."""
    run.hub_seq += 1
    command = joined_id(f"cmd_limit_{run.hub_seq}", run.id)
    details = {"run": run.id, "agent": run.agent, "reached": reached, "command": command}
    return (
        pause_at_limit(world, run, command, reached, now)
        + world.record_act(f"run/{run.id}", world.entry("limit.tripped", HUB, now, details))
        + world.note_command(run, command, Do.PAUSE, "hub", "recorded", now, reached)
        + world.changed_run(run)
    )


def pause_at_limit(world: World, run: Run, command: str, reached: str, now: float) -> Effects:
    """The run has spent what it may, or is about to."""
    run.tripped = reached
    world.alert(run, "limit", f"paused at its limit: {reached}", "critical", now)
    why = reached if reached.startswith(BUDGET) else f"limit: {reached}"
    return pause_by_hub(world, run, command, why, now)


def pause_by_hub(world: World, run: Run, command: str, why: str, now: float, *, end_takeover: bool = False) -> Effects:
    """The hub pauses a run by itself."""
    if end_takeover:
        run.epoch += 1
        run.baton = None
        run.composed.clear()
    world.move(run, RunState.PAUSING, Author.HUB, now)
    run.paused_by = why
    epoch = run.epoch if end_takeover else None
    frame = PointCommand(cmd=command, run=run.id, cseq=0, do=Do.PAUSE, by="hub", text=why, epoch=epoch)
    return world.tell(run, frame, now)

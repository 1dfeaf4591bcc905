"""Says on timelines and in the audit how many of the hub's own lines no storage took; what points tell is not lost."""

from __future__ import annotations

from collections.abc import Mapping

from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.world import World
from opsconsole.protocol.events import NoteEvent


def tell(world: World, lines: Mapping[str, int], now: float) -> Effects:
    """Storage takes events again: `lines` is how many of each run it was not even offered."""
    entry = world.entry("events.gap", HUB, now, {"dropped": sum(lines.values())})
    effects = world.record_act("hub/events.gap", entry)
    for run_id, count in lines.items():
        run = world.runs.get(run_id)
        if run is not None:
            run.hub_seq += 1
            text = f"{count} of the hub's own lines (links, commands, alerts) are missing here: storage took none"
            note = NoteEvent(
                seq=run.hub_seq, ts=now, type="note", level="warning", text=text, kind="gap", data={"lines": count}
            )
            effects += world.timeline(run, note) + world.changed_run(run)
    return effects

"""What a replay says of itself: that it is none of what goes on now, which moment it shows, and what was known then."""

from __future__ import annotations

from datetime import tzinfo

from opsconsole.console.view.amounts import age, count, day_and_time, money
from opsconsole.console.view.line import Line, first_that_fits, fit_line
from opsconsole.console.view.playhead import Playhead
from opsconsole.domain.ids import short_id


def headline(head: Playhead | None, *, width: int) -> Line:
    """The first line of the screen, in place of the one that says that things are live."""
    name = "" if head is None else f" {head.tape.moment(len(head.tape)).agent} {short_id(head.tape.run)}"
    lines: tuple[Line, ...] = (
        ((f" ◀◀ REPLAY, NOT LIVE{name} ", "past"), ("  nothing can be decided here · esc goes back", "dim")),
        ((f" ◀◀ REPLAY, NOT LIVE{name} ", "past"),),
        ((" ◀◀ REPLAY, NOT LIVE ", "past"),),
    )
    return fit_line(first_that_fits(lines, width), width)


def when_line(head: Playhead, *, now: float, width: int, zone: tzinfo) -> Line:
    """Which moment is shown."""
    tape = head.tape
    at = tape.at(head.index)
    moving = f"▶ ×{head.speed}" if head.playing else "■ stands"
    place = f"{head.index:,} of {len(tape):,}"
    cut = "  the rest of the run is not on this tape" if tape.is_cut else ""
    lines: tuple[Line, ...] = (
        ((f" {day_and_time(at, zone)} ", "past"), (f"  {age(now - at)} ago  event {place}  {moving}{cut}", "plain")),
        ((f" {day_and_time(at, zone)} ", "past"), (f"  {place}  {moving}", "plain")),
        ((f" {day_and_time(at, zone)} ", "past"),),
    )
    return fit_line(first_that_fits(lines, width), width)


def moment_line(head: Playhead, *, width: int) -> Line:
    """What was known of the run then; its cost is what its authors told with their turns, which no table believes."""
    moment = head.tape.moment(head.index)
    cost = "" if moment.cost_usd is None else f"  ≈{money(moment.cost_usd)} as told"
    calls = f"  {moment.open_calls} open call{'s' if moment.open_calls != 1 else ''}" if moment.open_calls else ""
    numbers = f"  {moment.turns} turns  {count(moment.tokens)} tokens{cost}{calls}"
    return fit_line(
        (
            (f" {moment.state}", "strong"),
            (numbers, "plain"),
            (f"  {moment.agent} {moment.name}".rstrip(), "dim"),
        ),
        width,
    )

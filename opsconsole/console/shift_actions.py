"""The acts of a shift: the digest, notes, arranging the table, leaving for a moment, the audit's export: no others."""

from __future__ import annotations

from opsconsole.console.action import EVERYWHERE, ON_A_RUN, READING, Action

SHIFT_ACTIONS: tuple[Action, ...] = (
    Action(
        id="show_shift",
        keys=("7", "D"),
        label="shift",
        help="Show the shift: what happened since a time, who looks at what, how people decided, notes.",
        views=READING,
    ),
    Action(
        id="since",
        asks=True,
        keys=("T",),
        label="since",
        help="Sum up since another time: 02:00, 8h, or a date and time.",
        views=frozenset({"shift"}),
        hint=1,
    ),
    Action(
        id="note",
        asks=True,
        keys=("N",),
        label="note",
        help="Leave a note on the run, for the people; the agent does not read it.",
        views=ON_A_RUN,
        hint=58,
    ),
    Action(
        id="sort",
        asks=True,
        keys=("o",),
        label="sort",
        help="Sort by a column, named by its beginning; the same one again turns the order round, nothing is urgency.",
        views=frozenset({"runs"}),
        hint=61,
    ),
    Action(
        id="group",
        asks=True,
        keys=("B",),
        label="group",
        help="Group by agent, owner or the name of a label; nothing groups by nothing.",
        views=frozenset({"runs"}),
        hint=62,
    ),
    Action(
        id="export",
        asks=True,
        keys=("E",),
        label="export",
        help="Write the entries shown to a new file, as JSON lines or, where its name ends in .csv, as CSV.",
        views=frozenset({"audit"}),
        hint=46,
    ),
    Action(
        id="suspend",
        keys=("ctrl+z",),
        label="suspend",
        help="Back to the shell for a moment; `fg` comes back. Nothing is held, and nothing is decided meanwhile.",
        views=EVERYWHERE,
        shown_key="^z",
    ),
)

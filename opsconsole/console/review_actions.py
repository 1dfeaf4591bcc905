"""The acts by which a run is looked at whole, replayed and pinned, and held calls are decided together: no others."""

from __future__ import annotations

from opsconsole.console.action import CALLS, ON_A_RUN, Action, ViewName

_PINNED: frozenset[ViewName] = ON_A_RUN | {"audit", "replay"}
_REPLAY: frozenset[ViewName] = frozenset({"replay"})

REVIEW_ACTIONS: tuple[Action, ...] = (
    Action(
        id="record",
        keys=("C",),
        label="case",
        help="Record the run as a regression case, in a file of the folder cases/; it says where.",
        views=_PINNED,
        hint=56,
    ),
    Action(
        id="mark",
        keys=("space",),
        label="mark",
        help="Mark the call, or take its mark away: marked calls are decided together, each by its own digest.",
        views=CALLS,
        hint=6,
        shown_key="space",
    ),
    Action(
        id="mark_alike",
        keys=("equals_sign",),
        label="alike",
        help="Mark every pending call of the same agent, tool and rule.",
        views=CALLS,
        hint=7,
        shown_key="=",
    ),
    Action(
        id="claim",
        keys=("c",),
        label="claim",
        help="Say that you look at the call, or no longer do: others see it, it binds nobody.",
        views=CALLS,
        hint=8,
    ),
    Action(
        id="pass_on",
        asks=True,
        keys=("P",),
        label="pass on",
        help="Say who should look at the call.",
        views=CALLS,
        hint=9,
    ),
    Action(
        id="grant",
        asks=True,
        keys=("s",),
        label="grant",
        help="Say yes to later calls with exactly these arguments: so many, for so long; not to this one.",
        views=CALLS,
        hint=10,
    ),
    Action(
        id="next_look",
        keys=("v", "tab"),
        label="look",
        help="Look at the run otherwise: timeline, conversation, curves, raw events, checkpoints.",
        views=frozenset({"run"}),
        hint=12,
        shown_key="v",
    ),
    Action(
        id="last_look",
        keys=("V",),
        label="look back",
        help="Back to the look before.",
        views=frozenset({"run"}),
    ),
    Action(
        id="replay",
        keys=("h",),
        label="replay",
        help="Scrub through the run as it happened; of an entry of the audit, from its moment.",
        views=frozenset({"runs", "run", "graph", "fleet", "audit"}),
        hint=57,
    ),
    Action(
        id="step_on",
        keys=("l", "right"),
        label="one on",
        help="One event on.",
        views=_REPLAY,
        hint=3,
        shown_key="l →",
    ),
    Action(
        id="step_back",
        keys=("h", "left"),
        label="one back",
        help="One event back.",
        views=_REPLAY,
        hint=2,
        shown_key="h ←",
    ),
    Action(id="play", keys=("space",), label="play", help="Play, or stand still.", views=_REPLAY, hint=1),
    Action(id="faster", keys=("plus",), label="faster", help="Play faster.", views=_REPLAY, hint=6, shown_key="+"),
    Action(
        id="slower", keys=("minus",), label="slower", help="Play more slowly.", views=_REPLAY, hint=7, shown_key="-"
    ),
    Action(
        id="next_stop",
        keys=("n",),
        label="next stop",
        help="On to the next state, held call, failure, warning or act of a person.",
        views=_REPLAY,
        hint=4,
    ),
    Action(
        id="last_stop",
        keys=("N",),
        label="stop before",
        help="Back to the one before.",
        views=_REPLAY,
        hint=5,
    ),
    Action(
        id="place",
        keys=("p",),
        label="its place",
        help="Go to the place of this entry in the timeline of its run.",
        views=frozenset({"audit"}),
        hint=12,
    ),
)

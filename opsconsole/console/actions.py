"""Every act of the console by id: its keys, where they work, and its words in hints and help; it performs none."""

from __future__ import annotations

from collections.abc import Iterable

from opsconsole.console.action import CALLS, ON_A_RUN, READING
from opsconsole.console.action import EVERYWHERE as EVERYWHERE
from opsconsole.console.action import Action as Action
from opsconsole.console.action import ViewName as ViewName
from opsconsole.console.alert_actions import ALERT_ACTIONS
from opsconsole.console.review_actions import REVIEW_ACTIONS
from opsconsole.console.shift_actions import SHIFT_ACTIONS

ACTIONS: tuple[Action, ...] = (
    Action(id="show_runs", keys=("1",), label="runs", help="Show the runs, most urgent first.", views=READING, hint=70),
    Action(
        id="show_approvals",
        keys=("2",),
        label="approvals",
        help="Show the queue of held calls.",
        views=READING,
        hint=20,
    ),
    Action(
        id="show_run",
        keys=("3",),
        label="run",
        help="Show the run under the cursor: its tree and its timeline.",
        views=READING,
    ),
    Action(id="show_audit", keys=("4",), label="audit", help="Show the audit log.", views=READING, hint=71),
    Action(
        id="show_graph",
        keys=("5", "w"),
        label="graph",
        help="Show the agents around the run under the cursor: who delegates to whom, who waits for whom.",
        views=READING,
    ),
    Action(
        id="show_fleet",
        keys=("6", "F"),
        label="fleet",
        help="Show the fleet: spend, approvals, limits, what tripped, the last proven stop, and whom to shed first.",
        views=READING,
    ),
    Action(
        id="show_help",
        keys=("question_mark",),
        label="help",
        help="Show this help.",
        views=EVERYWHERE,
        hint=35,
        shown_key="?",
    ),
    Action(
        id="open",
        keys=("enter",),
        label="open",
        help="Open what is under the cursor. It never decides anything.",
        views=frozenset({"runs", "approvals", "run", "audit", "graph", "fleet", "alerts", "replay"}),
        hint=11,
    ),
    Action(
        id="back",
        keys=("escape",),
        label="back",
        help="Close what was opened last, or go back.",
        views=EVERYWHERE,
        hint=80,
        shown_key="esc",
    ),
    Action(id="down", keys=("j", "down"), label="down", help="Move down.", views=EVERYWHERE, shown_key="j ↓"),
    Action(id="up", keys=("k", "up"), label="up", help="Move up.", views=EVERYWHERE, shown_key="k ↑"),
    Action(
        id="page_down",
        keys=("pagedown", "ctrl+d"),
        label="page down",
        help="Move down a page.",
        views=EVERYWHERE,
        shown_key="PgDn ^d",
    ),
    Action(
        id="page_up",
        keys=("pageup", "ctrl+u"),
        label="page up",
        help="Move up a page.",
        views=EVERYWHERE,
        shown_key="PgUp ^u",
    ),
    Action(
        id="first",
        keys=("g", "home"),
        label="first",
        help="Go to the first line.",
        views=EVERYWHERE,
        shown_key="g Home",
    ),
    Action(
        id="last",
        keys=("G", "end"),
        label="last",
        help="Go to the last line; in a timeline, follow it.",
        views=EVERYWHERE,
        shown_key="G End",
    ),
    Action(
        id="scroll_down",
        keys=("J", "right_square_bracket"),
        label="text down",
        help="Move a receipt down, then the text beside the list.",
        views=READING,
        shown_key="J ]",
    ),
    Action(
        id="scroll_up",
        keys=("K", "left_square_bracket"),
        label="text up",
        help="Move a receipt up, then the text beside the list.",
        views=READING,
        shown_key="K [",
    ),
    Action(
        id="filter",
        asks=True,
        keys=("slash",),
        label="filter",
        help="Filter: words, agent:a,b status: link: owner: cost>2 turns>9 age>5m key=value !not.",
        views=frozenset({"runs", "audit"}),
        hint=40,
        shown_key="/",
    ),
    Action(
        id="next",
        keys=("n",),
        label="next",
        help="Go to the next run that needs a person, or the next pending call.",
        views=frozenset({"runs", "approvals"}),
        hint=41,
    ),
    Action(
        id="kill",
        sudden=True,
        keys=("x",),
        label="kill",
        help="Kill the run under the cursor, at once: fence, cancel, then the ladder; the receipt opens.",
        views=ON_A_RUN,
        hint=1,
    ),
    Action(
        id="kill_many",
        asks=True,
        keys=("X",),
        label="kill all",
        help="Kill every run that the filter shows, after typing their number.",
        views=frozenset({"runs"}),
        hint=60,
    ),
    Action(
        id="pause",
        sudden=True,
        keys=("p",),
        label="pause",
        help="Pause the run, or let a paused one go on.",
        views=ON_A_RUN,
        hint=30,
    ),
    Action(
        id="freeze",
        sudden=True,
        keys=("z",),
        label="freeze",
        help="Freeze the run's processes as they are, or thaw frozen ones.",
        views=ON_A_RUN,
        hint=50,
    ),
    Action(
        id="thaw",
        sudden=True,
        keys=("Z",),
        label="thaw",
        help="Thaw the run's processes, also where they are not known to be frozen.",
        views=ON_A_RUN,
    ),
    Action(
        id="inject",
        asks=True,
        keys=("i",),
        label="inject",
        help="Send the agent a message for its next step.",
        views=ON_A_RUN,
        hint=31,
    ),
    Action(
        id="takeover",
        sudden=True,
        keys=("t",),
        label="take over",
        help="Take the run over and answer as its model; press again there to hand it back.",
        views=ON_A_RUN,
        hint=32,
    ),
    Action(
        id="release",
        asks=True,
        keys=("R",),
        label="hand back",
        help="Hand a run that you hold back to the agent, with a summary it will read.",
        views=ON_A_RUN,
        hint=33,
    ),
    Action(
        id="reply",
        asks=True,
        keys=("r",),
        label="reply",
        help="Answer the model call in words.",
        views=frozenset({"takeover"}),
        hint=2,
    ),
    Action(
        id="compose",
        asks=True,
        keys=("c",),
        label="call a tool",
        help="Answer the model call by composing a tool call.",
        views=frozenset({"takeover"}),
        hint=3,
    ),
    Action(
        id="approve",
        sudden=True,
        keys=("a",),
        label="approve",
        help="Approve exactly the call shown, once it was on screen to its end, unchanged for 0.4 s.",
        views=CALLS,
        hint=2,
    ),
    Action(
        id="edit",
        asks=True,
        keys=("e",),
        label="edit",
        help="Edit the arguments; nothing is sent before you have seen the difference.",
        views=CALLS,
        hint=3,
    ),
    Action(
        id="reject",
        asks=True,
        keys=("d",),
        label="reject",
        help="Reject the call with a reason, which the agent reads.",
        views=CALLS,
        hint=4,
    ),
    Action(
        id="respond",
        asks=True,
        keys=("r",),
        label="respond",
        help="Answer in place of the tool (or, for a model call, of the model): your text is the result.",
        views=CALLS,
        hint=5,
    ),
    Action(
        id="send_draft",
        keys=("a",),
        label="send",
        help="Send the draft as shown.",
        views=frozenset({"draft"}),
        hint=1,
        sudden=True,
    ),
    Action(
        id="edit_draft",
        keys=("e",),
        label="edit again",
        help="Go on editing the draft.",
        views=frozenset({"draft"}),
        hint=2,
    ),
    Action(
        id="older",
        keys=("o",),
        label="older",
        help="Load older entries from the hub.",
        views=frozenset({"run", "audit"}),
        hint=45,
    ),
    Action(
        id="follow",
        keys=("f",),
        label="follow",
        help="Follow the timeline's newest step.",
        views=frozenset({"run"}),
        hint=42,
    ),
    Action(
        id="verify",
        keys=("v",),
        label="verify",
        help="Have the hub verify the whole audit log.",
        views=frozenset({"audit"}),
        hint=3,
    ),
    *ALERT_ACTIONS,
    *REVIEW_ACTIONS,
    *SHIFT_ACTIONS,
    Action(
        id="copy",
        keys=("y",),
        label="copy id",
        help="Copy the id under the cursor to the clipboard.",
        views=frozenset({"runs", "approvals", "run", "audit", "takeover", "graph", "fleet", "alerts", "replay"}),
        hint=55,
    ),
    Action(
        id="palette",
        asks=True,
        keys=("colon", "ctrl+p"),
        label="command",
        help="Type what to do: the name of any act, or run ID, graph ID, filter WORDS, kill ID.",
        views=READING,
        shown_key=": ^p",
    ),
    Action(
        id="reconnect",
        keys=("ctrl+r",),
        label="reconnect",
        help="Try the hub again now.",
        views=EVERYWHERE,
        shown_key="^r",
    ),
    Action(
        id="quit",
        sudden=True,
        keys=("q",),
        label="quit",
        help="Leave the console; agents, approvals and takeovers stay as they are.",
        views=READING,
        hint=91,
    ),
)

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}


def _by_key() -> dict[tuple[ViewName, str], Action]:
    table: dict[tuple[ViewName, str], Action] = {}
    for action in ACTIONS:
        for view in action.views:
            for key in action.keys:
                if (view, key) in table:
                    raise ValueError(f"{key} means both {table[view, key].id} and {action.id} in {view}")
                table[view, key] = action
    return table


BY_KEY = _by_key()
"""(view, key) -> what it does there."""


def hints(view: ViewName, actions: Iterable[Action] = ACTIONS) -> list[Action]:
    """The acts worth a place in the line of hints of a view, most useful first."""
    return sorted(
        (action for action in actions if view in action.views and action.hint), key=lambda action: action.hint
    )

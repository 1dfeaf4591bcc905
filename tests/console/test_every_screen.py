"""Pictures of every screen of the console, narrow and wide: empty, busy, without its hub, and full of hostile text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from wcwidth import wcwidth

from opsconsole.console import sample, sample_history
from opsconsole.console.action import EVERYWHERE
from opsconsole.console.panels.run_looks import LOOKS
from opsconsole.console.sample import NOW, approval, run
from opsconsole.protocol.frames import Beat
from tests.console.graph_rows import team
from tests.console.support import Bench, rest, whole
from tests.console.support import screen as screen_text
from tests.console.test_digest import SHIFT
from tests.console.test_hostile import EVIL, evil_calls, evil_events, evil_runs
from tests.console.test_review_screens import story

STATES = ("empty", "busy", "disconnected", "hostile")
SIZES = {"80": (80, 24), "160": (160, 45)}
HERE = Path(__file__).parent / "__snapshots__"

SCREENS: dict[str, tuple[str, ...]] = {
    "runs": (),
    "approvals": ("2",),
    "timeline": ("3", "enter"),
    "checkpoints": ("3", "V"),
    "audit": ("4",),
    "help": ("question_mark",),
    "takeover": ("t",),
    "draft": ("2", "J", "J", "J", "e", "down", "end", "left", "left", "z", "escape"),
    "graph": ("w", "j"),
    "fleet": ("6", "j"),
    "shift": ("7",),
}
"""Name of a screen -> the keys that lead to it: a view, or a look at a run."""

ELSEWHERE = {
    "conversation": "test_review_screens/test_run_screen[conversation-{state}-{size}]",
    "curves": "test_review_screens/test_run_screen[curves-{state}-{size}]",
    "events": "test_review_screens/test_run_screen[events-{state}-{size}]",
    "replay": "test_review_screens/test_replay_screen[{state}-{size}]",
    "alerts": "test_alerts/test_alerts_screen[{state}-{size}]",
}
"""Screens whose pictures stand beside other tests of theirs."""

FAMILY = "👩‍👩‍👧‍👦"
ZALGO = "Z" + "\u0301\u0327\u0336" * 40
WIDE = f"漢字Ａ {FAMILY}🏳️‍🌈🔥1️⃣ ｱ각 e\u0301 {ZALGO} ﷽ 🤦‍♂️ 👍🏽🇩🇪 a\u0489{ZALGO}\u0489"
"""Characters of two cells, joined ones, and more marks on one letter than it can carry."""


def wide_runs() -> list[dict[str, Any]]:
    """A run whose every word is hard to measure."""
    waiting = {"kind": "tool", "what": WIDE, "since": NOW}
    more = {"name": WIDE, "doing": WIDE, "error": WIDE, "owner": WIDE, "labels": {WIDE: WIDE}, "models": [WIDE]}
    return [run("run_wide", WIDE, waiting=waiting, **more)]


def wide_calls() -> list[dict[str, Any]]:
    """A held call whose every word is."""
    return [
        approval("apr_wide", "run_wide", WIDE, WIDE, {WIDE: WIDE, "b": [WIDE]}, agent_reason=WIDE, why=WIDE, rule=WIDE)
    ]


def wide_events() -> list[dict[str, Any]]:
    """A timeline of such words, with a checkpoint."""
    events: list[dict[str, Any]] = [
        {"type": "message", "id": "w", "role": "assistant", "text": WIDE},
        {"type": "tool", "id": "d", "name": WIDE, "status": "proposed", "args": {WIDE: WIDE}, "reason": WIDE},
        {"type": "note", "kind": "checkpoint", "text": EVIL, "data": {"id": WIDE, "bytes": 9}},
    ]
    return [
        {"position": 50 + at, "gen": "g", "at": NOW, "event": {"seq": 50 + at, "ts": 0, **event}}
        for at, event in enumerate(events)
    ]


def entries(state: str) -> list[dict[str, Any]]:
    """What the audit holds."""
    if state != "hostile":
        shift = [{**body, "seq": at, "key": f"e{at}", "at": NOW - 160 + body["at"]} for at, body in enumerate(SHIFT, 7)]
        return [] if state == "empty" else [*sample_history.audit(), *shift]
    return [
        {
            "seq": at,
            "key": f"{words}{at}",
            "at": NOW - at,
            "kind": "approval.decided",
            "who": {"principal": words},
            "run": words,
            "agent": words,
            "answer": words,
            "note": words,
        }
        for at, words in enumerate((EVIL, WIDE), 1)
    ]


def fill(bench: Bench, screen: str, state: str) -> list[dict[str, Any]]:
    """Rows of a state; the run that the cursor is to be on comes first."""
    busy = team() if screen == "graph" else sample.runs()
    if screen == "takeover":
        busy.sort(key=lambda row: row.get("baton") is None)
    few = busy[:1] if screen in ("timeline", "checkpoints", "takeover", "graph", "draft") else []
    runs = {"empty": few, "hostile": [*evil_runs(), *wide_runs()]}.get(state, busy)
    none = sample.approvals() if screen == "draft" else []
    calls = {"empty": none, "hostile": [*wide_calls(), *evil_calls()]}.get(state, sample.approvals())
    bench.link.open()
    bench.link.snap("board", runs)
    bench.link.snap("approvals", calls)
    return runs


def must_fit(bench: Bench) -> None:
    """Every line is as wide as the screen, also where a terminal joins no characters: nothing stands outside of it."""
    lines = [strip.text for strip in bench.app.screen._compositor.render_strips()]
    assert [line for line in lines if sum(map(wcwidth, line)) != bench.app.size.width] == []


def play(bench: Bench, screen: str, state: str) -> Any:
    """Press the keys of a screen, in a fleet of this state."""
    events = {"empty": [], "hostile": [*evil_events(), *wide_events()]}.get(state, story())
    said = entries(state)

    async def audit(*, before: int | None = None, text: str = "") -> list[dict[str, Any]]:
        return [entry for entry in said if before is None or entry["seq"] < before]

    async def settle(pilot: Pilot[int]) -> None:
        bench.clock.now += 1.0
        if bench.app.session.online:
            bench.link.give(Beat(n=1, now=bench.app.session.clock.at(bench.clock.now)))
        await rest(bench.app, pilot)

    async def before(pilot: Pilot[int]) -> None:
        setattr(bench.api, "audit", audit)  # noqa: B010  what the hub answers in this state
        runs = fill(bench, screen, state)
        await settle(pilot)
        if runs and screen not in ("approvals", "draft"):  # these begin with the most urgent call of all
            bench.app.runs_panel.list.go(runs[0]["key"])
            bench.app.redraw()
        await settle(pilot)
        # an empty draft is one of an answer in words
        for key in ("2", "r", "escape") if (screen, state) == ("draft", "empty") else SCREENS[screen]:
            await pilot.press(key)
            await settle(pilot)
            timeline = bench.app.session.timeline
            if timeline is not None and timeline.rev is None:
                bench.link.snap(bench.link.tail(), events, rev=110)
            await bench.app.pages.settled()
            await bench.app.shift.settled()
            await settle(pilot)
        if state == "disconnected":
            bench.link.close()
        await settle(pilot)
        await whole(bench.app, pilot)
        must_fit(bench)
        assert bench.app.view == ("run" if screen in LOOKS else screen), screen_text(bench.app)

    return before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("screen", SCREENS)
def test_screen(snap_compare: Any, screen: str, state: str, size: str) -> None:
    bench = Bench()
    assert snap_compare(bench.app, terminal_size=SIZES[size], run_before=play(bench, screen, state))


def test_every_view_and_every_look_at_a_run_has_its_row() -> None:
    assert {*SCREENS, *ELSEWHERE} == (EVERYWHERE - {"run"}) | set(LOOKS)


@pytest.mark.parametrize("screen", ELSEWHERE)
def test_a_row_that_stands_elsewhere_has_all_its_pictures(screen: str) -> None:
    names = [ELSEWHERE[screen].format(state=state, size=size) for state in STATES for size in SIZES]
    assert [name for name in names if not (HERE / f"{name}.svg").is_file()] == []

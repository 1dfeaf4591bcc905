"""Pictures of a run whole, its replay, calls decided together and kills: empty, busy, disconnected, hostile."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from opsconsole.console import sample, sample_history
from opsconsole.console.sample import NOW, approval
from opsconsole.protocol.frames import Command
from tests.console.support import Bench, rest, whole
from tests.console.test_hostile import EVIL, evil_calls, evil_events, evil_runs

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80", "160"])
STATES = pytest.mark.parametrize("state", ["empty", "busy", "disconnected", "hostile"])
TALK = (
    "# What I found\n\n- **four** double charges in `charges`\n- one refund is open\n\n```sql\nSELECT *\n  FROM x\n```"
)


def story() -> list[dict[str, Any]]:
    """The sample's timeline, with an alert, a checkpoint, a retry and some Markdown."""
    extra: list[tuple[float, dict[str, Any]]] = [
        (-200, {"type": "note", "level": "warning", "text": "retry 1 in 2.0 s: openai answered 529"}),
        (-190, {"type": "note", "kind": "checkpoint", "text": "512 bytes", "data": {"id": "ckp_1", "bytes": 512}}),
        (-30, {"type": "message", "id": "m9", "role": "assistant", "text": TALK}),
    ]
    rows = [
        {"position": 200 + at, "gen": "g1", "at": NOW + when, "event": {"seq": 30 + at, "ts": NOW + when, **event}}
        for at, (when, event) in enumerate(extra)
    ]
    return sorted([*sample_history.events(), *rows], key=lambda row: row["at"])


def scene(bench: Bench, state: str, *keys: str, calls: list[dict[str, Any]] | None = None) -> Any:
    events = {"empty": [], "hostile": evil_events()}.get(state) if state in ("empty", "hostile") else story()
    runs = {"empty": sample.runs()[:1], "hostile": evil_runs()}.get(state) or sample.runs()
    held = {"empty": [], "hostile": evil_calls()}.get(state, calls if calls is not None else sample.approvals())
    bench.api.history = events or []

    async def before(pilot: Pilot[int]) -> None:
        bench.link.open()
        bench.link.snap("board", runs)
        bench.link.snap("approvals", held or [])
        await settle(pilot)
        bench.app.runs_panel.list.go(runs[0]["key"])
        await settle(pilot)
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
            timeline = bench.app.session.timeline
            if timeline is not None and timeline.rev is None:
                bench.link.snap(bench.link.tail(), events or [], rev=110)
            await bench.app.pages.settled()
            await settle(pilot)
        if state == "disconnected":
            bench.link.close()
        await settle(pilot)
        await whole(bench.app, pilot)

    async def settle(pilot: Pilot[int]) -> None:
        bench.clock.now += 1.0
        await rest(bench.app, pilot)

    return before


@SIZES
@STATES
@pytest.mark.parametrize("look", ["conversation", "curves", "events"])
def test_run_screen(snap_compare: Any, look: str, state: str, size: tuple[int, int]) -> None:
    keys = {"conversation": ["3", "v"], "curves": ["3", "v", "v"], "events": ["3", "v", "v", "v", "enter"]}[look]
    bench = Bench()
    assert snap_compare(bench.app, terminal_size=size, run_before=scene(bench, state, *keys))


@SIZES
@STATES
def test_replay_screen(snap_compare: Any, state: str, size: tuple[int, int]) -> None:
    bench = Bench()
    assert snap_compare(bench.app, terminal_size=size, run_before=scene(bench, state, "h", "N", "N", "enter"))


def test_replay_screen_without_colour_in_ascii(snap_compare: Any) -> None:
    bench = Bench(mono=True, plain_ascii=True)
    assert snap_compare(bench.app, terminal_size=(80, 24), run_before=scene(bench, "busy", "h", "h"))


def alike() -> list[dict[str, Any]]:
    return [
        approval(
            f"apr_m{at}",
            "run_01KAREFUND1",
            "refunds",
            "send_email",
            {"to": f"customer{at}@shop.example", "subject": "Your refund"},
            risk="low",
        )
        for at in range(5)
    ]


@SIZES
@STATES
def test_batch_screen(snap_compare: Any, state: str, size: tuple[int, int]) -> None:
    bench = Bench()
    run_before = scene(bench, state, "2", "g", "equals_sign", calls=alike())
    assert snap_compare(bench.app, terminal_size=size, run_before=run_before)


def killed(bench: Bench, state: str) -> Any:
    before = scene(bench, state, "x")

    async def and_then(pilot: Pilot[int]) -> None:
        await before(pilot)
        bench.clock.now += 1.0
        if state in ("busy", "hostile"):
            (command,) = [frame for frame in bench.link.sent if isinstance(frame, Command)]
            bench.link.accept(command)
            row = sample.runs()[0] if state == "busy" else evil_runs()[0]
            words = "4 processes ended" if state == "busy" else EVIL
            points = [
                {"name": "fence", "ms": 0.4, "outcome": "fenced"},
                {"name": "supervisor", "ms": 21, "outcome": words},
            ]
            kill = {"command": "c", "by": "ana", "mode": "ladder", "reason": "", "sent_at": NOW, "points": points}
            kill |= {"status": "dead", "proof": "process", "total_ms": 41.0}
            checkpoint = "ckp_1" if state == "busy" else EVIL
            bench.link.delta("board", [{**row, "state": "killed", "kill": kill, "checkpoint": checkpoint}])
        await rest(bench.app, pilot)
        await whole(bench.app, pilot)

    return and_then


@SIZES
@STATES
def test_receipt_screen(snap_compare: Any, state: str, size: tuple[int, int]) -> None:
    bench = Bench()
    assert snap_compare(bench.app, terminal_size=size, run_before=killed(bench, state))


@SIZES
@pytest.mark.parametrize("state", ["busy", "hostile"])
def test_kill_plan_screen(snap_compare: Any, state: str, size: tuple[int, int]) -> None:
    bench = Bench()
    assert snap_compare(bench.app, terminal_size=size, run_before=scene(bench, state, "X"))

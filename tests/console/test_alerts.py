"""Alerts in the console: their order, what is said of each, answered with one key, and caps raised with another."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from opsconsole.console.sample import NOW, run
from opsconsole.console.view.alerts import all_alerts, badge, open_alerts
from opsconsole.console.view.columns import run_line
from opsconsole.console.view.ingest import run_row
from opsconsole.console.view.run_summary import summary
from opsconsole.console.view.status import status_of
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command
from opsconsole.protocol.rows import HubRow, RunRow
from tests.console.conftest import OpenConsole
from tests.console.support import Bench, Seat, rest, whole
from tests.console.test_hostile import EVIL, check
from tests.console.test_screens import Before, Pilot


def alert(id: str, detector: str = "loop", severity: str = "warn", **about: Any) -> dict[str, Any]:
    level = "critical" if severity == "trip" else "warning"
    text = f"{detector}: sql called 4 times with the same outcome"
    return {
        "id": id, "kind": detector, "detector": detector, "severity": severity, "level": level, "text": text,
        "at": NOW - 30, "evidence": {"tool": "sql", "rule": "same call", "times": 4},
    } | about  # fmt: skip


def fleet() -> list[dict[str, Any]]:
    deadlock = alert(
        "alr_d", "stall", "trip", text="deadlock: run_A waits 40 s for run_B, run_B waits 41 s for run_A ↺ run_A",
        runs=["run_A", "run_B"], at=NOW - 50,
    )  # fmt: skip
    return [
        run("run_A", "looper", state="paused", alerts=[alert("alr_l", severity="trip", paused=True), deadlock]),
        run("run_B", "planner", alerts=[deadlock, alert("alr_w", "context")]),
        run("run_C", "poller", alerts=[alert("alr_p", verdict="fine", verdict_by="ben")]),
        run("run_D", "spender", state="paused", held_by=["day"], runway="its $10.00 cap", runway_at=NOW + 300,
            cost_per_minute_usd=0.42),
    ]  # fmt: skip


def rows(*raw: dict[str, Any]) -> list[RunRow]:
    return [run_row(one) for one in raw]


def test_open_trips_come_first_then_warnings_then_what_was_answered() -> None:
    assert [one.key for one in all_alerts(rows(*fleet()), [])] == ["alr_l", "alr_d", "alr_w", "alr_p"]


def test_an_alert_over_two_runs_is_listed_once() -> None:
    assert [one.key for one in all_alerts(rows(*fleet()), [])].count("alr_d") == 1


def test_the_hub_s_own_alerts_are_listed_too() -> None:
    hub = HubRow(key="hub", policy="p", policy_hash="h", policy_since=0.0, alerts=[alert("alr_h", "rate_limit")])
    (one,) = all_alerts([], [hub])
    assert (one.key, one.run) == ("alr_h", "")


def test_alarms_of_the_hub_s_own_rules_ask_for_no_answer() -> None:
    (row,) = rows(run("run_A", "a", alerts=[alert("x") | {"detector": ""}]))
    assert (open_alerts(row), badge(row), all_alerts([row], [])) == ([], None, [])


@pytest.mark.parametrize(("run_id", "told"), [("run_A", "▲2 trip"), ("run_B", "▲2 trip"), ("run_C", None)])
def test_a_run_s_row_tells_how_many_alerts_are_open_and_the_worst(run_id: str, told: str | None) -> None:
    (row,) = [one for one in rows(*fleet()) if one.run == run_id]
    line = "".join(text for text, _ in run_line(row, status_of(row, now=NOW, zone=UTC), now=NOW, width=120))
    assert (badge(row) or (None,))[0] == told
    assert (told or "▲") in line if told else "▲" not in line


def test_what_was_answered_is_loud_no_more() -> None:
    answered = alert("a", severity="trip", verdict="fine", verdict_by="ana")
    loud, calm = rows(run("run_A", "a", alerts=[alert("a", severity="trip")]), run("run_B", "b", alerts=[answered]))
    words = [status_of(row, now=NOW, zone=UTC).word for row in (loud, calm)]
    assert words == ["alert", "working"]


def test_a_run_that_a_breaker_holds_is_capped() -> None:
    (row,) = [one for one in rows(*fleet()) if one.run == "run_D"]
    assert status_of(row, now=NOW, zone=UTC).word == "capped"


def test_the_head_of_a_run_tells_its_runway_and_its_alerts() -> None:
    shown = {}
    goes_on = run("run_E", "writer", runway="its $10.00 cap", runway_at=NOW + 300, cost_per_minute_usd=0.42)
    for row in rows(*fleet(), goes_on):
        lines = summary(row, status_of(row, now=NOW, zone=UTC), now=NOW, zone=UTC)
        shown[row.run] = "\n".join("".join(text for text, _ in line) for line in lines)
    assert "$0.42/min, reaches its $10.00 cap at" in shown["run_E"]
    assert "reaches its" not in shown["run_D"]
    assert "▲ stall deadlock" in shown["run_A"]
    assert "✓ loop fine by ben" in shown["run_C"]


async def open_alerts_view(seat: Seat) -> None:
    seat.link.snap("board", fleet())
    await seat.settle()
    await seat.press("8")
    await seat.settle()


async def test_a_key_shows_the_alerts_with_the_evidence_of_the_first(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await open_alerts_view(seat)
        assert seat.app.view == "alerts"
        assert "3 open  2 tripped  1 answered" in seat.screen
        assert "rule: same call" in seat.screen
        assert "the hub paused the run for it" in seat.screen


@pytest.mark.parametrize(("key", "verdict"), [("r", "real"), ("f", "fine")])
async def test_one_key_answers_the_alert_under_the_cursor(console: OpenConsole, key: str, verdict: str) -> None:
    async with console(size=(120, 30)) as seat:
        await open_alerts_view(seat)
        await seat.press(key)
        (sent,) = [one for one in seat.link.commands if one.do is Do.ANSWER_ALERT]
        assert (sent.alert, sent.run, sent.verdict) == ("alr_l", "run_A", verdict)


async def test_an_alert_that_has_just_come_under_the_cursor_is_not_answered(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await open_alerts_view(seat)
        await seat.rush("j")
        await seat.settle(0.3)
        await seat.rush("f")
        await seat.settle(0.0)
        assert [one for one in seat.link.commands if one.do is Do.ANSWER_ALERT] == []
        assert "press again" in seat.screen


async def test_what_was_answered_so_is_not_answered_again(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await open_alerts_view(seat)
        await seat.press("G", "f")
        assert [one for one in seat.link.commands if one.do is Do.ANSWER_ALERT] == []
        assert "ben has said so: fine" in seat.screen


async def test_enter_opens_the_run_and_escape_goes_back(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await open_alerts_view(seat)
        await seat.press("enter")
        assert (seat.app.view, seat.app.run_panel.run) == ("run", "run_A")
        await seat.press("escape")
        assert seat.app.view == "alerts"


async def test_the_keys_for_runs_act_on_the_run_of_the_alert(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await open_alerts_view(seat)
        await seat.press("x")
        (sent,) = seat.link.commands
        assert (sent.do, sent.run) == (Do.KILL, "run_A")


async def test_what_an_alert_paused_goes_on_only_after_a_word(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await open_alerts_view(seat)
        await seat.press("p", "enter")
        assert (seat.link.commands, seat.note) == ([], "looper stays paused: that is not “go”")
        await seat.press("p")
        assert seat.note == "looper A was paused: loop: sql called 4 times with the same outcome"
        await seat.type("go")
        await seat.press("enter")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.RESUME, run="run_A")]


async def test_a_word_for_what_held_a_run_before_does_not_undo_what_holds_it_now(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await open_alerts_view(seat)
        await seat.press("p")
        other = alert("alr_m", severity="trip", paused=True, text="retry storm: 9 of 10 calls failed")
        seat.link.snap("board", [run("run_A", "looper", state="paused", alerts=[other])])
        await seat.settle()
        await seat.type("go")
        await seat.press("enter")
        assert seat.link.commands == []
        assert seat.note == "not resumed: what holds looper has changed meanwhile; press again"


async def test_what_an_alert_paused_and_somebody_answered_goes_on_at_once(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        answered = alert("alr_l", severity="trip", paused=True, verdict="fine", verdict_by="ben")
        seat.link.snap("board", [run("run_A", "looper", state="paused", alerts=[answered])])
        await seat.settle()
        await seat.settle()
        await seat.press("p")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.RESUME, run="run_A")]


async def test_a_cap_is_raised_and_the_run_goes_on_in_one_decision(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        seat.link.snap("board", fleet())
        await seat.settle()
        await seat.go("spender")
        await seat.settle()
        await seat.press("b")
        assert seat.note.startswith("give a cap such as $20, 80 turns, 500k tokens, 50 tool calls or 2h; several")
        await seat.type("$20 launch day")
        await seat.press("enter")
        (sent,) = seat.link.commands
        assert (sent.do, sent.run, sent.caps.cost_usd, sent.note) == (Do.RESUME, "run_D", 20.0, "launch day")


async def test_other_caps_of_a_run_at_work_need_a_reason(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        seat.link.snap("board", fleet())
        await seat.settle()
        await seat.go("planner")
        await seat.settle()
        await seat.press("b")
        await seat.type("80 turns")
        await seat.press("enter")
        assert seat.link.commands == []
        await seat.press("b")
        await seat.type("80 turns it is large")
        await seat.press("enter")
        (sent,) = seat.link.commands
        assert (sent.do, sent.run, sent.caps.turns, sent.note) == (Do.BUDGET, "run_B", 80, "it is large")


async def test_words_that_are_no_cap_send_nothing(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        seat.link.snap("board", fleet())
        await seat.settle()
        await seat.go("spender")
        await seat.settle()
        await seat.press("b")
        await seat.type("a lot")
        await seat.press("enter")
        assert seat.link.commands == []
        assert "give a cap such as $20" in seat.screen


def evil_fleet() -> list[dict[str, Any]]:
    hostile = alert(
        "alr_e", severity="trip", text=EVIL, evidence={EVIL: EVIL, "list": [EVIL, {EVIL: EVIL}]}, agents=[EVIL],
        runs=[EVIL, "run_evil"], verdict_by=EVIL,
    )  # fmt: skip
    return [run("run_evil", f"evil{EVIL}", alerts=[hostile])]


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_hostile_evidence_drives_nothing(console: OpenConsole, size: tuple[int, int]) -> None:
    async with console(size=size) as seat:
        seat.link.snap("board", evil_fleet())
        await seat.settle()
        await seat.press("8")
        await seat.settle()
        check(seat)


def scene(bench: Bench, board: list[dict[str, Any]], *, lost: bool = False) -> Before:
    async def before(pilot: Pilot) -> None:
        bench.link.open()
        bench.link.snap("board", board)
        bench.link.snap("approvals", [])
        for _ in range(3):
            bench.clock.now += 1.0
            await rest(bench.app, pilot)
        await pilot.press("8")
        if lost:
            bench.link.close()
        for _ in range(3):
            bench.clock.now += 1.0
            bench.app.redraw()
            await rest(bench.app, pilot)
        await whole(bench.app, pilot)

    return before


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80", "160"])
@pytest.mark.parametrize("name", ["empty", "busy", "disconnected", "hostile"])
def test_alerts_screen(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    bench = Bench()
    board = {"empty": [], "busy": fleet(), "disconnected": fleet(), "hostile": evil_fleet()}[name]
    assert snap_compare(bench.app, terminal_size=size, run_before=scene(bench, board, lost=name == "disconnected"))

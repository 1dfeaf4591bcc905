"""The fleet view: what is counted, whom to shed first, and the screen with a busy, an empty and a hostile fleet."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.console import sample
from opsconsole.console.sample import NOW, approval, run
from opsconsole.console.view.ascii_text import to_ascii
from opsconsole.console.view.board import Board
from opsconsole.console.view.fleet import SHED_MAX, Asked, Burn, Fleet, fleet_of
from opsconsole.console.view.fleet_lines import fleet_text, head_lines, shed_heading, shed_line
from opsconsole.console.view.limits import HubShown
from opsconsole.console.view.line import width_of
from opsconsole.console.view.queue import Queue
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command, Snap
from tests.console.conftest import OpenConsole
from tests.console.support import Bench, rest, whole
from tests.console.test_hostile import EVIL, check
from tests.console.test_screens import Before, Pilot


def fleet(
    rows: list[dict[str, Any]], calls: list[dict[str, Any]] | None = None, hub: dict[str, Any] | None = None
) -> Fleet:
    board, queue, shown = Board(zone=UTC), Queue(), HubShown()
    board.now = NOW
    board.rows.snap(Snap(sub="board", epoch="e", part=0, end=True, rev=1, rows=rows))
    queue.rows.snap(Snap(sub="approvals", epoch="e", part=0, end=True, rev=1, rows=calls or []))
    if hub is not None:
        shown.rows.snap(Snap(sub="hub", epoch="e", part=0, end=True, rev=1, rows=[hub]))
    return fleet_of(board, queue, shown, now=NOW)


def spending(key: str, rate: float, **fields: Any) -> dict[str, Any]:
    return run(key, key, cost_per_minute_usd=rate, **fields)


def shed(*rows: dict[str, Any]) -> list[str]:
    return [one.run for one in fleet(list(rows)).shed]


def words(found: Fleet, width: int = 120) -> str:
    lines = head_lines(found, now=NOW, width=width) + fleet_text(found, now=NOW, width=width)
    return "\n".join("".join(part for part, _ in line).rstrip() for line in lines)


def test_burn_is_of_live_runs_and_spend_of_all() -> None:
    found = fleet([spending("a", 0.5, cost_usd=1.0), run("b", "b", cost_usd=2.0, state="completed", ended_at=NOW)])
    assert (found.runs, found.live, found.cost_usd, found.live_cost_usd, found.usd_per_minute) == (2, 1, 3.0, 1.0, 0.5)
    assert found.burns == (
        Burn(agent="a", live=1, usd_per_minute=0.5, cost_usd=1.0),
        Burn(agent="b", live=0, usd_per_minute=0.0, cost_usd=2.0),
    )


def test_a_cost_without_a_price_makes_the_sum_a_lower_bound() -> None:
    assert "≥$1.0000" in words(fleet([run("a", "a", cost_usd=1.0, cost_known=False)]))


def test_the_least_important_go_first_and_among_equals_the_fastest() -> None:
    low, high = {"priority": "low"}, {"priority": "critical"}
    assert shed(
        spending("vital", 9.0, labels=high),
        spending("slow", 0.1),
        spending("fast", 0.9),
        spending("batch", 0.2, labels=low),
    ) == ["batch", "fast", "slow", "vital"]


def test_one_that_spends_without_a_step_goes_before_a_faster_one_that_gets_on() -> None:
    assert shed(spending("fast", 0.9), spending("stuck", 0.1, progress_at=NOW - 300)) == ["stuck", "fast"]


def test_what_an_operator_holds_goes_last_whatever_it_costs() -> None:
    baton = {"by": "ana", "since": NOW, "until": NOW + 9, "epoch": 1}
    assert shed(spending("held", 9.0, baton=baton, labels={"priority": "low"}), spending("a", 0.1)) == ["a", "held"]


def test_a_priority_that_is_no_word_of_ours_is_normal() -> None:
    assert shed(spending("a", 0.2, labels={"priority": "!!"}), spending("b", 0.1, labels={"priority": "low"})) == [
        "b",
        "a",
    ]


def test_what_spends_nothing_or_is_dead_is_not_offered() -> None:
    assert shed(run("idle", "a"), spending("dead", 1.0, state="completed", ended_at=NOW)) == []


def test_a_fleet_of_ten_thousand_offers_a_bounded_number() -> None:
    assert len(shed(*(spending(f"r{n}", 1 + n / 1000) for n in range(1_000)))) == SHED_MAX


def test_questions_of_the_last_hour_are_counted() -> None:
    settled = {"status": "approved", "decided_by": "ben", "requested_at": NOW - 90}
    calls = [
        approval("apr_1", "r", "a", "sh", {}, requested_at=NOW - 41),
        approval("apr_2", "r", "a", "sh", {}, **settled, decided_at=NOW - 60),
        approval("apr_3", "r", "a", "sh", {}, **{**settled, "requested_at": NOW - 9_000}, decided_at=NOW - 8_000),
    ]
    assert fleet([], calls).asked == Asked(
        pending=1, oldest_at=NOW - 41, asked_last_hour=2, settled_last_hour=1, median_wait_seconds=30.0
    )


def test_alerts_are_counted_by_kind_the_loud_ones_first() -> None:
    def alert(kind: str, level: str, at: float) -> dict[str, Any]:
        return {"id": f"{kind}{at}", "kind": kind, "text": f"{kind} {at - NOW:.0f}", "level": level, "at": at}

    found = fleet(
        [
            run("a", "a", alerts=[alert("model", "warning", NOW - 1), alert("limit", "critical", NOW - 50)]),
            run("b", "b", alerts=[alert("limit", "critical", NOW - 9)]),
            run("c", "c", alerts=[alert("limit", "critical", NOW)], state="completed", ended_at=NOW),
        ],
        hub={
            "key": "hub",
            "policy": "p",
            "policy_hash": "h",
            "policy_since": 0,
            "alerts": [alert("policy", "info", NOW)],
        },
    )
    assert [(trip.kind, trip.runs, trip.text) for trip in found.trips] == [
        ("limit", 2, "limit -9"),
        ("model", 1, "model -1"),
        ("policy", 0, "policy 0"),
    ]


def test_alerts_of_ended_runs_that_nobody_answered_are_told_beside_what_tripped() -> None:
    def ended(key: str, *alerts: str, **more: Any) -> dict[str, Any]:
        told = [
            {"id": id, "kind": "loop", "detector": "loop", "text": "t", "level": "critical", "at": NOW} for id in alerts
        ]
        return run(key, key, alerts=[one | more for one in told], state="completed", ended_at=NOW)

    found = fleet([ended("a", "1", "2"), ended("b", "2"), ended("c", "3", verdict="real")])
    assert (found.trips, found.unanswered) == ((), 2)
    assert "TRIPPED   nothing live  2 alerts of ended runs not answered (8)" in words(found)


def test_the_last_stop_is_the_newest_with_a_proof() -> None:
    def killed(key: str, sent_at: float, proof: str, status: str) -> dict[str, Any]:
        kill = {"command": "c", "by": "ana", "mode": "ladder", "reason": "", "sent_at": sent_at, "points": []}
        return run(
            key, key, state="killed", ended_at=NOW, kill={**kill, "proof": proof, "status": status, "total_ms": 41.0}
        )

    found = fleet(
        [
            killed("old", NOW - 90, "process", "dead"),
            killed("new", NOW - 30, "cooperative", "dead"),
            killed("unproven", NOW - 5, "none", "unconfirmed"),
        ]
    )
    assert (found.last_stop and found.last_stop.run, found.unconfirmed) == ("new", 1)
    assert "proof: cooperative in 41 ms" in words(found)
    assert "1 KILL UNCONFIRMED" in words(found)


def test_the_fullest_limit_is_named() -> None:
    rate = {"provider": "openai", "model": "gpt-4o", "kind": "tokens", "at": NOW}
    hub = {"key": "hub", "policy": "p", "policy_hash": "h", "policy_since": 0}
    limits = [{**rate, "used_share": 0.2}, {**rate, "model": "gpt-5", "used_share": 0.93, "level": "critical"}]
    assert "LIMITS    openai gpt-5: TPM 93 %" in words(fleet([], hub={**hub, "limits": limits}))


def test_without_a_gateway_the_limits_are_said_to_be_unknown() -> None:
    assert "LIMITS    no gateway tells of any" in words(fleet([]))


RUNS = st.lists(
    st.builds(
        lambda name, rate, cost, label, idle: {
            "agent": name, "cost_per_minute_usd": rate, "cost_usd": cost,
            "labels": {"priority": label}, "progress_at": NOW - idle,
        },
        st.text(max_size=12), st.floats(0, 1e6), st.floats(0, 1e9), st.sampled_from(["low", "", "high", "x"]),
        st.floats(-10, 1e6),
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=60)
@given(RUNS, st.integers(1, 200))
def test_any_fleet_is_drawn_in_exactly_the_width(found: list[dict[str, Any]], width: int) -> None:
    made = fleet([run(f"r{index}", **row) for index, row in enumerate(found)])
    lines = [*head_lines(made, now=NOW, width=width), shed_heading(made, width)]
    lines += [*fleet_text(made, now=NOW, width=width), *(shed_line(one, width=width) for one in made.shed)]
    assert {width_of(line) for line in lines} == {width}
    assert all(to_ascii(part).isascii() for line in lines for part, _ in line)
    assert [one.priority for one in made.shed] == sorted(one.priority for one in made.shed)


# on the screen


async def test_6_shows_the_fleet_with_the_first_to_shed_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("6")
        assert seat.app.view == "fleet"
        assert "SPEND     $17.27  $1.13/min = $67.80 an hour" in seat.screen
        assert seat.app.panels["fleet"].current_run() == "run_01KALOOPE06"


async def test_where_nothing_is_to_shed_no_act_on_a_run_is_offered(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("6")
        assert " x kill " in seat.screen
        seat.link.snap("board", [], rev=2)
        await seat.settle()
        assert " x kill " not in seat.screen


async def test_x_kills_the_run_to_shed_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("6", "j", "x")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.KILL, run="run_01KAREFUND1")]


async def test_those_to_shed_stand_still_after_a_cursor_key(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("6", "j")
        seat.link.delta("board", [spending("run_new", 50.0)])
        await seat.settle()
        assert seat.app.panels["fleet"].rows is not None
        assert "run_new" not in seat.app.panels["fleet"].rows.keys
        await seat.settle(4.0)
        assert seat.app.panels["fleet"].rows.keys[0] == "run_new"
        assert seat.app.panels["fleet"].current_run() == "run_01KAREFUND1"


async def test_enter_opens_the_run_to_shed(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("F", "enter")
        assert (seat.app.view, seat.app.run_panel.run, seat.link.commands) == ("run", "run_01KALOOPE06", [])


def evil_fleet() -> list[dict[str, Any]]:
    alert = {"id": "a", "kind": EVIL, "text": EVIL, "level": "critical", "at": NOW}
    return [
        run("run_1", EVIL, name=EVIL, cost_per_minute_usd=1.0, cost_usd=2.0, labels={"priority": EVIL}, alerts=[alert]),
        run("run_2", "LAST STOP ok, proof: process", cost_per_minute_usd=0.5, labels={"priority": "x\n a approve"}),
    ]


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (160, 45)])
async def test_no_agent_paints_outside_its_cells_of_the_fleet(console: OpenConsole, size: tuple[int, int]) -> None:
    async with console(size=size) as seat:
        seat.link.snap("board", evil_fleet())
        await seat.settle()
        for key in ("6", "j", "J", "G"):
            await seat.press(key)
            check(seat)
            assert all(len(line) <= size[0] for line in seat.screen.splitlines())


def scene(bench: Bench, rows: list[dict[str, Any]], calls: list[dict[str, Any]]) -> Before:
    async def before(pilot: Pilot[int]) -> None:
        bench.link.open()
        bench.link.snap("board", rows)
        bench.link.snap("approvals", calls)
        for key in ("6", "j"):
            await pilot.press(key)
            bench.clock.now += 1.0
            await rest(bench.app, pilot)
        await whole(bench.app, pilot)

    return before


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80", "160"])
@pytest.mark.parametrize("name", ["empty", "busy", "hostile"])
def test_fleet_screen(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    bench = Bench()
    rows = {"empty": [], "busy": sample.runs(), "hostile": evil_fleet()}[name]
    calls = sample.approvals() if name == "busy" else []
    assert snap_compare(bench.app, terminal_size=size, run_before=scene(bench, rows, calls))

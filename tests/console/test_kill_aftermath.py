"""After a kill and before one of many: what is done, in doubt or never begun; what would stop; how the work goes on."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.console.aftermath import RETRY_SECONDS
from opsconsole.console.sample import NOW, run
from opsconsole.console.view.ingest import run_row
from opsconsole.console.view.kill_plan import plan_lines
from opsconsole.console.view.open_effects import OpenEffects, effects_lines, of_run, open_effects, together
from opsconsole.console.view.receipt import resume_line
from opsconsole.console.view.unread import taken_in
from opsconsole.domain.command import Do
from opsconsole.errors import HubUnreachable
from opsconsole.protocol.frames import Command
from tests.console.conftest import OpenConsole
from tests.console.support import Seat
from tests.console.test_timeline import row, timeline

KILL = {"command": "c", "by": "ana", "mode": "ladder", "reason": "", "sent_at": NOW, "proof": "process", "points": []}


def call(at: int, id: str, status: str, **more: Any) -> dict[str, Any]:
    return row(at, type="tool", id=id, name=id, status=status, **more)


def left(*rows: dict[str, Any], sent_at: float = NOW + 50) -> OpenEffects:
    return open_effects(timeline(row(1, type="run", agent="a"), *rows), sent_at=sent_at)


def text(lines: list[Any]) -> list[str]:
    return ["".join(part for part, _ in line) for line in lines]


def test_a_call_that_ended_is_done_and_one_that_had_begun_is_in_doubt() -> None:
    rows = [call(2, "read", "completed"), call(3, "write", "running"), call(4, "bad", "failed")]
    assert left(*rows) == OpenEffects(done=("bad", "read"), unknown=("write",))


def test_a_call_that_is_called_killed_is_in_doubt_only_if_it_had_begun() -> None:
    rows = [call(2, "w", "running"), call(3, "w", "killed"), call(4, "held", "held"), call(5, "held", "killed")]
    assert left(*rows) == OpenEffects(unknown=("w",), never_started=("held",))


def test_what_was_refused_long_before_is_no_open_effect() -> None:
    rows = [call(2, "old", "denied"), call(60, "asked", "denied")]
    assert left(*rows) == OpenEffects(never_started=("asked",))


def test_a_call_that_failed_once_the_kill_was_sent_is_in_doubt() -> None:
    rows = [call(2, "handoff", "running"), call(60, "handoff", "failed", error="stopped"), call(61, "held", "failed")]
    assert left(*rows) == OpenEffects(unknown=("held", "handoff"))


def test_what_several_runs_left_is_told_together_with_how_many_nobody_read() -> None:
    one, two = OpenEffects(unknown=("pay",)), of_run(OpenEffects(done=("read",), unread=0, is_whole=False), "son 1")
    both = together([one, two], 2)
    assert both == OpenEffects(done=("son 1: read",), unknown=("pay",), is_whole=False, unread=2)
    assert text(effects_lines(both))[:2] == [
        "  effects: 1 unknown  0 never started  1 done before  ",
        "    2 runs not looked at (yet): what their calls left is not known",
    ]


def test_turns_of_the_model_have_no_effect() -> None:
    assert left(call(2, "gpt", "running", kind="model_call")) == OpenEffects()


def test_a_call_of_which_only_the_end_is_known_is_named_by_its_id_and_a_turn_by_it_is_none() -> None:
    ends = [row(at, type="tool", id=id, status="denied") for at, id in ((60, "call_7"), (61, "turn_9"))]
    assert left(*ends) == OpenEffects(never_started=("call call_7",))


def test_half_a_timeline_is_said_to_be_half() -> None:
    assert not open_effects(timeline(call(9, "x", "completed")), sent_at=NOW).is_whole


def test_what_is_in_doubt_is_said_first_and_loudly() -> None:
    lines = effects_lines(OpenEffects(done=("a", "b"), unknown=("pay x=1",), never_started=("mail",), is_whole=False))
    assert lines[0][1] == ("1 unknown  ", "alarm")
    assert text(lines) == [
        "  effects: 1 unknown  1 never started  2 done before  ",
        "    UNKNOWN, begun and not ended: pay x=1",
        "    never started: mail",
        "    the last one done: a",
        "    only the newest part of the timeline was here: there may be more",
    ]


@pytest.mark.parametrize(
    ("state", "checkpoint", "offered"),
    [
        ("killed", "ckp_1", True),
        ("failed", "ckp_1", True),
        ("completed", "ckp_1", False),
        ("killed", None, False),
        ("stopping", "ckp_1", False),
    ],
)
def test_going_on_is_offered_where_a_checkpoint_is_and_the_run_is_over_and_not_done(
    state: str, checkpoint: str | None, offered: bool
) -> None:
    lines = text(resume_line(run_row(run("run_1", "a", state=state, checkpoint=checkpoint))))
    both = [
        "  checkpoint ckp_1: a new run goes on from it, on its machine, by",
        "    opsconsole run --resume run_1 -- COMMAND",
    ]
    assert lines == (both if offered else [])


def test_a_plan_says_how_many_whose_and_what_they_cost() -> None:
    rows = [
        run_row(run(f"run_{at}", "coder" if at else "sre", cost_usd=at, cost_per_minute_usd=0.5)) for at in range(8)
    ]
    lines = text(plan_lines(rows, wanted="agent:c", below=2, now=NOW))
    assert lines[:2] == [
        "WOULD STOP 8 live runs that match “agent:c”  and 2 runs below them",
        "  coder ×7, sre  $4.00/min",
    ]
    assert lines[2].startswith("  coder 7  $7.00")
    assert lines[-1] == "  … and 3 more"


def test_a_plan_of_rows_that_nobody_read_is_that_of_the_same_rows_read() -> None:
    held = {"baton": {"by": "ben", "since": NOW, "until": NOW + 60, "epoch": 1}, "pending_approvals": 2}
    rows = [run(f"run_{at}", "sre \x07", cost_usd=at % 3, **(held if at == 4 else {})) for at in range(12)]
    plans = [
        text(plan_lines([reader(dict(told)) for told in rows], wanted="", below=0, now=NOW))
        for reader in (taken_in, run_row)
    ]
    assert plans[0] == plans[1]
    assert [line.split()[1] for line in plans[0][4:9]] == ["␇", "␇", "␇", "␇", "␇"]
    assert [line.split()[2] for line in plans[0][4:9]] == ["11", "2", "5", "8", "1"]


# in the console


async def kill_hanger(seat: Seat, *others: dict[str, Any], **more: Any) -> None:
    await seat.go("hanger")
    await seat.press("x")
    seat.link.accept(seat.link.commands[0])
    dead = run("run_01KAHANGE07", "hanger", state="killed", kill={**KILL, "status": "dead", "total_ms": 41.0}, **more)
    seat.link.delta("board", [dead, *others])
    await seat.settle()


async def test_the_receipt_says_what_the_run_left_and_how_it_goes_on(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        await kill_hanger(seat, checkpoint="ckp_1")
        seat.link.snap(seat.link.tail(), [row(1, type="run", agent="hanger"), call(2, "pay", "running")], rev=9)
        await seat.settle()
        assert "UNKNOWN, begun and not ended: pay" in seat.screen
        assert "opsconsole run --resume run_01KAHANGE07 -- COMMAND" in seat.screen


async def test_what_was_left_stays_on_the_receipt_when_another_run_is_followed(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        await kill_hanger(seat)
        seat.link.snap(seat.link.tail(), [row(1, type="run", agent="hanger"), call(2, "pay", "running")], rev=9)
        await seat.settle()
        seat.app.open_run("run_01KAREFUND1")
        await seat.settle()
        assert "UNKNOWN, begun and not ended: pay" in seat.screen


KILLED = {"state": "killed", "kill": {**KILL, "status": "dead", "total_ms": 41.0}}
PAID = [row(1, type="run", agent="son"), call(2, "pay", "running")]


async def read(seat: Seat) -> None:
    """What the runs left is asked for, and here."""
    await seat.settle()
    await seat.app.pages.settled()
    await seat.settle()


async def test_the_receipt_says_what_a_child_left_open(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        seat.api.left["run_son"] = PAID
        await kill_hanger(seat, run("run_son", "son", parent="run_01KAHANGE07", **KILLED))
        seat.link.snap(seat.link.tail(), [row(1, type="run", agent="hanger")], rev=9)
        await read(seat)
        assert "UNKNOWN, begun and not ended: son son: pay" in seat.screen


async def test_a_child_that_cannot_be_looked_at_is_counted_and_asked_for_again(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        seat.api.left["run_son"] = HubUnreachable("no answer")
        await kill_hanger(seat, run("run_son", "son", parent="run_01KAHANGE07", **KILLED))
        seat.link.snap(seat.link.tail(), [row(1, type="run", agent="hanger")], rev=9)
        await read(seat)
        assert "1 run not looked at (yet)" in seat.screen
        seat.api.left["run_son"] = PAID
        await seat.settle(RETRY_SECONDS)
        await read(seat)
        assert ("1 run not looked at" in seat.screen, "son: pay" in seat.screen) == (False, True)


async def test_the_receipt_of_several_runs_says_what_each_left_and_its_points(console: OpenConsole) -> None:
    async with console(size=(160, 45)) as seat:
        await seat.press("colon")
        await seat.type("kill all agent:sre,looper")
        await seat.press("enter")
        await seat.type("2")
        await seat.press("enter")
        (command,) = seat.link.commands
        seat.link.accept(command)
        point = {"name": "supervisor", "ms": 41.0, "outcome": "group empty"}
        kill = {**KILL, "status": "dead", "total_ms": 41.0, "points": [point]}
        for agent in ("sre", "looper"):
            seat.api.left[seat.run(agent)] = [row(1, type="run", agent=agent), call(2, f"{agent} pays", "running")]
        dead = [run(seat.run(agent), agent, **(KILLED | {"kill": kill})) for agent in ("sre", "looper")]
        seat.link.delta("board", dead)
        await read(seat)
        assert "2 unknown" in seat.screen
        assert [f"{agent} pays" in seat.screen for agent in ("sre", "looper")] == [True, True]
        assert "supervisor 41 ms group empty" in seat.screen


async def test_before_all_are_killed_it_is_shown_which(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("X")
        assert "WOULD STOP 10 live runs of this hub" in seat.screen
        await seat.press("escape")
        assert ("WOULD STOP" in seat.screen, seat.link.commands) == (False, [])


async def test_what_would_be_stopped_follows_the_fleet_once_a_second(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.rush("X")
        seat.link.delta("board", [run("run_01KAHANGE07", "hanger", cost_usd=9_999.0)])
        await seat.settle(0.5)
        assert "$9,999.00" not in " ".join(text(seat.app.receipt.pane.lines))
        await seat.settle(0.5)
        assert "$9,999.00" in " ".join(text(seat.app.receipt.pane.lines))


async def test_those_that_a_selector_names_are_killed_after_their_number(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("colon")
        await seat.type("kill all agent:sre,looper")
        await seat.press("enter")
        assert "WOULD STOP 2 live runs that match “agent:sre,looper”" in seat.screen
        await seat.type("2")
        await seat.press("enter")
        (command,) = seat.link.commands
        assert command == Command(cmd="cmd_1", do=Do.KILL, runs=command.runs)
        assert sorted(command.runs or []) == ["run_01KALOOPE06", "run_01KASREXX02"]
        assert "WOULD STOP" not in seat.screen


async def test_a_wrong_number_kills_nothing_and_takes_the_plan_away(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("colon")
        await seat.type("kill all agent:sre")
        await seat.press("enter")
        await seat.type("7")
        await seat.press("enter")
        assert (seat.link.commands, seat.note) == ([], "nothing was killed: that is not the number")
        assert "WOULD STOP" not in seat.screen


async def test_a_selector_that_names_nothing_kills_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("colon")
        await seat.type("kill all agent:nobody")
        await seat.press("enter")
        assert (seat.link.commands, seat.note) == ([], "no live run matches “agent:nobody”")

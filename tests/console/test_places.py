"""Where an operator stands after going elsewhere and back: in a list, at a call, in a draft, in a receipt."""

from __future__ import annotations

from opsconsole.console import sample
from opsconsole.console.sample import NOW, approval, run
from tests.console.conftest import OpenConsole
from tests.console.support import Seat
from tests.console.test_small_truths import opened_audit


async def test_a_queue_that_changed_while_a_call_filled_the_view_is_shown_from_its_top(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        await seat.press("2")
        queue = seat.app.approvals_panel.list
        held = queue.keys[0]
        await seat.press("enter")
        row = next(row for row in sample.approvals() if row["key"] == held)
        seat.link.delta("approvals", [{**row, "status": "rejected", "decided_by": "ben", "decided_at": sample.NOW}])
        await seat.settle()
        await seat.press("escape")
        assert queue.top == 0


async def test_an_audit_that_is_opened_again_fills_its_room(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        await opened_audit(seat)
        await seat.press("1")
        await opened_audit(seat)
        assert seat.app.audit_panel.list.top == 0


async def test_a_text_that_became_shorter_while_it_was_hidden_is_shown_from_its_top(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        await seat.press("question_mark", "G", "1")
        pane = seat.app.panels["help"].text
        assert pane is not None
        assert pane.top > 0
        pane.show(pane.lines[:5])
        assert pane.top == 0


async def call_from(seat: Seat, agent: str, *keys: str) -> str | None:
    """Under the cursor of the queue, after these keys with the cursor of the runs table on this agent's run."""
    await seat.press("1")
    await seat.go(agent)
    await seat.press(*keys)
    assert seat.app.view == "approvals"
    return seat.app.approvals_panel.list.cursor


async def test_the_queue_opens_at_the_call_of_the_run_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        assert await call_from(seat, "refunds", "2") == "apr_sql"
        assert await call_from(seat, "sre", "2") == "apr_rm"
        assert await call_from(seat, "refunds", "3", "2") == "apr_sql"


async def test_the_queue_opens_where_it_was_left_from_a_run_that_asks_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await call_from(seat, "refunds", "2")
        assert await call_from(seat, "looper", "2") == "apr_sql"
        await seat.press("j", "2")
        assert seat.app.approvals_panel.list.cursor != "apr_sql"  # it is the view shown: nothing is opened


async def test_of_the_calls_of_a_run_the_most_urgent_one_is_opened(console: OpenConsole) -> None:
    async with console() as seat:
        worse = approval("apr_x", "run_01KAREFUND1", "refunds", "drop", {}, risk="critical", requested_at=NOW - 1)
        seat.link.delta("approvals", [worse])
        await seat.settle()
        assert await call_from(seat, "refunds", "2") == "apr_x"


async def test_a_call_that_2_has_just_opened_is_not_approved_by_the_next_key(console: OpenConsole) -> None:
    async with console() as seat:
        await call_from(seat, "sre", "2")
        await seat.press("1")
        await seat.go("refunds")
        await seat.rush("2", "a")
        assert seat.link.commands == []


async def compose(seat: Seat, tool: str) -> str:
    """The draft that a call of a tool begins with."""
    await seat.press("c")
    seat.app.prompt.input.value = tool
    await seat.press("enter")
    assert seat.app.view == "draft"
    return seat.app.draft_panel.editor.text


async def test_another_tool_is_drafted_anew_and_the_first_ones_draft_is_kept(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("t")
        await compose(seat, "shell")
        seat.app.draft_panel.editor.load_text("{broken")
        await seat.press("escape", "escape")
        assert '"lookup"' in await compose(seat, "lookup")
        await seat.press("escape", "escape")
        assert await compose(seat, "shell") == "{broken"


async def test_a_draft_that_was_left_empty_is_begun_anew(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("t")
        begun = await compose(seat, "shell")
        seat.app.draft_panel.editor.load_text(" ")
        await seat.press("escape", "escape")
        assert await compose(seat, "shell") == begun


KILL = {"command": "c", "by": "ana", "mode": "ladder", "reason": "", "sent_at": NOW, "proof": "process"}


async def killed(seat: Seat) -> None:
    """A run is dead, by a receipt that is longer than its place."""
    await seat.press("x")
    seat.link.accept(seat.link.commands[0])
    points = [{"name": f"point {at}", "ms": 1.0, "outcome": "ended"} for at in range(12)]
    row = seat.app.session.board.get(seat.link.commands[0].run)
    assert row is not None
    kill = {**KILL, "status": "dead", "total_ms": 41.0, "points": points}
    seat.link.delta("board", [run(row.run, row.agent, state="killed", checkpoint="ckp_1", kill=kill)])
    await seat.settle()


async def test_a_receipt_is_read_to_its_end_and_back(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await killed(seat)
        assert "opsconsole run --resume" not in seat.screen
        await seat.press("J", "J", "J", "J")
        assert "opsconsole run --resume run_01KAHANGE07 -- COMMAND" in seat.screen
        await seat.press("K", "K", "K", "K")
        assert "KILL hanger" in seat.screen


async def test_below_a_receipt_that_was_read_to_its_end_the_text_of_the_view_moves(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("6")
        await killed(seat)
        pane = seat.app.panels["fleet"].text
        assert pane is not None
        await seat.press("J")
        assert (pane.top, seat.app.receipt.pane.top > 0) == (0, True)
        await seat.press(*"JJJJJ")
        assert pane.top > 0


async def test_another_receipt_is_shown_from_its_top(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await killed(seat)
        await seat.press("J")
        assert seat.app.receipt.pane.top > 0
        seat.app.show_receipt(seat.app.receipt.entries)
        assert seat.app.receipt.pane.top == 0


async def test_where_there_is_no_text_to_move_it_is_said(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("J")
        assert seat.note == "there is no text here to move"

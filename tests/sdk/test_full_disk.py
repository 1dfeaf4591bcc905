"""A disk that takes no more: stops are obeyed, calls are refused, the agent goes on, and nothing needs a restart."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from opsconsole.protocol.frames import PointCommand
from opsconsole.sdk import CallDenied, Run, RunStopped, conversation
from opsconsole.sdk.journal import Journal
from opsconsole.sdk.order import Order
from opsconsole.sdk.point_run import PointRun
from tests.sdk.conftest import Connect
from tests.sdk.fake_hub import TIME_LIMIT_SECONDS, FakeHub, silent


def full(journal: Journal, is_full: bool = True) -> None:
    """From now on SQLite itself refuses to write (or writes again)."""
    journal._db.execute(f"PRAGMA query_only = {int(is_full)}")


def journal_of(run: Run) -> Journal:
    return run._live.journal


def command(cseq: int, do: str, **fields: Any) -> PointCommand:
    return PointCommand.model_validate({"cmd": f"cmd_{cseq}", "run": "run_1", "cseq": cseq, "do": do, **fields})


class Point(PointRun):
    """A point that remembers what it was to carry out."""

    def __init__(self, folder: Path) -> None:
        self.done: list[str] = []
        super().__init__(Journal(folder, "run_1"), on_order=self._do, wake=lambda urgent: None)

    def _do(self, order: Order) -> None:
        self.done.append(order.cmd)

    def hear(self, frame: PointCommand) -> int | None:
        """The number to acknowledge, or None where the command could not be kept."""
        try:
            return self.command(frame)
        except sqlite3.Error:
            return None
        finally:
            self.act()


async def test_a_kill_reaches_an_agent_whose_disk_is_full(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:
                await fake_hub.seen(lambda: fake_hub.only().states())
                full(journal_of(run))
                cmd = fake_hub.send(run.id, "kill", by="ann")
                await asyncio.sleep(TIME_LIMIT_SECONDS)
        await fake_hub.seen(lambda: fake_hub.result(cmd))
    assert (fake_hub.result(cmd).status, fake_hub.result(cmd).proof) == ("applied", "cooperative")


async def test_a_call_on_a_full_disk_is_denied_and_the_agent_goes_on(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        full(journal_of(run))
        with pytest.raises(CallDenied, match="could not be journalled"):
            await run.tool("sql", {}, lambda: "ran")
        await run.note("lost")
        await run.usage("m", input_tokens=1)
        await run.checkpoint({"n": 1})
        full(journal_of(run), False)
        assert await run.tool("sql", {}, lambda: "ran") == "ran"
    assert "3 events could not be journalled and are lost" in [note["text"] for note in fake_hub.only().of("note")]


async def test_a_verdict_that_could_not_be_kept_comes_again_when_there_is_room(
    connect: Connect, fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "AGAIN_SECONDS", 0.01)
    fake_hub.verdict = silent
    async with connect() as hub, hub.run(agent="a") as run:
        call = asyncio.create_task(run.tool("sql", {}, lambda: "ran"))
        (proposed,) = await fake_hub.seen(lambda: fake_hub.only().of("tool"))
        full(journal_of(run))
        fake_hub.send(run.id, "verdict", call=proposed["id"], outcome="allow", digest=proposed["digest"])
        await fake_hub.seen(lambda: len(fake_hub.hellos) > 2)
        assert not call.done()
        full(journal_of(run), False)
        assert await call == "ran"


def test_only_stops_are_obeyed_before_they_are_kept(tmp_path: Path) -> None:
    point = Point(tmp_path)
    full(point.journal)
    orders = [command(1, "inject", text="x"), command(2, "pause"), command(3, "freeze"), command(4, "kill")]
    assert [point.hear(one) for one in orders] == [None, None, None, None]
    assert point.done == ["cmd_2", "cmd_3", "cmd_4"]


def test_what_follows_a_command_that_was_not_kept_waits_for_it(tmp_path: Path) -> None:
    point = Point(tmp_path)
    full(point.journal)
    point.hear(command(1, "inject", text="x"))
    full(point.journal, False)
    assert point.hear(command(2, "resume")) is None
    point.connected(0)
    assert [point.hear(command(1, "inject", text="x")), point.hear(command(2, "resume"))] == [1, 2]
    assert point.done == ["cmd_1", "cmd_2"]


def test_a_stop_that_was_obeyed_unkept_is_answered_the_same_and_not_done_again(tmp_path: Path) -> None:
    point = Point(tmp_path)
    full(point.journal)
    point.hear(command(1, "pause"))
    point.answer("cmd_1", ok=True, status="applied")
    (told,) = point.due_answers()
    full(point.journal, False)
    point.connected(0)
    point.due_answers()
    assert point.hear(command(1, "pause")) == 1
    assert (point.done, point.due_answers(), point.journal.answered("cmd_1")) == (["cmd_1"], [told], told)


def test_an_acknowledgement_needs_no_room(tmp_path: Path) -> None:
    point = Point(tmp_path)
    point.emit({"type": "note", "level": "info", "text": "x"})
    point.due_events()
    full(point.journal)
    point.acknowledged(1, None)
    assert point.delivered


def test_a_transaction_that_cannot_be_committed_leaves_none_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "run_1")
    journal._db.execute("CREATE TABLE later (run TEXT REFERENCES meta (name) DEFERRABLE INITIALLY DEFERRED)")
    journal._db.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError), journal.transaction():
        journal._db.execute("INSERT INTO later VALUES ('no such name')")
    assert not journal._db.in_transaction


def test_a_stop_that_comes_again_to_a_full_disk_is_obeyed_once(tmp_path: Path) -> None:
    point = Point(tmp_path)
    full(point.journal)
    for _ in range(3):
        point.hear(command(1, "kill"))
    assert point.done == ["cmd_1"]


def test_a_stop_that_was_kept_before_the_disk_was_full_is_not_done_again(tmp_path: Path) -> None:
    point = Point(tmp_path)
    point.hear(command(1, "kill"))
    full(point.journal)
    point.connected(0)
    point.hear(command(1, "kill"))
    assert point.done == ["cmd_1"]

"""Each agent end to end in this process: a real hub, the real SDK, real tools; an operator decides what runs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opsconsole.demo.agents import hanger, looper, planner, refunds, spender, sre
from opsconsole.demo.conversation import DENIED
from tests.demo.world import PLAIN_RUN, World, until, world


@pytest.fixture
async def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with world(tmp_path, monkeypatch) as made:
        yield made


def approve(_: dict[str, Any]) -> dict[str, Any]:
    return {"answer": "approve"}


def reject(_: dict[str, Any]) -> dict[str, Any]:
    return {"answer": "reject", "note": "not today"}


def refunds_by_status(root: Path) -> dict[str, int]:
    with closing(sqlite3.connect(root / "shop.db")) as database:
        return dict(database.execute("SELECT status, count(*) FROM refunds GROUP BY status"))


def paid(root: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(root / "shop.db")) as database:
        return database.execute("SELECT refund_id, cents FROM ledger").fetchall()


async def test_refunds_pays_once_an_operator_approves(there: World) -> None:
    words = await there.perform(refunds.JOB, "Refund batch 1", approve)
    assert words == "The refund is paid and booked."
    assert (refunds_by_status(there.root)["paid"], len(paid(there.root))) == (1, 1)


async def test_refunds_changes_nothing_when_an_operator_rejects(there: World) -> None:
    before = refunds_by_status(there.root)
    words = await there.perform(refunds.JOB, "Refund batch 1", reject)
    assert "I was not allowed to pay this refund; it stays pending. Denied by " in words
    assert words.endswith(": not today")
    assert refunds_by_status(there.root) == before


async def test_an_operators_edit_is_what_runs(there: World) -> None:
    def cap(row: dict[str, Any]) -> dict[str, Any]:
        if "UPDATE" not in row["args"]["statement"]:
            return approve(row)
        parameters = {**row["args"]["parameters"], "cents": 100}
        return {"answer": "edit", "args": {**row["args"], "parameters": parameters}}

    await there.perform(refunds.JOB, "Refund batch 1", cap)
    assert [cents for _, cents in paid(there.root)] == [100]


async def test_a_call_that_gateway_and_sdk_both_see_is_asked_about_once(there: World) -> None:
    asked: list[str] = []

    def count(row: dict[str, Any]) -> dict[str, Any]:
        asked.append(row["approval"])
        return approve(row)

    await there.perform(refunds.JOB, "Refund batch 1", count)
    events = await there.timeline(await there.only_run())
    calls = {event["id"] for event in events if event["type"] == "tool" and event.get("name") == "sql"}
    assert (len(set(asked)), len(calls)) == (2, 2)


async def test_a_turn_that_the_gateway_sees_is_counted_once(there: World) -> None:
    await there.perform(refunds.JOB, "Refund batch 1", approve)
    row = await there.row_with_turns(await there.only_run(), 6)
    assert (row["models"], row["cost_usd"] > 0) == (["gpt-4.1-mini"], True)
    assert len(await there.turns(row["run"], 6)) == 6


async def test_an_approval_quotes_the_models_reason(there: World) -> None:
    reasons = []

    def note(row: dict[str, Any]) -> dict[str, Any]:
        reasons.append(row["agent_reason"])
        return reject(row)

    await there.perform(refunds.JOB, "Refund batch 1", note)
    assert len(reasons) == 1
    assert reasons[0].startswith("Order ")


async def test_sre_removes_logs_and_restarts_once_approved(there: World) -> None:
    words = await there.perform_plainly(sre.JOB, "Alert 1: checkout is failing", approve)
    assert words.startswith("Checkout is back")
    assert sorted(path.name for path in (there.root / "logs").iterdir()) == ["checkout.log", "checkout.log.5"]
    assert (there.root / "run" / "restarts.txt").read_text().startswith("checkout restarted at ")


async def test_a_program_that_knows_nothing_of_opsconsole_is_a_run_with_turns_and_held_calls(there: World) -> None:
    questions: dict[str, str] = {}

    def note(row: dict[str, Any]) -> dict[str, Any]:
        questions[row["approval"]] = row["tool"]
        return approve(row)

    await there.perform_plainly(sre.JOB, "Alert 1: checkout is failing", note)
    row = await there.row_with_turns(PLAIN_RUN, 6)
    assert list(questions.values()) == ["shell", "shell"]
    assert (row["agent"], [point["name"] for point in row["points"]]) == ("sre", ["gateway"])


async def test_sre_touches_nothing_when_everything_is_rejected(there: World) -> None:
    before = sorted((there.root / "logs").iterdir())
    await there.perform_plainly(sre.JOB, "Alert 1: checkout is failing", reject)
    assert sorted((there.root / "logs").iterdir()) == before


async def test_the_planners_writer_publishes_what_the_researcher_found(there: World) -> None:
    words = await there.perform(planner.JOB, "Report 4 on late parcels", approve)
    assert words == "Done. Published as report 1."
    assert "3 tickets about late parcels" in there.shop.reports[0]["text"]


async def test_the_planners_team_are_its_children(there: World) -> None:
    await there.perform(planner.JOB, "Report 4 on late parcels", approve)
    rows = (await there.http.get("/v1/runs")).json()["rows"]
    runs = {row["agent"]: row for row in rows}
    assert {runs[name]["parent"] for name in ("researcher", "writer")} == {runs["planner"]["run"]}


async def test_the_looper_goes_on_until_an_operator_says_stop(there: World) -> None:
    working = asyncio.create_task(there.perform_plainly(looper.JOB, "Stock question 1", approve))
    await there.command(do="inject", run=await there.live_run(), text="Please stop")
    assert await working == "The operator asks me to stop: “Please stop”. I end the task here."


async def test_the_spender_is_paused_before_it_could_pass_its_cap(there: World) -> None:
    working = asyncio.create_task(there.perform_plainly(spender.JOB, "Strategy memo 1", approve))
    run = await there.live_run()

    async def paused() -> dict[str, Any] | None:
        row: dict[str, Any] = (await there.http.get(f"/v1/runs/{run}")).json()["row"]
        return row if row["state"] == "paused" else None

    try:
        row = await until(paused)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert row is not None
    assert row["cost_usd"] <= row["caps"]["cost_usd"] == 5.0
    assert "paused at its limit: budget: a turn reserves" in " ".join(alert["text"] for alert in row["alerts"])


async def test_the_hanger_hears_a_refusal(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(directory: str, query: str) -> str:
        return f"{DENIED} by policy: {directory} is closed"

    monkeypatch.setitem(hanger.JOB.tools, "search_files", refused)  # type: ignore[arg-type]
    words = await there.perform(hanger.JOB, "Ticket 1: lost invoice", approve)
    assert words == "I was not allowed to search the archive. Denied by policy: archive is closed"


async def test_an_operator_who_takes_over_answers_as_the_model(there: World) -> None:
    taken = asyncio.Event()

    def decide(row: dict[str, Any]) -> dict[str, Any]:
        if not taken.is_set():
            return {}
        return {"answer": "respond", "text": "I take it from here."} if row["kind"] == "model_call" else reject(row)

    working = asyncio.create_task(there.perform(refunds.JOB, "Refund batch 1", decide))
    takeover = await there.command(do="takeover", run=await there.live_run())
    await there.settled(takeover["cmd"])  # a turn that was let begin ahead goes on until the gateway has heard of it
    taken.set()
    assert await working == "I take it from here."

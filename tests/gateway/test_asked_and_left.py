"""What a provider was asked costs, though nobody has waited for its answer; and what may not go is not asked."""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole.gateway import app
from opsconsole.gateway.journal import GatewayJournal
from opsconsole.gateway.ledger import Begun, Left, TurnLedger, left_behind
from opsconsole.gateway.live import remember
from opsconsole.gateway.wire.outgoing import Outgoing
from opsconsole.gateway.wire.pool import Origin, Pool
from opsconsole.sdk.calls import Calls
from opsconsole.sdk.journal import journal_folder
from tests.gateway.place import Place, running_gateway, running_place
from tests.gateway.raw_upstream import RawPlace, raw_place
from tests.support.hub import PATIENCE_SECONDS, eventually, running_hub
from tests.support.model_script import mark
from tests.support.model_upstream import running_upstream

KEY = {"authorization": "Bearer sk-agent"}
EMBEDDING = {"model": "my-embedder", "input": "x" * 400}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": mark("hello")}]}
WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}
PATHS = {"/embeddings": EMBEDDING, "/chat/completions": CHAT}


@pytest.fixture
async def silent(tmp_path: Path) -> AsyncIterator[RawPlace]:
    """A provider that is asked, and says nothing for now."""
    async with raw_place(tmp_path, grace_seconds=0.1) as found:
        found.upstream.lets_answer.clear()
        yield found
        found.upstream.lets_answer.set()


@pytest.fixture
async def returning(tmp_path: Path) -> AsyncIterator[RawPlace]:
    """The same; clients that leave may come back for long."""
    async with raw_place(tmp_path, grace_seconds=30.0) as found:
        found.upstream.lets_answer.clear()
        yield found
        found.upstream.lets_answer.set()


def seen(raw: RawPlace) -> Place:
    return Place(raw.hub, raw.gateway, raw.upstream)  # type: ignore[arg-type]


async def asked(place: Place, path: str) -> httpx.Response:
    return await place.post("/r/run_1/tester/openai/v1" + path, json=PATHS[path], headers=KEY)


async def used(place: Place) -> dict[str, Any]:
    return await place.told(lambda event: event["type"] == "usage")


@pytest.mark.parametrize("path", list(PATHS))
async def test_what_a_client_leaves_while_its_provider_works_on_it_costs(silent: RawPlace, path: str) -> None:
    asking = asyncio.create_task(asked(seen(silent), path))
    await eventually(lambda: silent.upstream.asked)
    asking.cancel()
    assert (await used(seen(silent)))["input_tokens"] > 0
    assert silent.gateway.paced._out == set()


@pytest.mark.parametrize("path", list(PATHS))
async def test_what_is_killed_while_its_provider_works_on_it_costs(silent: RawPlace, path: str) -> None:
    asking = asyncio.create_task(asked(seen(silent), path))
    await eventually(lambda: silent.upstream.asked)
    await seen(silent).command("kill")
    assert ((await asking).status_code, (await used(seen(silent)))["input_tokens"] > 0) == (403, True)


@pytest.mark.parametrize("path", list(PATHS))
async def test_what_is_not_answered_in_time_may_yet_be_paid_for_and_costs(tmp_path: Path, path: str) -> None:
    async with raw_place(tmp_path, read_seconds=0.1) as raw:
        raw.upstream.lets_answer.clear()
        answer = await asked(seen(raw), path)
        raw.upstream.lets_answer.set()
        assert (answer.status_code, (await used(seen(raw)))["input_tokens"] > 0) == (504, True)


async def test_an_answer_that_is_refused_for_being_compressed_costs(silent: RawPlace) -> None:
    silent.upstream.says(gzip.compress(b"{}"), headers=b"content-encoding: gzip")
    silent.upstream.lets_answer.set()
    answer = await asked(seen(silent), "/chat/completions")
    assert (answer.status_code, (await used(seen(silent)))["input_tokens"] > 0) == (502, True)


@pytest.mark.parametrize("path", list(PATHS))
async def test_a_run_that_is_paused_while_its_connection_is_opened_is_not_sent_until_it_is_resumed(
    silent: RawPlace, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    place = seen(silent)
    silent.upstream.says(b"{}", status=b"400 Bad Request")
    opens, waiting, opened = asyncio.Event(), asyncio.Event(), Pool._opened

    async def slow(pool: Pool, origin: Origin) -> Outgoing:
        waiting.set()
        await opens.wait()
        return await opened(pool, origin)

    monkeypatch.setattr(Pool, "_opened", slow)
    asking = asyncio.create_task(asked(place, path))
    await waiting.wait()
    await place.command("pause")
    run = place.gateway.runs.live[0]
    await eventually(lambda: run.live.session.paused)
    opens.set()
    await eventually(lambda: not place.gateway.paced._out)
    before = len(silent.upstream.asked)
    silent.upstream.lets_answer.set()
    await place.command("resume")
    assert (before, (await asking).status_code, len(silent.upstream.asked)) == (0, 400, 1)


async def test_the_embeddings_of_a_paused_run_are_counted_among_what_is_held(tmp_path: Path) -> None:
    async with running_place(tmp_path, held_mib=1) as place:
        await asked(place, "/embeddings")
        await place.command("pause")
        await eventually(lambda: place.gateway.runs.live[0].live.session.paused)
        large = {"model": "my-embedder", "input": "x" * 700_000}
        url = "/r/run_1/tester/openai/v1/embeddings"
        waiting = asyncio.create_task(place.post(url, json=large, headers=KEY))
        await eventually(lambda: place.gateway.held.size > 700_000 and place.gateway.runs.live[0].turns)
        refused = await place.post(url, json=large, headers=KEY)
        await place.command("resume")
        assert (refused.status_code, (await waiting).status_code) == (503, 200)
        await eventually(lambda: place.gateway.held.size == 0)


async def test_a_turn_whose_call_could_not_be_begun_is_not_left_open_on_record(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("the disk is full")

    monkeypatch.setattr(Calls, "begin", fail)
    assert (await asked(place, "/chat/completions")).status_code == 500
    assert place.gateway.runs.live[0].live.ledger._open == {}


async def test_whoever_comes_back_for_an_answer_after_a_kill_does_not_get_it(
    returning: RawPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = CHAT | {"messages": [{"role": "user", "content": "x" * 1_100_000}]}
    place, url = seen(returning), "/r/run_1/tester/openai/v1/chat/completions"
    returning.upstream.says(json.dumps(WHOLE).encode(), headers=b"content-type: application/json")
    asking = asyncio.create_task(place.post(url, json=body, headers=KEY))
    await eventually(lambda: returning.upstream.asked)
    run = returning.gateway.runs.live[0]
    asking.cancel()
    await eventually(lambda: not run.clients)
    returning.upstream.lets_answer.set()
    await eventually(lambda: not run.turns)
    is_read, may_go_on, read = threading.Event(), threading.Event(), app._read

    def slow(*given: Any) -> Any:
        is_read.set()
        may_go_on.wait(PATIENCE_SECONDS)
        return read(*given)

    monkeypatch.setattr(app, "_read", slow)
    again = asyncio.create_task(place.post(url, json=body, headers=KEY))
    await eventually(is_read.is_set)
    await place.command("kill")
    await eventually(lambda: run.fenced)
    may_go_on.set()
    assert (await again).status_code == 403


# -- what cannot be taken up -------------------------------------------------------------------------------------------

LEFT = Left(
    open={"run_9": [Begun(turn="turn_9", run="run_9", model="m", usd=1.0)]},
    counts={"run_9": {"m": {"turns": 1, "input_tokens": 5, "output_tokens": 7, "cost_usd": 0.5}}},
)


@pytest.mark.parametrize("why", ["another hub's", "unreadable"])
async def test_what_cannot_be_taken_up_stays_on_record(tmp_path: Path, why: str) -> None:
    folder = tmp_path / "gateway" / "journal"
    if why == "unreadable":
        journal_folder(folder, "gateway").mkdir(parents=True)
        (journal_folder(folder, "gateway") / "run_9.db").write_bytes(b"no database" * 1_000)
    else:
        journal = GatewayJournal(folder, "run_9", point="gateway")
        remember(journal, {"agent": "tester", "key": "", "owned": True, "keyed": False, "labels": {}})
        journal.put("hub", "elsewhere")
        journal.close()
    ledger = TurnLedger(journal_folder(folder, "gateway"))
    ledger.carry(LEFT)
    ledger.close()
    with running_upstream() as upstream:
        async with running_hub(tmp_path / "hub") as hub, running_gateway(hub, upstream, tmp_path):
            pass
    assert left_behind(journal_folder(folder, "gateway"))[0] == LEFT


async def test_a_connection_that_breaks_before_its_answer_is_said_to_cost_nobody_knows_what(silent: RawPlace) -> None:
    silent.upstream.lets_answer.set()  # it says nothing, and ends the connection
    asking = asyncio.create_task(asked(seen(silent), "/chat/completions"))
    note = await seen(silent).told(lambda event: "cost_unknown" in (event.get("data") or {}))
    asking.cancel()
    assert (note["level"], note["data"]["cost_unknown"]["model"]) == ("warning", "gpt-4o-mini")

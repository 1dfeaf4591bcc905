"""What turns keep in memory is bounded over all of them, and who finds no room is told so."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole.gateway.held_bytes import HeldBytes, TooMuchHeld
from tests.gateway.place import Place, running_place, until
from tests.support.hub import eventually
from tests.support.model_script import Call, Turn, mark

KEY = {"authorization": "Bearer sk-agent"}
CHAT = "/r/run_1/tester/openai/v1/chat/completions"


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway that keeps one mebibyte."""
    async with running_place(tmp_path, held_mib=1, grace_seconds=0.2) as place:
        yield place


async def asked(place: Place, script: str, words: str = "", **more: Any) -> httpx.Response:
    messages = [{"role": "user", "content": mark(script) + words}]
    return await place.post(CHAT, json={"model": "gpt-4o-mini", "messages": messages} | more, headers=KEY)


def test_what_is_given_back_may_be_taken_again() -> None:
    held = HeldBytes(10)
    first, second = held.share(), held.share()
    first.take(6)
    with pytest.raises(TooMuchHeld):
        second.take(5)
    first.give_back()
    second.take(10)
    assert held.size == 10


async def test_a_request_that_finds_no_room_is_refused_and_may_come_again(narrow: Place) -> None:
    narrow.upstream.script("call", Turn(calls=[Call(name="shell", args={"cmd": "ls"})]))
    waiting = asyncio.create_task(asked(narrow, "call", "x" * 700_000))
    await narrow.approval()
    refused = await asked(narrow, "other", "y" * 700_000)
    told = refused.json()["error"]
    await narrow.decide("approve")
    assert (await waiting).status_code == 200
    assert (refused.status_code, told["code"], refused.headers["retry-after"]) == (503, "gateway_full", "5")
    narrow.upstream.script("other", Turn(text="Now."))
    assert (await asked(narrow, "other", "y" * 700_000)).status_code == 200


@pytest.mark.parametrize("streams", [True, False])
async def test_a_held_answer_that_finds_no_room_is_cut_and_not_let_through(narrow: Place, streams: bool) -> None:
    long = Turn(calls=[Call(name="shell", args={"cmd": "x" * 1_200_000})], piece_characters=100_000)
    narrow.upstream.script("long", long)
    told = b""
    with contextlib.suppress(httpx.RemoteProtocolError):
        told = (await asked(narrow, "long", stream=streams)).content
    assert b"xxxx" not in told
    assert streams or json.loads(told)["error"]["code"] == "gateway_full"
    await eventually(lambda: narrow.gateway.held.size == 0)


async def test_what_a_client_that_left_may_come_back_for_is_counted_until_it_is_forgotten(narrow: Place) -> None:
    narrow.upstream.script("call", Turn(calls=[Call(name="shell", args={"cmd": "ls"})]))
    waiting = asyncio.create_task(asked(narrow, "call", "x" * 500_000))
    await narrow.approval()
    waiting.cancel()
    await until(lambda: asyncio.sleep(0, not narrow.gateway.runs.live[0].turns))
    await eventually(lambda: narrow.gateway.held.size == 0)

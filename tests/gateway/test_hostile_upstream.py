"""An upstream that is hostile or broken: none of its tricks brings a call to the client that nobody has seen."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.gateway.raw_upstream import RawPlace, raw_place

CALL = {"id": "call_1", "type": "function", "index": 0, "function": {"name": "wire_money", "arguments": "{}"}}
CHUNK = {
    "id": "c1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}],
}
WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}],
}
STREAM = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(CHUNK).encode()
ASK = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
PATH = "/r/run_1/tester/openai/v1"
JSON = b"content-type: application/json"


@pytest.fixture
async def raw(tmp_path: Path) -> AsyncIterator[RawPlace]:
    async with raw_place(tmp_path, keepalive_seconds=0.2, patience_seconds=0.2) as found:
        yield found


async def got(raw: RawPlace, path: str = "/chat/completions", seconds: float = 0.7, **more: object) -> bytes:
    """What reaches a client of an answer, as far as it comes within `seconds`, decompressed if it came so."""
    parts: list[bytes] = []
    client = httpx.AsyncClient(base_url=raw.gateway.url, follow_redirects=True)
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(seconds), client, client.stream("POST", PATH + path, json=ASK | more) as answer:
            async for part in answer.aiter_bytes():
                parts += (part,)
    return b"".join(parts)


async def test_a_call_that_is_held_does_not_reach_the_client_by_itself(raw: RawPlace) -> None:
    raw.upstream.says(STREAM)
    assert b"wire_money" not in await got(raw, stream=True)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("status", [b"201 Created", b"203 Other", b"206 Partial Content", b"299 Odd"])
async def test_a_success_of_another_name_is_no_way_around(raw: RawPlace, status: bytes, streams: bool) -> None:
    raw.upstream.says(STREAM if streams else json.dumps(WHOLE).encode(), status=status, headers=JSON)
    assert b"wire_money" not in await got(raw, stream=streams)


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings"])
async def test_a_redirection_does_not_lead_the_client_around_the_gateway(raw: RawPlace, path: str) -> None:
    to = f"location: {raw.upstream.url}/elsewhere".encode()
    raw.upstream.says(b"{}", status=b"307 Temporary Redirect", headers=to)
    await got(raw, path)
    assert not [asked for asked in raw.upstream.asked if b"/elsewhere" in asked]


async def test_what_comes_compressed_against_our_wish_is_not_passed_on(raw: RawPlace) -> None:
    raw.upstream.says(gzip.compress(STREAM), headers=b"content-type: text/event-stream\r\ncontent-encoding: gzip")
    assert b"wire_money" not in await got(raw, stream=True)


@pytest.mark.parametrize(
    "around",
    [
        "id: 1\u2028data: %b\n\n",
        "event: a\u2028data: %b\u2028\ndata: {}\n\n",
        "event: a\x85data: %b\x85\ndata: {}\n\n",
        ": \x0bdata: %b\n\n",
        "retry: 1\x0cdata: %b\n\n",
        ": \u2029data: %b\n\n",
    ],
)
async def test_what_some_clients_take_for_a_line_end_hides_no_call(raw: RawPlace, around: str) -> None:
    raw.upstream.says(around.encode() % json.dumps(CHUNK).encode() + STREAM[-14:])
    assert b"wire_money" not in await got(raw, stream=True)


async def test_bytes_that_are_no_events_are_not_passed_on(raw: RawPlace) -> None:
    raw.upstream.says(json.dumps(WHOLE).encode() + b"\n\n")
    assert b"wire_money" not in await got(raw, stream=True)


async def test_an_upstream_that_speaks_no_http_gives_away_no_secret_of_the_query(
    raw: RawPlace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    raw.upstream.answer = b"HTTP/9.9 what\r\n:::\r\n\r\n"
    await got(raw, "/chat/completions?api_key=sk-secret-7")
    async with raw.hub.http() as client:
        told = (await client.get("/v1/runs/run_1/events", params={"limit": 500})).text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("opsconsole")]
    assert "sk-secret-7" not in told + "\n".join(ours)


async def test_an_answer_of_more_calls_than_anybody_decides_on_is_cut(raw: RawPlace) -> None:
    calls = [CALL | {"id": f"call_{number}", "index": number} for number in range(1_001)]
    chunk = CHUNK | {"choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
    raw.upstream.says(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(chunk).encode())
    assert (b"calls" in await got(raw, stream=True, seconds=20.0), raw.gateway.counts.held) == (True, 0)

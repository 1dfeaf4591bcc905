"""A provider that answers neither yes nor no: nothing of what it says reaches a client unheld."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.place import running_place
from tests.gateway.test_gateway import CHAT, KEY, body

CALL = b'{"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"shell","arguments":"{}"}}]}}]}'


@asynccontextmanager
async def provider(status: int) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 %d Odd\r\nlocation: /elsewhere\r\ncontent-length: %d\r\n\r\n" % (status, len(CALL))
        writer.write(head + CALL)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("status", [201, 206, 307])
async def test_an_answer_of_an_odd_status_is_no_answer(tmp_path: Path, status: int) -> None:
    async with provider(status) as url, running_place(tmp_path, upstreams={"openai": f"{url}/v1"}) as place:
        answer = await place.post(CHAT, json=body(), headers=KEY)
    assert (answer.status_code, b"tool_calls" in answer.content) == (502, False)

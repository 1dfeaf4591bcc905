"""A gateway process amid arbitrary bytes of providers and clients: it lives, holds every call, and forgets."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil

from bench.gateway_place import GatewayPlace, gateway_place
from bench.result import Row
from tests.fuzz.__main__ import mutated
from tests.fuzz.gateway_answer import NAMES, SEEDS, calls_of
from tests.fuzz.gateway_request import SEEDS as REQUESTS

SECONDS = 15.0
"""In `make bench`; the pure targets of tests/fuzz search for a minute each."""
CLIENTS = 8
RUNS = 4
PATIENCE_SECONDS = 0.25
QUIET_SECONDS = 15.0
GROWTH_MIB_MAX = 48.0
"""Journals, histories and answers to be fetched again are kept, all of them bounded."""
PATHS = {
    "openai.chat": "openai/v1/chat/completions",
    "openai.responses": "openai/v1/responses",
    "anthropic.messages": "anthropic/v1/messages",
}
SETTINGS = {"OPSCONSOLE_GATEWAY_GRACE_SECONDS": "0.5", "OPSCONSOLE_GATEWAY_PATIENCE_SECONDS": "0.2"}


@dataclass(slots=True)
class _Found:
    asked: int = 0
    answered: int = 0
    unheld: int = 0
    wrong: list[str] = field(default_factory=list)


def rows(*, is_quick: bool) -> list[Row]:
    """The rows of this part."""
    found, dice = _Found(), random.Random(1)
    growth = asyncio.run(_fuzzed(found, dice, 5.0 if is_quick else SECONDS))
    what = f"arbitrary bytes from provider and client: {found.asked:,} requests, {found.answered:,} answered"
    wrong = [*found.wrong, *(["calls that nobody ruled on"] * found.unheld)]
    more = {"wrong": wrong, "asked": found.asked}
    return [
        Row(
            bench="gateway",
            what=f"{what}: crashes, unheld calls, leaks",
            measured=len(wrong),
            unit="",
            limit=0.0,
            more=more,
        ),
        Row(
            bench="gateway", what="the same: memory grown", measured=growth, unit="MiB", limit=GROWTH_MIB_MAX, more=more
        ),
    ]


async def _fuzzed(found: _Found, dice: random.Random, seconds: float) -> float:
    server = await asyncio.start_server(lambda reader, writer: _provide(reader, writer, dice), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    opened = gateway_place(asked=address, settings=SETTINGS)
    place = await asyncio.to_thread(opened.__enter__)
    try:
        process = psutil.Process(place.process.pid)
        await _clients(place, found, dice, seconds / 3)
        before = process.memory_info().rss
        await _clients(place, found, dice, 2 * seconds / 3)
        await _settled(place, found)
        return float(process.memory_info().rss - before) / 2**20
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)
        server.close()


async def _clients(place: GatewayPlace, found: _Found, dice: random.Random, seconds: float) -> None:
    until = time.monotonic() + seconds
    await asyncio.gather(*(_client(place, found, dice, until) for _ in range(CLIENTS)))


async def _client(place: GatewayPlace, found: _Found, dice: random.Random, until: float) -> None:
    parts = urlsplit(place.url)
    while time.monotonic() < until:
        name, streams = dice.choice(NAMES), dice.random() < 0.7
        found.asked += 1
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(_request(name, streams, dice))
                async with asyncio.timeout(PATIENCE_SECONDS):
                    answer = await reader.read(-1)
            finally:
                writer.transport.abort()
            found.answered += answer.startswith(b"HTTP/1.1 ")
            if answer.startswith(b"HTTP/1.1 2"):  # of another status clients make an exception
                found.unheld += bool(list(calls_of(name, _unchunked(answer), streams)))


def _request(name: str, streams: bool, dice: random.Random) -> bytes:
    body = REQUESTS[NAMES.index(name)].replace(b'"stream": true', b'"stream": true' if streams else b'"stream": false')
    if dice.random() < 0.2:
        body = mutated(body, dice, REQUESTS)
    path = f"/r/fuzz-{dice.randrange(RUNS)}/bench/{PATHS[name]}"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nauthorization: Bearer k\r\nconnection: close\r\n"
    data = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return mutated(data, dice, REQUESTS) if dice.random() < 0.1 else data


async def _provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dice: random.Random) -> None:
    """One answer: mostly sound HTTP around bytes that are nearly an answer."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        seed = dice.choice(SEEDS)
        body = seed[1:] if dice.random() < 0.3 else mutated(seed[1:], dice, SEEDS)
        status = 200 if dice.random() < 0.98 else dice.choice((201, 307, 429, 500))
        data = b"HTTP/1.1 %d OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" % status + body
        if dice.random() < 0.1:
            data = mutated(data, dice, SEEDS)
        for start in range(0, len(data), 700):
            writer.write(data[start : start + 700])
            await writer.drain()
    writer.close()


async def _settled(place: GatewayPlace, found: _Found) -> None:
    """Lives, has written of no fault of its own, and waits for nothing any more."""
    deadline = time.monotonic() + QUIET_SECONDS
    left = ["?"]
    while left and time.monotonic() < deadline:
        await asyncio.sleep(0.25)
        try:
            text = await asyncio.to_thread(_metrics, place.url)
        except OSError as error:
            found.wrong.append(f"the gateway does not answer: {error}")
            return
        left = [line for line in text.splitlines() if re.match(r"\w*(streams|pending)\w* [^0]", line)]
    found.wrong += [f"left behind: {line}" for line in left]
    log = (place.hub.data_dir / "gateway.out").read_text()
    found.wrong += [f"in its log: {line}" for line in log.splitlines() if re.match(r"\w*(Error|Exception)\b", line)]


def _metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=5.0) as answer:
        return str(answer.read().decode())


def _unchunked(answer: bytes) -> bytes:
    """The body of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        number = int(size or b"0", 16)
        parts.append(body[:number])
        body = body[number + 2 :]
    return b"".join(parts)

"""A gateway process amid arbitrary bytes of providers and clients: it lives, holds every call, and forgets.

`python -m bench.gateway_fuzz --seconds 60` searches for a minute and fails where anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import sys
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
"""In `make bench`; `make fuzz` searches for a minute."""
CLIENTS = 8
RUNS = 4
PATIENCE_SECONDS = 0.25
QUIET_SECONDS = 15.0
FILES_MAX = 8
"""More open than before the load, beside the journals of runs still spoken for: connections to be used again."""
FILES_OF_A_RUN = 4
"""Its journal, with what SQLite keeps beside it, and its lock."""
TASKS_MAX = 4
"""More than before the load."""
RAW_SHARE = 0.05
"""Of the clients send bytes that were never HTTP."""
GROWTH_MIB_MAX = 48.0
"""Journals, histories and answers to be fetched again are kept, all of them bounded."""
PATHS = {
    "openai.chat": "openai/v1/chat/completions",
    "openai.responses": "openai/v1/responses",
    "anthropic.messages": "anthropic/v1/messages",
}
SETTINGS = {"OPSCONSOLE_GATEWAY_GRACE_SECONDS": "0.5", "OPSCONSOLE_GATEWAY_PATIENCE_SECONDS": "0.2"}


@dataclass(slots=True)
class Found:
    """What came of a search."""

    asked: int = 0
    answered: int = 0
    unheld: int = 0
    wrong: list[str] = field(default_factory=list)
    growth_mib: float = 0.0
    files: int = 0
    tasks: int = 0
    """Both more than before the load."""


def search(seconds: float, seed: int = 1) -> Found:
    """Searches, and says what was wrong."""
    found = Found()
    asyncio.run(_fuzzed(found, random.Random(seed), seconds))
    found.wrong += ["a call that nobody ruled on"] * found.unheld
    if found.growth_mib > GROWTH_MIB_MAX:
        found.wrong.append(f"memory grew by {found.growth_mib:.0f} MiB")
    if found.files > FILES_MAX or found.tasks > TASKS_MAX:
        found.wrong.append(f"left behind: {found.files} open files, {found.tasks} tasks")
    return found


def rows(*, is_quick: bool) -> list[Row]:
    """The rows of this part."""
    found = search(5.0 if is_quick else SECONDS)
    what = f"arbitrary bytes from provider and client: {found.asked:,} requests, {found.answered:,} answered"
    wrong = found.wrong
    more = {"wrong": wrong, "asked": found.asked, "files": found.files, "tasks": found.tasks}
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
            bench="gateway",
            what="the same: memory grown",
            measured=found.growth_mib,
            unit="MiB",
            limit=GROWTH_MIB_MAX,
            more=more,
        ),
    ]


async def _fuzzed(found: Found, dice: random.Random, seconds: float) -> None:
    server = await asyncio.start_server(lambda reader, writer: _provide(reader, writer, dice), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    opened = gateway_place(asked=address, settings=SETTINGS)
    place = await asyncio.to_thread(opened.__enter__)
    try:
        process = psutil.Process(place.process.pid)
        files, tasks = process.num_fds(), (await asyncio.to_thread(_gauges, place))["tasks"]
        await _clients(place, found, dice, seconds / 3)
        before = process.memory_info().rss
        await _clients(place, found, dice, 2 * seconds / 3)
        await _settled(place, found)
        if not process.is_running():
            return
        found.growth_mib = float(process.memory_info().rss - before) / 2**20
        after = await asyncio.to_thread(_gauges, place)
        found.files = process.num_fds() - files - FILES_OF_A_RUN * int(after["runs"])
        found.tasks = int(after["tasks"] - tasks)
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)
        server.close()


async def _clients(place: GatewayPlace, found: Found, dice: random.Random, seconds: float) -> None:
    until = time.monotonic() + seconds
    await asyncio.gather(*(_client(place, found, dice, until) for _ in range(CLIENTS)))


async def _client(place: GatewayPlace, found: Found, dice: random.Random, until: float) -> None:
    parts = urlsplit(place.url)
    while time.monotonic() < until:
        name, streams = dice.choice(NAMES), dice.random() < 0.7
        found.asked += 1
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                is_raw = dice.random() < RAW_SHARE
                writer.write(dice.randbytes(dice.randint(1, 400)) if is_raw else _request(name, streams, dice))
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


async def _settled(place: GatewayPlace, found: Found) -> None:
    """Lives, has written of no fault of its own, and waits for nothing any more."""
    deadline = time.monotonic() + QUIET_SECONDS
    left = {"?": 1.0}
    while left and time.monotonic() < deadline:
        await asyncio.sleep(0.25)
        try:
            gauges = await asyncio.to_thread(_gauges, place)
        except OSError as error:
            found.wrong.append(f"the gateway does not answer: {error}")
            return
        left = {name: gauges[name] for name in ("streams", "pending", "held_bytes", "holding") if gauges[name]}
    found.wrong += [f"left behind: {name} {number:g}" for name, number in left.items()]
    log = (place.hub.data_dir / "gateway.out").read_text()
    found.wrong += [f"in its log: {line}" for line in log.splitlines() if re.match(r"\w*(Error|Exception)\b", line)]


def _gauges(place: GatewayPlace) -> dict[str, float]:
    """The gateway's numbers without labels, by the end of their names."""
    request = urllib.request.Request(f"{place.url}/metrics")
    request.add_header("Authorization", f"Bearer {place.hub.token('operator')}")
    with urllib.request.urlopen(request, timeout=5.0) as answer:
        text = answer.read().decode()
    found = re.findall(r"^opsconsole_gateway_(\w+) ([\d.e+]+)$", text, re.MULTILINE)
    return {name: float(number) for name, number in found}


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


def main() -> int:
    """One search; the status tells whether nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_fuzz")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long [60]")
    parser.add_argument("--seed", type=int, default=1, help="of the search [1]")
    asked = parser.parse_args()
    print(f"gateway process: {asked.seconds:g} s, random", flush=True)
    found = search(asked.seconds, asked.seed)
    print(
        f"gateway process: {found.asked:,} requests, {found.answered:,} answered, {found.unheld} calls unheld, "
        f"memory {found.growth_mib:+.1f} MiB, open files {found.files:+}, tasks {found.tasks:+}"
    )
    for wrong in found.wrong:
        print(f"  wrong: {wrong}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

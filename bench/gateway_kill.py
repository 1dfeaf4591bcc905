"""From an operator's kill to the agent's exception and the closed socket at the provider, with many streams live."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from typing import Any

from bench.gateway_client import Client, body
from bench.gateway_place import GatewayPlace, gateway_place
from bench.operator import Operator, operator
from bench.result import Row, spread
from tests.support.model_script import Delivery, Turn, mark
from tests.support.model_upstream import RunningUpstream, running_upstream

STREAMS = 32
KILL_MS_MAX = 20.0
SETTLE_SECONDS = 0.5
SWITCH_SECONDS = 0.0005
"""The provider is a thread of this process: who notes the times must not wait for it."""
WAIT_SECONDS = 10.0
SLOW = Turn(text="word " * 4_000, piece_characters=5, delivery=Delivery(delay_seconds=0.02))


class _Stream(Client):
    """A stream, and when its client would raise."""

    raised_at = 0.0
    live: asyncio.Event

    def on_body(self, data: bytes) -> None:
        """A piece; the API's own error frame is what official clients raise on."""
        if b'"error"' in data and not self.raised_at:
            self.raised_at = time.monotonic()
        super().on_body(data)


def rows(*, is_quick: bool) -> list[Row]:
    """The rows of this part."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with running_upstream() as provider, gateway_place(asked=provider.url) as place:
            found = asyncio.run(_measured(place, provider, 20 if is_quick else 120))
    finally:
        sys.setswitchinterval(before)
    more = {"client_ms": spread(found["client"]), "provider_ms": spread(found["provider"])}
    what = f"kill -> the client's exception, p99, {STREAMS} streams live"
    return [
        Row(bench="gateway", what=what, measured=more["client_ms"]["p99"], unit="ms", limit=KILL_MS_MAX, more=more),
        Row(
            bench="gateway",
            what="kill -> the socket at the provider closed, p99",
            measured=more["provider_ms"]["p99"],
            unit="ms",
            limit=KILL_MS_MAX,
        ),
    ]


async def _measured(place: GatewayPlace, provider: RunningUpstream, samples: int) -> dict[str, list[float]]:
    numbers = itertools.count(1)
    found: dict[str, list[float]] = {"client": [], "provider": []}
    async with operator(place.hub.url, place.hub.token("operator"), "board") as console:
        live = [await _begun(place, provider, next(numbers)) for _ in range(STREAMS)]
        await asyncio.sleep(SETTLE_SECONDS)
        for _ in range(samples):
            run, client, asking = live.pop(0)
            client_ms, provider_ms = await _killed(console, provider, run, client, asking)
            found["client"].append(client_ms)
            found["provider"].append(provider_ms)
            live.append(await _begun(place, provider, next(numbers)))
            await asyncio.sleep(0.02)
        for _, client, asking in live:
            client.close()
            await asking
    return found


async def _begun(
    place: GatewayPlace, provider: RunningUpstream, number: int
) -> tuple[str, _Stream, asyncio.Task[None]]:
    """A stream of a run of its own, once words come."""
    run = f"doomed-{number}"
    provider.script(run, SLOW)
    client: Any = await _Stream.connect(place.url)
    words = asyncio.Event()
    client.on_piece = words.set
    asking = asyncio.create_task(
        client.post(f"/r/{run}/bench/openai/v1/chat/completions", body(mark(run), stream=True))
    )
    async with asyncio.timeout(WAIT_SECONDS):
        await words.wait()
    return run, client, asking


async def _killed(
    console: Operator, provider: RunningUpstream, run: str, client: _Stream, asking: asyncio.Task[None]
) -> tuple[float, float]:
    began = time.monotonic()
    told = asyncio.create_task(console.command("kill", run=run, mode="now", note="bench"))
    async with asyncio.timeout(WAIT_SECONDS):
        await asking
        [seen] = provider.calls(run)
        while seen.aborted_at is None:  # noqa: ASYNC110 - another thread notes it
            await asyncio.sleep(0.0005)
    answer = await told
    assert answer["ok"], answer
    raised = client.raised_at or client.broken_at
    assert raised, "the stream ended as if it were whole"
    client.close()
    return 1_000 * (raised - began), 1_000 * (seen.aborted_at - began)

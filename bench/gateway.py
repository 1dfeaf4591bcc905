"""What the gateway adds: requests, chunks, first bytes, kills and caps, beside the proxies of others in one run."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from bench import gateway_fuzz, gateway_kill
from bench.gateway_client import MODEL, Client, Load, body, plain_load
from bench.gateway_others import NotInstalled, litellm_proxy, nginx_provider, nginx_proxy
from bench.gateway_place import cpu_seconds, gateway_place, provider_process
from bench.result import Row, percentile, spread

LITELLM_TIMES_MIN = 20.0
NGINX_SHARE_MIN = 0.08
CHUNK_TIMES_MAX = 3.0
FIRST_BYTE_MS_MAX = 4.0
CONNECTIONS = 32
RUNS = 32
"""Agents at once: each its own run, as in life."""
PACED = ("--words", "300", "--delay-seconds", "0.02")
"""The streams whose chunks are counted: apart, so that each is read and written by itself."""
PACED_CHUNKS = 302
"""Of one such answer: its words, and what is before and behind them."""
SHORT = ("--words", "20", "--delay-seconds", "0.03")
"""The streams whose first bytes are waited for."""
MATTER = "/v1/chat/completions"


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark."""
    parts: Sequence[Callable[..., list[Row]]] = (_plain, _chunks, _first_bytes, gateway_kill.rows, _cap)
    found = [row for part in parts for row in part(is_quick=is_quick)]
    return found + gateway_fuzz.rows(is_quick=is_quick)


# -- plain requests ----------------------------------------------------------------------------------------------------


def _plain(*, is_quick: bool) -> list[Row]:
    seconds = 2.0 if is_quick else 4.0
    try:
        with nginx_provider() as (provider, _):
            return _compared(provider, seconds)
    except NotInstalled as missing:
        print(f"gateway: no plain requests are compared: {missing}", file=sys.stderr)
        return []


def _compared(provider: str, seconds: float) -> list[Row]:
    """All in one run, in turns, so that what else goes on here meets them alike."""
    found: dict[str, list[tuple[Load, float]]] = {}
    with ExitStack() as open_now:
        proxy, worker = open_now.enter_context(nginx_proxy(provider))
        place = open_now.enter_context(gateway_place(asked=provider))
        paths = [f"/r/load-{number}/bench/openai{MATTER}" for number in range(RUNS)]
        asked = {"nginx": (proxy, [MATTER], worker), "gateway": (place.url, paths, place.process.pid)}
        try:
            url, pid = open_now.enter_context(litellm_proxy(provider))
            asked["LiteLLM"] = (url, [MATTER], pid)
        except NotInstalled as missing:
            print(f"gateway: not compared with LiteLLM: {missing}", file=sys.stderr)
        for name, (url, routes, _) in asked.items():
            if name != "nginx":
                plain_load(url, routes, seconds=1.0, connections=CONNECTIONS)  # runs begin, caches fill
        hub_before = cpu_seconds(place.hub.process.pid)
        for _ in range(2):
            for name, (url, routes, pid) in asked.items():
                before = cpu_seconds(pid)
                load = plain_load(url, routes, seconds=seconds, connections=CONNECTIONS)
                found.setdefault(name, []).append((load, cpu_seconds(pid) - before))
        hub = cpu_seconds(place.hub.process.pid) - hub_before
    return _plain_rows(found, hub)


def _plain_rows(found: dict[str, list[tuple[Load, float]]], hub_cpu: float) -> list[Row]:
    rate = {name: sum(load.rate for load, _ in loads) / len(loads) for name, loads in found.items()}
    asked = {name: sum(load.requests for load, _ in loads) for name, loads in found.items()}
    cpu = {name: 1e6 * sum(used for _, used in loads) / asked[name] for name, loads in found.items()}
    more = {
        "per_second": rate,
        "cpu_us": cpu,
        "hub_cpu_us": 1e6 * hub_cpu / asked["gateway"],
        "failed": {name: sum(load.failed for load, _ in loads) for name, loads in found.items()},
    }
    each = f"plain, {CONNECTIONS} connections, a turn at the hub's gate each"
    rows = [_ratio(f"requests/s as a share of nginx's ({rate['nginx']:,.0f}/s)", rate, "nginx", NGINX_SHARE_MIN, more)]
    if "LiteLLM" in rate:
        what = f"requests/s as a multiple of LiteLLM's ({rate['LiteLLM']:,.0f}/s)"
        rows.append(_ratio(what, rate, "LiteLLM", LITELLM_TIMES_MIN, {}))
    rows.append(Row(bench="gateway", what=f"requests/s, {each}", measured=rate["gateway"], unit="/s"))
    rows.append(Row(bench="gateway", what=f"CPU of the gateway, {each}", measured=cpu["gateway"], unit="us"))
    rows.append(Row(bench="gateway", what="CPU of the hub for it", measured=more["hub_cpu_us"], unit="us"))
    return rows


def _ratio(what: str, rate: dict[str, float], other: str, least: float, more: dict[str, Any]) -> Row:
    share = rate["gateway"] / rate[other]
    return Row(bench="gateway", what=what, measured=share, unit="x", limit=least, sense="at least", more=more)


# -- streams -----------------------------------------------------------------------------------------------------------


def _chunks(*, is_quick: bool) -> list[Row]:
    with ExitStack() as open_now:
        provider = open_now.enter_context(provider_process(*PACED))
        try:
            proxy, worker = open_now.enter_context(nginx_proxy(provider))
        except NotInstalled as missing:
            print(f"gateway: the cost of a chunk is not compared: {missing}", file=sys.stderr)
            return []
        place = open_now.enter_context(gateway_place(asked=provider))
        used: dict[str, list[float]] = {"nginx": [], "gateway": []}
        for _ in range(1 if is_quick else 2):
            used["nginx"].append(_chunk_us(proxy, [MATTER], worker))
            paths = [f"/r/stream-{number}/bench/openai{MATTER}" for number in range(RUNS)]
            used["gateway"].append(_chunk_us(place.url, paths, place.process.pid))
    ours, theirs = (sum(used[name]) / len(used[name]) for name in ("gateway", "nginx"))
    what = f"CPU for a streamed chunk, counted and looked into ({ours:.0f} us), over nginx's ({theirs:.0f} us)"
    return [Row(bench="gateway", what=what, measured=ours / theirs, unit="x", limit=CHUNK_TIMES_MAX, more=used)]


def _chunk_us(url: str, paths: list[str], pid: int) -> float:
    """What a chunk costs: a streamed answer less the same answer in one piece, over its chunks."""
    asyncio.run(_answers(url, paths, stream=False))  # runs begin
    costs = []
    for stream in (False, True):
        before = cpu_seconds(pid)
        asyncio.run(_answers(url, paths, stream=stream))
        costs.append(cpu_seconds(pid) - before)
    return 1e6 * (costs[1] - costs[0]) / (CONNECTIONS * PACED_CHUNKS)


async def _answers(url: str, paths: list[str], *, stream: bool) -> None:
    async def one(number: int) -> None:
        client = await Client.connect(url)
        await asyncio.sleep(0.003 * number)
        await client.post(paths[number % len(paths)], body(f"{number}-{time.monotonic()}", stream=stream))
        client.close()
        assert client.status == 200, client.status

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))


def _first_bytes(*, is_quick: bool) -> list[Row]:
    seconds = 2.5 if is_quick else 6.0
    direct: list[float] = []
    through: list[float] = []
    with gateway_place(*SHORT) as place:
        paths = [f"/r/first-{number}/bench/openai{MATTER}" for number in range(RUNS)]
        asyncio.run(_first_ms(place.url, paths, 1.0))  # runs begin
        for _ in range(2):
            direct += asyncio.run(_first_ms(place.upstream, [MATTER], seconds / 2))
            through += asyncio.run(_first_ms(place.url, paths, seconds / 2))
    added = percentile(through, 0.5) - percentile(direct, 0.5)
    what = f"time to the first byte over asking directly, p50, {CONNECTIONS} paced streams"
    more = {"direct_ms": spread(direct), "gateway_ms": spread(through)}
    return [Row(bench="gateway", what=what, measured=added, unit="ms", limit=FIRST_BYTE_MS_MAX, more=more)]


async def _first_ms(url: str, paths: list[str], seconds: float) -> list[float]:
    until = time.monotonic() + seconds
    found: list[float] = []

    async def one(number: int) -> None:
        client = await Client.connect(url)
        await asyncio.sleep(0.013 * number)
        while time.monotonic() < until:
            began = time.monotonic()
            await client.post(paths[number % len(paths)], body(f"{number}-{began}", stream=True))
            assert client.status == 200, client.status
            found.append(1_000 * (client.first_at - began))
        client.close()

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    return found


# -- a cap -------------------------------------------------------------------------------------------------------------

CAP_USD = 1.0
AT_ONCE = 50
OUTPUT_TOKENS = 6_000
SETTLE_SECONDS = 8.0
CAP_RUN = "capped"


def _cap(*, is_quick: bool) -> list[Row]:
    """What fifty requests at once spend where one dollar is allowed, each using all that it reserved."""
    from tests.support.model_script import Script, Turn, Usage
    from tests.support.model_upstream import running_upstream

    turn = Turn(text="Done.", usage=Usage(input_tokens=100, output_tokens=OUTPUT_TOKENS))
    with (
        running_upstream(unscripted=Script(turns=[turn], repeats=True)) as provider,
        gateway_place(asked=provider.url, settings={"OPSCONSOLE_LIMITS_COST_USD": str(CAP_USD)}) as place,
    ):
        asyncio.run(_at_once(place.url))
        row = place.get(f"/v1/runs/{CAP_RUN}")["row"]
        forwarded = len(provider.provider.seen)
    spent = float(row["cost_usd"])
    reserved = spent / max(1, forwarded)
    what = f"{AT_ONCE} requests at once against ${CAP_USD:g}: spent beyond it ({forwarded} went, ${reserved:.4f} each)"
    more = {"spent_usd": spent, "forwarded": forwarded, "state": row["state"], "model": MODEL}
    over = max(0.0, spent - CAP_USD)
    return [Row(bench="gateway", what=what, measured=over, unit="$", limit=reserved, more=more)]


async def _at_once(url: str) -> None:
    clients = [await Client.connect(url) for _ in range(AT_ONCE)]
    path = f"/r/{CAP_RUN}/bench/openai{MATTER}"
    asked = [
        asyncio.create_task(client.post(path, body(number, output_tokens=OUTPUT_TOKENS)))
        for number, client in enumerate(clients)
    ]
    await asyncio.wait(asked, timeout=SETTLE_SECONDS)
    for client, task in zip(clients, asked, strict=True):
        client.close()
        task.cancel()
    await asyncio.sleep(0.5)

"""Traffic through a real gateway: retries, shares, breakers, fallbacks, and what of it people are told."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from opsconsole.gateway import pacing
from opsconsole.gateway.flow.breaker import read_fallbacks
from tests.gateway.place import Place, running_place, until
from tests.support.model_script import Call, Delivery, Fault, Turn, mark

QUICK = {"retry-after-ms": "10"}
BUSY = Turn(fault=Fault(status=429, message="too fast", headers=QUICK))


async def said(place: Place, script: str, run: str = "run_1", **more: Any) -> str:
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": mark(script)}]} | more
    async with place.openai(run) as agent:
        return (await agent.chat.completions.create(**request)).choices[0].message.content or ""


def limits(remaining: int, limit: int = 60_000, reset: str = "30s") -> dict[str, str]:
    return {
        "x-ratelimit-limit-tokens": str(limit),
        "x-ratelimit-remaining-tokens": str(remaining),
        "x-ratelimit-reset-tokens": reset,
    }


async def told_limits(place: Place) -> list[dict[str, Any]]:
    async with place.hub.http() as client:
        return list((await client.get("/v1/limits")).json()["rows"])


async def test_what_a_provider_is_too_busy_for_is_tried_again_and_the_run_says_so(place: Place) -> None:
    place.upstream.script("busy", BUSY, Turn(text="Now."))
    assert await said(place, "busy") == "Now."
    note = await place.told(lambda event: event["type"] == "note" and event["text"].startswith("retry"))
    assert re.match(r"retry 1 in 0\.\d s: openai answered 429, which asked for 0\.0 s", note["text"])


async def test_what_stays_busy_reaches_the_client_after_three_attempts(place: Place) -> None:
    place.upstream.script("busy", BUSY, BUSY, BUSY, Turn(text="Never."))
    with pytest.raises(openai.RateLimitError, match="too fast"):
        await said(place, "busy")
    assert len(place.upstream.calls("busy")) == 3


async def test_an_error_of_the_request_itself_is_not_tried_again(place: Place) -> None:
    place.upstream.script("wrong", Turn(fault=Fault(status=400, message="no such field")), Turn(text="Never."))
    with pytest.raises(openai.BadRequestError, match="no such field"):
        await said(place, "wrong")
    assert len(place.upstream.calls("wrong")) == 1


async def test_a_retried_turn_is_one_turn_of_the_run(place: Place) -> None:
    place.upstream.script("busy", BUSY, Turn(text="Now."))
    await said(place, "busy")
    usage = await place.told(lambda event: event["type"] == "usage")
    assert usage["turns"] == 1


class Clock:
    """The traffic's time: it stands still until the test lets it pass."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def passes(self, place: Place, seconds: float) -> None:
        """And whose waiting is over then is let go."""
        self.at += seconds
        place.gateway.paced._look()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=lambda: made.at, time=time.time))
    return made


async def test_a_limit_that_is_reached_makes_others_wait_for_their_share(place: Place, clock: Clock) -> None:
    place.upstream.script("first", Turn(text="One.", headers=limits(0, reset="60s")))
    place.upstream.script("second", Turn(text="Two."))
    await said(place, "first")
    waiting = asyncio.create_task(said(place, "second", run="run_2"))
    await until(lambda: waits(place))
    clock.passes(place, 29.0)
    assert (await waiting, place.gateway.paced.traffic.totals.waited) == ("Two.", 1)


async def test_who_would_wait_too_long_is_told_when_to_come_back(place: Place) -> None:
    place.upstream.script("first", Turn(text="One.", headers=limits(0, limit=600, reset="600s")))
    await said(place, "first")
    with pytest.raises(openai.RateLimitError) as caught:
        await said(place, "second", run="run_2")
    assert int(caught.value.response.headers["retry-after"]) > 30
    assert place.upstream.calls("second") == []


async def test_a_run_that_is_killed_while_it_waits_for_its_share_is_not_sent(place: Place) -> None:
    place.upstream.script("first", Turn(text="One.", headers=limits(0, limit=6_000, reset="60s")))
    await said(place, "first")
    waiting = asyncio.create_task(said(place, "second", run="run_2", max_tokens=2_000))
    await until(lambda: asyncio.sleep(0, place.gateway.paced.traffic.waiting == 1))
    await place.command("kill", run="run_2")
    with pytest.raises(openai.PermissionDeniedError):
        await waiting
    assert (place.gateway.paced.traffic.waiting, place.upstream.calls("second")) == (0, [])


async def test_an_upstream_that_keeps_failing_is_left_alone(place: Place) -> None:
    place.upstream.script(
        "down", *(Turn(fault=Fault(status=500, headers={"x-should-retry": "false"})) for _ in range(9))
    )
    for _ in range(5):
        with pytest.raises(openai.InternalServerError, match="scripted"):
            await said(place, "down")
    with pytest.raises(openai.InternalServerError, match="has been failing"):
        await said(place, "down")
    assert len(place.upstream.calls("down")) == 5


async def test_another_model_answers_where_one_cannot(tmp_path: Path) -> None:
    fallbacks = read_fallbacks(["openai/gpt-4o-mini=gpt-4o"])
    async with running_place(tmp_path, fallbacks=fallbacks) as place:
        place.upstream.script("down", *(BUSY for _ in range(3)), Turn(text="From the other."))
        assert await said(place, "down") == "From the other."
        note = await place.told(lambda event: "in place of" in event.get("text", ""))
        assert note["text"] == "gpt-4o is asked in place of gpt-4o-mini: it answered 429"
        assert place.upstream.calls("down")[-1].body["model"] == "gpt-4o"


async def test_the_hub_hears_how_full_a_limit_is(place: Place) -> None:
    place.upstream.script("first", Turn(text="One.", headers=limits(15_000, reset="3600s")))
    await said(place, "first")
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        found[:] = [row for row in await told_limits(place) if row["kind"] == "tokens"]
        return bool(found)

    await until(look)
    row = found[0]
    assert (row["provider"], row["model"], row["limit"], row["used_share"]) == ("openai", "gpt-4o-mini", 60_000, 0.75)


async def test_the_gauges_are_in_the_metrics(place: Place) -> None:
    place.upstream.script("first", Turn(text="One.", headers=limits(15_000, reset="3600s")))
    await said(place, "first")
    async with place.hub.http() as client:
        text = (await client.get(f"{place.gateway.url}/metrics", headers=reader(place))).text
    shares = [line for line in text.splitlines() if line.startswith("opsconsole_gateway_limit_used_share{")]
    found = [float(line.rpartition(" ")[2]) for line in shares if 'kind="tokens"' in line]
    assert found == [pytest.approx(0.75, abs=0.01)]


def reader(place: Place) -> dict[str, str]:
    return {"authorization": f"Bearer {place.hub.token('operator')}"}


async def waits(place: Place) -> bool:
    return place.gateway.paced.traffic.waiting == 1


async def test_a_run_that_is_paused_while_it_waits_for_its_share_is_not_sent_until_it_is_resumed(
    place: Place, clock: Clock
) -> None:
    place.upstream.script("first", Turn(text="One.", headers=limits(0, limit=60_000, reset="60s")))
    place.upstream.script("second", Turn(text="Two."))
    await said(place, "first")
    waiting = asyncio.create_task(said(place, "second", run="run_2", max_tokens=1_500))
    await until(lambda: waits(place))
    await place.command("pause", run="run_2")
    run = next(one for one in place.gateway.runs.live if one.id == "run_2")
    await until(lambda: asyncio.sleep(0, run.live.session.paused))
    clock.passes(place, 29.0)
    await until(lambda: asyncio.sleep(0, place.gateway.paced.traffic.waiting == 0))
    before = list(place.upstream.calls("second"))
    await place.command("resume", run="run_2")
    assert (before, await waiting) == ([], "Two.")


async def test_a_streams_client_is_shown_life_while_its_turn_waits_for_its_share(place: Place, clock: Clock) -> None:
    place.upstream.script("first", Turn(text="One.", headers=limits(0, limit=60_000, reset="60s")))
    place.upstream.script("second", Turn(text="Two."))
    await said(place, "first")
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": mark("second")}], "max_tokens": 1_500}
    async with place.openai("run_2") as agent:
        stream = await agent.chat.completions.create(**request, stream=True)
        was_waiting = place.gateway.paced.traffic.waiting
        clock.passes(place, 29.0)
        words = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert (was_waiting, "".join(words), words[0]) == (1, "Two.", "")


async def test_a_streams_client_is_shown_life_while_the_model_is_silent_amid_a_call(place: Place) -> None:
    call = Call(name="read_file", args={"path": "a" * 80})
    place.upstream.script("stalls", Turn(calls=[call], delivery=Delivery(stall_after=3)))
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": mark("stalls")}]}
    async with place.openai() as agent:
        stream = await agent.chat.completions.create(**request, stream=True)
        chunks = aiter(stream)
        silent = [(await anext(chunks)).choices[0].delta.tool_calls for _ in range(3)]
        place.upstream.go_on("stalls")
        named = [chunk.choices[0].delta.tool_calls async for chunk in chunks if chunk.choices]
    calls = [call for call in named if call]
    assert (silent, calls[0][0].function.name) == ([None] * 3, "read_file")

"""What a run of the gateway keeps: ids of calls, what was said once, and nothing that grows without bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from opsconsole.gateway.live import BATCH_SECONDS, BUSY_BATCH_EVENTS, BUSY_BATCH_SECONDS
from tests.gateway.place import Place
from tests.support.model_script import Turn, mark


async def begun(place: Place) -> None:
    place.upstream.script("hello", Turn(text="Hello"), repeats=True)
    async with place.openai() as client:
        await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": mark("hello")}])


async def test_the_id_of_a_call_is_the_api_s_own_until_it_comes_again(place: Place) -> None:
    await begun(place)
    [run] = place.gateway.runs.live
    turn = next(one.call for one in run.live.journal.calls())
    assert (run.call_id("call_1"), run.call_id("call_1")) == ("call_1", "call_1")
    assert run.call_id(turn).startswith(f"{turn}.")


async def test_what_is_no_id_for_the_hub_gets_one_that_is(place: Place) -> None:
    await begun(place)
    [run] = place.gateway.runs.live
    assert run.call_id("a b/c\ud800").startswith("call_")
    assert len(run.call_id("x" * 500)) < 128


async def test_a_history_that_is_sent_again_is_told_once(place: Place) -> None:
    await begun(place)
    await begun(place)
    await place.told(lambda event: event["type"] == "usage" and event["turns"] == 2)
    users = [one for one in await place.timeline() if one["type"] == "message" and one["role"] == "user"]
    assert len(users) == 1


class Timers:
    """A loop as far as timers are concerned."""

    def __init__(self) -> None:
        self.set: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, act: Callable[[], None]) -> None:
        self.set.append((seconds, act))


async def test_a_run_that_says_much_is_told_in_longer_batches_until_it_says_less(place: Place) -> None:
    await begun(place)
    [run] = place.gateway.runs.live
    await place.told(lambda event: event["type"] == "usage")
    timers, loop = Timers(), run.loop
    run.loop = cast(Any, timers)
    for count in (BUSY_BATCH_EVENTS, 1, 1):
        for _ in range(count):
            run.message_soon("user", "words")
        timers.set[-1][1]()
    run.loop = loop
    assert [seconds for seconds, _ in timers.set] == [BATCH_SECONDS, BUSY_BATCH_SECONDS, BATCH_SECONDS]

"""The thousandth turn of a run costs what its tenth did: what a turn needed goes with it."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import pytest

from tests.gateway.place import Place
from tests.support.hub import eventually
from tests.support.model_script import Turn, mark

OURS = ("opsconsole.gateway", "opsconsole.sdk")
MORE = 60
"""Turns, each of which may leave nothing: one thing of each would be seen."""
ASK: dict[str, Any] = {"model": "gpt-4o-mini", "max_tokens": 8}


def living() -> Counter[str]:
    """How many things of ours there are, of each kind."""
    gc.collect()
    kinds = map(type, gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(OURS))


async def turns(place: Place, first: int, count: int, *, stream: bool) -> None:
    async with place.openai() as client:
        for number in range(first, first + count):
            said = {"role": "user", "content": f"{mark('onward')} {number}"}
            answer: Any = await client.chat.completions.create(**ASK, messages=[said], stream=stream)
            if stream:
                _ = [chunk async for chunk in answer]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_that_is_over_leaves_nothing_in_the_gateway(place: Place, stream: bool) -> None:
    place.upstream.script("onward", Turn(text="Yes."), repeats=True)
    await turns(place, 0, 3, stream=stream)
    point = place.gateway.runs.live[0].live.point
    await eventually(lambda: point.delivered)
    before = living()
    await turns(place, 3, MORE, stream=stream)
    await eventually(lambda: all(more < MORE // 2 for more in (living() - before).values()))


async def test_what_is_kept_of_many_turns_is_no_more_than_of_few(place: Place) -> None:
    place.upstream.script("onward", Turn(text="Yes."), repeats=True)
    await turns(place, 0, MORE, stream=False)
    gateway, run = place.gateway, place.gateway.runs.live[0]
    await eventually(lambda: run.live.point.delivered and run.live.journal.bytes == 0)
    assert (gateway.held.size, len(run.turns), len(run.clients)) == (0, 0, 0)

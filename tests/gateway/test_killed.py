"""After a kill: every stream is cut, the answer counts them, and no gateway serves the run again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gateway.place import Place, running_gateway, running_place, until
from tests.gateway.test_live import begun
from tests.gateway.test_turn import ask
from tests.support.hub import eventually
from tests.support.model_script import Delivery, Turn


async def killed(place: Place) -> tuple[str, list[str]]:
    """Kills the run; its state and what its gateway says it did, once the kill is proven."""
    await place.command("kill")
    rows: list[dict[str, Any]] = []

    async def is_dead() -> bool:
        rows[:] = [await place.row()]
        return bool(rows[0]["kill"]["status"] == "dead")

    await until(is_dead)
    return rows[0]["state"], [one["outcome"] for one in rows[0]["kill"]["points"] if one["name"] == "gateway"]


async def test_a_run_without_a_turn_is_killed_at_once(place: Place) -> None:
    await begun(place)
    assert await killed(place) == ("killed", ["0 streams cut"])


async def test_all_streams_of_a_killed_run_are_cut_before_it_is_called_dead(place: Place) -> None:
    place.upstream.script("long", Turn(text="word " * 200, delivery=Delivery(stall_after=10)), repeats=True)
    async with place.openai() as agent:
        streams = [await agent.chat.completions.create(**ask("long", stream=True)) for _ in range(3)]
        assert await killed(place) == ("killed", ["3 streams cut"])

        async def rest(stream: Any) -> None:
            with pytest.raises(openai.APIError):
                async for _ in stream:
                    pass

        await asyncio.gather(*map(rest, streams))
    await eventually(lambda: all(call.aborted_at for call in place.upstream.calls("long")))


async def test_a_killed_run_stays_killed_for_the_next_gateway(tmp_path: Path) -> None:
    async with running_place(tmp_path) as place:
        await begun(place)
        await killed(place)
        await place.gateway.stop()
        async with running_gateway(place.hub, place.upstream, tmp_path) as gateway:
            with pytest.raises(openai.PermissionDeniedError):
                await begun(Place(place.hub, gateway, place.upstream))

"""Crashes at the worst moment: nothing unapproved runs, nothing is answered twice, and every turn is counted once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.gateway.place import Place, running_gateway, until
from tests.support.hub import eventually, held_port, running_hub
from tests.support.model_script import Call, Turn, Usage, mark
from tests.support.model_upstream import running_upstream

QUICK: dict[str, Any] = {"keepalive_seconds": 0.1, "patience_seconds": 0.1, "grace_seconds": 60.0}
LS = Turn(calls=[Call(name="shell", args={"cmd": "ls"})], usage=Usage(input_tokens=100, output_tokens=7))


def body(script: str) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": mark(script)}]}


async def test_a_call_that_is_held_while_the_hub_restarts_is_released_once_by_the_new_one(tmp_path: Path) -> None:
    with running_upstream() as upstream, held_port() as port:
        upstream.script("ls", LS)
        async with running_hub(tmp_path / "hub", port=port) as hub:
            gateway = running_gateway(hub, upstream, tmp_path, **QUICK)
            service = await gateway.__aenter__()
            client = Place(hub, service, upstream).openai()
            asked = asyncio.create_task(client.chat.completions.create(**body("ls")))
            row = await Place(hub, service, upstream).approval()
        await eventually(lambda: not service.runs.link.view.up)
        still_held = not asked.done()
        async with running_hub(tmp_path / "hub", port=port) as hub:
            place = Place(hub, service, upstream)
            await eventually(lambda: service.runs.link.view.up)
            again = await place.approval()
            await place.decide("approve")
            answer = await asked
            await until(lambda: is_counted(place))
            await place.told(
                lambda one: one["type"] == "tool" and one["status"] == "running" and one["id"] == row["call"]
            )
            events = await place.timeline()
            row_then = await place.row()
            await client.close()
            await gateway.__aexit__(None, None, None)
    assert (still_held, again["call"], len(answer.choices[0].message.tool_calls or [])) == (True, row["call"], 1)
    assert [one["status"] for one in events if one["type"] == "tool" and one["id"] == row["call"]].count("running") == 1
    assert (row_then["turns"], row_then["input_tokens"], row_then["output_tokens"]) == (1, 100, 7)


async def is_counted(place: Place) -> bool:
    return any(one["type"] == "usage" for one in await place.timeline())

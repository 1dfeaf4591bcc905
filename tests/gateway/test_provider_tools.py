"""Tools that the provider runs: taken out, let through, or asked about before they are offered, once a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.place import Place, running_place, until
from tests.support.model_script import Call, Turn, mark

KEY = {"authorization": "Bearer sk-agent"}
WIKI = {
    "type": "mcp",
    "server_label": "wiki",
    "server_url": "http://127.0.0.1:9/mcp",
    "authorization": "Bearer secret-7",
}


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_place(
        tmp_path, keepalive_seconds=0.1, patience_seconds=5.0, grace_seconds=0.5, provider_tools="ask"
    ) as found:
        found.upstream.script("hello", Turn(text="Hello"), repeats=True)
        yield found


def post(place: Place, run: str = "run_1", **more: Any) -> asyncio.Task[httpx.Response]:
    body = {"model": "gpt-4o-mini", "input": mark("hello"), "store": False} | more
    return asyncio.create_task(place.post(f"/r/{run}/tester/openai/v1/responses", json=body, headers=KEY))


def offered(place: Place) -> list[list[str]]:
    """The tools of each request as the provider got them."""
    return [
        [tool.get("server_label") or tool["type"] for tool in seen.body.get("tools", [])]
        for seen in place.upstream.calls("hello")
    ]


async def test_a_providers_tool_waits_for_a_person_before_the_model_is_asked(asking: Place) -> None:
    asked = post(asking, tools=[{"type": "web_search"}])
    row = await asking.approval()
    assert (row["tool"], row["args"]["tool"], offered(asking)) == ("provider_tool", "web_search", [])
    await asking.decide("approve")
    assert ((await asked).status_code, offered(asking)) == (200, [["web_search"]])


async def test_the_answer_holds_until_the_run_ends_and_for_no_other_run(asking: Place) -> None:
    asked = post(asking, tools=[{"type": "web_search"}])
    await asking.decide("approve")
    await asked
    assert (await post(asking, tools=[{"type": "web_search"}])).status_code == 200
    other = post(asking, run="run_2", tools=[{"type": "web_search"}])
    assert (await asking.approval("run_2"))["args"]["tool"] == "web_search"
    other.cancel()


async def test_a_tool_that_is_refused_is_not_offered_now_nor_later(asking: Place) -> None:
    asked = post(asking, tools=[{"type": "web_search"}, {"type": "function", "name": "run", "parameters": {}}])
    await asking.decide("reject", note="no searching")
    await asked
    await post(asking, tools=[{"type": "web_search"}])
    assert offered(asking) == [["function"], []]


async def test_another_server_under_the_same_name_is_asked_about_again(asking: Place) -> None:
    asked = post(asking, tools=[WIKI])
    await asking.decide("approve")
    await asked
    again = post(asking, tools=[WIKI | {"server_url": "http://127.0.0.1:9/other"}])
    row = await asking.approval()
    assert row["args"]["definition"]["server_url"] == "http://127.0.0.1:9/other"
    again.cancel()


async def test_the_secrets_of_a_server_are_shown_to_nobody_and_a_new_one_asks_nobody(asking: Place) -> None:
    asked = post(asking, tools=[WIKI])
    row = await asking.approval()
    await asking.decide("approve")
    await asked
    assert "secret-7" not in str(row)
    assert (await post(asking, tools=[WIKI | {"authorization": "Bearer secret-8"}])).status_code == 200


async def test_a_stored_prompt_is_asked_about_and_its_turn_refused_with_it(asking: Place) -> None:
    asked = post(asking, prompt={"id": "pmpt_1", "variables": {"city": "Bern"}})
    row = await asking.approval()
    assert (row["args"]["tool"], "city" in str(row["args"])) == ("prompt pmpt_1", False)
    await asking.decide("reject")
    assert ((await asked).status_code, offered(asking)) == (403, [])


async def test_a_stored_prompt_that_nobody_can_be_asked_about_is_refused(place: Place) -> None:
    assert (await post(place, prompt={"id": "pmpt_1"})).status_code == 403


async def test_a_client_that_leaves_withdraws_the_question(asking: Place) -> None:
    asked = post(asking, tools=[{"type": "web_search"}])
    await asking.approval()
    asked.cancel()
    await until(lambda: nobody_waits(asking))
    assert offered(asking) == []


async def nobody_waits(place: Place) -> bool:
    async with place.hub.http() as client:
        return not (await client.get("/v1/approvals")).json()["rows"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("plugins", [{"id": "web"}]), ("search_parameters", {"mode": "on"}), ("tools", [{"type": "web_search"}])],
)
async def test_what_other_servers_run_by_chat_completions_is_taken_out(place: Place, field: str, value: Any) -> None:
    place.upstream.script("hello", Turn(text="Hello"))
    body = {"model": "m", "messages": [{"role": "user", "content": mark("hello")}], field: value}
    await place.post("/r/run_1/tester/openai/v1/chat/completions", json=body, headers=KEY)
    assert field not in place.upstream.calls("hello")[0].body


async def test_a_call_of_a_tool_comes_with_the_schema_that_its_request_offered(asking: Place) -> None:
    asking.upstream.script("weather", Turn(calls=[Call(name="get_weather", args={"city": "Bonn"})]))
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    asked = post(
        asking, tools=[{"type": "function", "name": "get_weather", "parameters": schema}], input=mark("weather")
    )
    proposed = await asking.told(lambda event: event["type"] == "tool" and event.get("name") == "get_weather")
    assert (proposed["input_schema"], proposed.get("server"), proposed.get("annotations")) == (schema, None, None)
    await asking.decide("approve")
    assert (await asked).status_code == 200


WEATHER = {"type": "function", "name": "get_weather"}


@pytest.mark.parametrize(
    ("tools", "offered"),
    [([WEATHER], True), ([WEATHER | {"name": "find_city"}], False), ([], None)],
    ids=["offered", "made up", "nobody knows"],
)
async def test_a_call_of_a_tool_that_was_not_offered_says_so(asking: Place, tools: list[Any], offered: bool) -> None:
    asking.upstream.script("weather", Turn(calls=[Call(name="get_weather", args={"city": "Bonn"})]))
    asked = post(asking, tools=tools, input=mark("weather"))
    proposed = await asking.told(lambda event: event["type"] == "tool" and event.get("name") == "get_weather")
    assert proposed.get("offered") is offered
    await asking.decide("reject")
    await asked
